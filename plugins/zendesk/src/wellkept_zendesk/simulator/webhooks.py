"""Webhooks: events signed and sent to the endpoints that were registered."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wellkept import WebhookRequest
from wellkept_zendesk.simulator.state import Event, State, text
from wellkept_zendesk.webhooks import signature

if TYPE_CHECKING:
    from wellkept import Clock


@dataclass
class Endpoint:
    """Where events go."""

    url: str
    secret: str
    since: int
    taken: set[str] = field(default_factory=set)


class Webhooks:
    """The part of the simulator that sends events."""

    state: State
    clock: Clock
    lock: threading.RLock
    endpoints: list[Endpoint]

    def register(self, url: str, secret: str) -> None:
        """Send everything that happens from now on to an endpoint."""
        self.endpoints.append(Endpoint(url, secret, len(self.state.events)))

    def webhook(
        self,
        event: Event | Mapping[str, Any],
        secret: str,
        *,
        at: int | None = None,
        url: str = "http://localhost/webhooks/zendesk",
    ) -> WebhookRequest:
        """Return a signed webhook, ready to be given to `WebhookSource.receive`.

        Args:
            event: The event, or the body that an admin wrote for a trigger.
            secret: The signing secret.
            at: When it is signed, epoch seconds; now when left out.
            url: Where it goes.
        """
        if isinstance(event, Event):
            body = json.dumps(
                {
                    "account_id": 22_129_848,
                    "id": event.id,
                    "type": event.type,
                    "subject": event.subject,
                    "time": text(event.at),
                    "zendesk_event_version": "2022-11-06",
                    "detail": {"id": event.subject.rpartition(":")[2]},
                    "event": {},
                }
            ).encode()
        else:
            body = json.dumps(event, ensure_ascii=False).encode()
        stamp = text(self.clock.now() // 1000 if at is None else at)
        headers = {
            "content-type": "application/json; charset=utf-8",
            "x-zendesk-webhook-signature": signature(stamp, body, secret),
            "x-zendesk-webhook-signature-timestamp": stamp,
        }
        return WebhookRequest(method="POST", url=url, headers=headers, body=body, received_at=self.clock.now())

    def deliver(self, *, timeout: float = 10.0) -> Mapping[str, int]:
        """Send what is pending over HTTP, and return how many events were taken and how many were not."""
        import httpx

        counts = {"taken": 0, "refused": 0}
        with httpx.Client(timeout=timeout) as client:
            for endpoint in self.endpoints:
                for event in [event for event in self.state.events[endpoint.since :] if event.id not in endpoint.taken]:
                    request = self.webhook(event, endpoint.secret, url=endpoint.url)
                    try:
                        taken = client.post(request.url, content=request.body, headers=dict(request.headers)).is_success
                    except httpx.HTTPError:
                        taken = False
                    counts["taken" if taken else "refused"] += 1
                    if taken:
                        endpoint.taken.add(event.id)
        return counts
