"""Webhooks: events signed and sent to the endpoints that were registered, in the API version of each."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from wellkept import WebhookRequest
from wellkept_stripe.simulator import shapes
from wellkept_stripe.simulator.state import Obj, State

if TYPE_CHECKING:
    from wellkept import Clock


def signature(body: bytes, secret: str, at: int) -> str:
    """Return what follows ``v1=`` in a ``Stripe-Signature`` header: HMAC-SHA256 over ``TIMESTAMP.BODY``, in hex."""
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


class Webhooks:
    """The part of the simulator that sends events."""

    state: State
    clock: Clock
    lock: threading.RLock

    def events(self, type_: str | None = None) -> list[Obj]:
        """Return the events so far, the oldest first."""
        with self.lock:
            found = self.state.tables["event"].listed()[::-1]
            return [event for event in found if type_ is None or event["type"] == type_]

    def webhook(
        self,
        event: Obj | str,
        secret: str,
        *,
        api_version: str | None = None,
        at: int | None = None,
        url: str = "http://localhost/stripe/webhook",
        also_signed_with: str | None = None,
    ) -> WebhookRequest:
        """Return a signed webhook, ready to be given to `WebhookSource.receive`.

        Args:
            event: The event, or its id.
            secret: The endpoint's signing secret.
            api_version: The endpoint's own version; the event's when left out.
            at: When it is signed, epoch seconds; now when left out.
            url: Where it goes.
            also_signed_with: A second secret, as while one is being rotated.
        """
        with self.lock:
            found = self.state.get("event", event) if isinstance(event, str) else event
            body = self._body(found, api_version)
        at = self.clock.now() // 1000 if at is None else at
        signed = f"t={at},v1={signature(body, secret, at)}"
        if also_signed_with is not None:
            signed += f",v1={signature(body, also_signed_with, at)}"
        headers = {"content-type": "application/json; charset=utf-8", "stripe-signature": f"{signed},v0={'0' * 64}"}
        return WebhookRequest(method="POST", url=url, headers=headers, body=body, received_at=self.clock.now())

    def pending(self) -> list[tuple[Obj, Obj]]:
        """Return (endpoint, event) for everything that no endpoint has taken yet, the oldest first."""
        with self.lock:
            endpoints = [found for found in self.state.tables["webhook_endpoint"].listed() if found["status"] == "enabled"]
            return [
                (endpoint, event)
                for event in self.events()
                for endpoint in endpoints
                if endpoint["created"] <= event["created"]
                and ("*" in endpoint["enabled_events"] or event["type"] in endpoint["enabled_events"])
                and endpoint["id"] not in event.get("_taken", ())
            ]

    def deliver(self, *, timeout: float = 10.0) -> Mapping[str, int]:
        """Send what is pending over HTTP, and return how many endpoints took an event and how many did not."""
        import httpx

        counts = {"taken": 0, "refused": 0}
        with httpx.Client(timeout=timeout) as client:
            for endpoint, event in self.pending():
                request = self.webhook(event, endpoint["_secret"], api_version=endpoint["api_version"], url=endpoint["url"])
                try:
                    taken = client.post(request.url, content=request.body, headers=dict(request.headers)).is_success
                except httpx.HTTPError:
                    taken = False
                counts["taken" if taken else "refused"] += 1
                if taken:
                    event["_taken"] = (*event.get("_taken", ()), endpoint["id"])
        return counts

    def _body(self, event: Obj, api_version: str | None) -> bytes:
        shown = {name: value for name, value in event.items() if not name.startswith("_")}
        if api_version is not None and api_version != event["api_version"]:
            data = dict(event["data"])
            data["object"] = shapes.older(copy.deepcopy(data["object"]), api_version, self.state)
            shown = {**shown, "api_version": api_version, "data": data}
        return json.dumps(shown, indent=2, ensure_ascii=False).encode()
