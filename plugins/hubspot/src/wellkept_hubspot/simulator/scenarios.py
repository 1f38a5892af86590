"""What may happen at a HubSpot account by itself: people edit, merge and delete, finish tasks, and webhooks go out."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from wellkept_hubspot.simulator.state import State, iso

if TYPE_CHECKING:
    from wellkept import Clock


class Scenarios:
    """Part of the simulator: everything here can be called from a test, and over ``POST /_control/scenarios/NAME``."""

    state: State
    clock: Clock
    portal_id: int
    webhook_secret: str

    def scenarios(self) -> Mapping[str, Callable[..., object]]:
        """Return what can be asked for over the control route."""
        names = [
            name for name in vars(Scenarios) if not name.startswith("_") and name not in {"scenarios", "webhook", "signed"}
        ]
        return {name: getattr(self, name) for name in names}

    def edit(self, type: str, id: str, **properties: str) -> str:  # noqa: A002 - HubSpot's words
        """Let somebody edit an object."""
        self.state.touch(self.state.find(type, id), properties)
        return id

    def new_company(self, name: str, **properties: str) -> str:
        """Let somebody add a company; returns its id."""
        return self.state.create("companies", {"name": name, **properties}).id

    def new_contact(self, company: str | None = None, **properties: str) -> str:
        """Let somebody add a contact, at a company; returns its id."""
        contact = self.state.create("contacts", properties)
        if company is not None:
            self.state.link(contact, self.state.find("companies", company), primary=True)
        return contact.id

    def opt_out(self, contact: str) -> str:
        """Let a contact unsubscribe from all mail."""
        return self.edit("contacts", contact, hs_email_optout="true")

    def answer_survey(self, contact: str, kind: str, score: int, comment: str = "") -> str:
        """Let a contact answer a survey; returns the submission's id."""
        values = {
            "hs_survey_type": kind.upper(),
            "hs_value": str(score),
            "hs_content": comment,
            "hs_submission_timestamp": iso(self.clock.now()),
            "hs_contact_id": contact,
        }
        submission = self.state.create("feedback_submissions", {name: text for name, text in values.items() if text})
        self.state.link(submission, self.state.find("contacts", contact))
        return submission.id

    def finish_task(self, task: str, outcome: str | None = None) -> str:
        """Let somebody complete a task, and note what came of it."""
        values = {"hs_task_status": "COMPLETED", "hs_task_completion_date": iso(self.clock.now())}
        return self.edit("tasks", task, **values, **({"wellkept_outcome": outcome} if outcome else {}))

    def archive(self, type: str, id: str) -> str:  # noqa: A002 - HubSpot's words
        """Let somebody delete an object."""
        self.state.archive(self.state.find(type, id))
        return id

    def restore(self, type: str, id: str) -> str:  # noqa: A002 - HubSpot's words
        """Let somebody restore a deleted object."""
        self.state.restore(self.state.find(type, id, archived=True))
        return id

    def merge_companies(self, kept: str, other: str) -> str:
        """Let somebody merge one company into another."""
        self.state.merge(self.state.find("companies", kept), self.state.find("companies", other))
        return kept

    def bulk_edit(self, type: str, ids: Sequence[str], **properties: str) -> int:  # noqa: A002 - HubSpot's words
        """Let somebody edit many objects at once, all within one millisecond."""
        at = self.clock.now()
        for id_ in ids:
            self.state.touch(self.state.find(type, id_), properties, at=at)
        return len(ids)

    def webhook(
        self, url: str, notices: Sequence[Mapping[str, Any]] | None = None, *, at: int | None = None
    ) -> tuple[dict[str, str], bytes]:
        """Return headers and body of a webhook to an address: what happened since the last one, or `notices`."""
        if notices is None:
            notices, self.state.notices = self.state.notices[:100], self.state.notices[100:]
        body = json.dumps([{"portalId": self.portal_id, **notice} for notice in notices]).encode()
        return self.signed(url, body, at=at), body

    def signed(self, url: str, body: bytes, *, at: int | None = None) -> dict[str, str]:
        """Return the headers with which any body is sent to an address."""
        time = str(self.clock.now() if at is None else at)
        signature = hmac.new(self.webhook_secret.encode(), b"POST" + url.encode() + body + time.encode(), sha256).digest()
        return {
            "content-type": "application/json",
            "x-hubspot-signature-v3": base64.b64encode(signature).decode(),
            "x-hubspot-request-timestamp": time,
        }
