"""What may happen at the helpdesk by itself: customers write, agents answer, tickets are merged, organizations become one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from wellkept_zendesk.simulator import objects
from wellkept_zendesk.simulator.state import Obj, State, seconds_of, text
from wellkept_zendesk.simulator.support import bin_ticket

DAY = 86_400


class Scenarios:
    """Happenings, as methods; each is also at ``POST /_control/scenarios/NAME``."""

    state: State
    lock: threading.RLock
    admin: Obj

    def scenarios(self) -> Mapping[str, Callable[..., object]]:
        """Return the happenings by name."""
        return {
            name: getattr(self, name)
            for name in (
                "new_organization",
                "new_user",
                "new_ticket",
                "reply",
                "set_status",
                "rate",
                "reopen",
                "merge_tickets",
                "mark_as_spam",
                "delete_ticket",
                "restore_ticket",
                "merge_organizations",
                "rename",
            )
        }

    def new_organization(self, name: str, **more: Any) -> int:
        """Make an organization, and return its id."""
        with self.lock:
            made = self.state.add("organization", objects.organization(name, **more))
            made["organization_fields"] = {
                field["key"]: False if field["type"] == "checkbox" else None for field in self.state.all("organization_field")
            }
            return int(made["id"])

    def new_user(self, name: str, organization: int | None = None, **more: Any) -> int:
        """Make an end user, and return their id."""
        with self.lock:
            return int(self.state.add("user", objects.user(name, organization_id=organization, **more))["id"])

    def new_ticket(
        self, requester: int, subject: str, *, channel: str = "email", service: str | None = None, **more: Any
    ) -> int:
        """Let a customer write, and return the ticket's id."""
        with self.lock:
            author = self.state.get("user", requester)
            made = self.state.add(
                "ticket", objects.ticket(subject, author, **{"via": objects.via(channel, service), "status": "open", **more})
            )
            objects.audit(self.state, made, author, [{"type": "Create", "field_name": "subject", "value": subject}], {})
            return int(made["id"])

    def reply(self, ticket: int) -> None:
        """Let an agent answer; the ticket is pending from then on."""
        with self.lock:
            row = self.state.get("ticket", ticket)
            metric = row["_metric"]
            if metric["reply_time_in_minutes"]["calendar"] is None:
                waited = (self.state.now - seconds_of(row["created_at"])) // 60
                metric["reply_time_in_minutes"] = objects.minutes(waited)
            metric["replies"] += 1
            row["_pending_since"] = self.state.now
            self.state.touch("ticket", row, {"status": "pending"})

    def set_status(self, ticket: int, status: str) -> None:
        """Let a ticket take another status, with what its metrics say then."""
        with self.lock:
            row = self.state.get("ticket", ticket)
            metric = row["_metric"]
            since = row.pop("_pending_since", None)
            if since is not None:
                waited = metric["agent_wait_time_in_minutes"]["calendar"] or 0
                metric["agent_wait_time_in_minutes"] = objects.minutes(waited + (self.state.now - since) // 60)
            if status == "pending":
                row["_pending_since"] = self.state.now
            if status == "solved":
                took = objects.minutes((self.state.now - seconds_of(row["created_at"])) // 60)
                if metric["first_resolution_time_in_minutes"]["calendar"] is None:
                    metric["first_resolution_time_in_minutes"] = took
                metric["full_resolution_time_in_minutes"] = took
                metric["solved_at"] = text(self.state.now)
            self.state.touch("ticket", row, {"status": status})

    def reopen(self, ticket: int) -> None:
        """Let a customer write again after it was solved."""
        with self.lock:
            row = self.state.get("ticket", ticket)
            row["_metric"]["reopens"] += 1
            self.state.touch("ticket", row, {"status": "open"})

    def rate(self, ticket: int, score: str, comment: str | None = None) -> int:
        """Offer a rating (``offered``), or answer the offer (``good``, ``bad``); return the rating's id."""
        with self.lock:
            row = self.state.get("ticket", ticket)
            known = row["satisfaction_rating"].get("id")
            if known is not None:
                rating = self.state.get("satisfaction_rating", known)
                self.state.touch("satisfaction_rating", rating, {"score": score, "comment": comment})
            else:
                rating = self.state.add(
                    "satisfaction_rating",
                    {
                        "score": score,
                        "comment": comment,
                        "ticket_id": ticket,
                        "requester_id": row["requester_id"],
                        "assignee_id": row["assignee_id"],
                        "group_id": row["group_id"],
                        "reason": None,
                    },
                )
            self.state.touch("ticket", row, {"satisfaction_rating": {"id": rating["id"], "score": score, "comment": comment}})
            if score in {"good", "bad"} and self.state.at is None:
                self.state.tell("zen:event-type:ticket.csat_received", f"zen:ticket:{ticket}")
            return int(rating["id"])

    def merge_tickets(self, source: int, target: int) -> None:
        """Merge a ticket into another one: it is closed, with a tag that says why."""
        with self.lock:
            row = self.state.get("ticket", source)
            self.state.touch("ticket", row, {"status": "closed", "tags": sorted({*row["tags"], "closed_by_merge"})})
            self.state.touch("ticket", self.state.get("ticket", target), {})

    def mark_as_spam(self, ticket: int) -> None:
        """Mark a ticket as spam, which deletes it and suspends its requester."""
        with self.lock:
            row = self.state.get("ticket", ticket)
            bin_ticket(self.state, row, self.admin)
            self.state.touch("user", self.state.get("user", row["requester_id"]), {"suspended": True})

    def delete_ticket(self, ticket: int) -> None:
        """Put a ticket into the bin."""
        with self.lock:
            bin_ticket(self.state, self.state.get("ticket", ticket), self.admin)

    def restore_ticket(self, ticket: int) -> None:
        """Take a ticket out of the bin."""
        with self.lock:
            row = self.state.get("ticket", ticket)
            self.state.touch("ticket", row, {"status": row.pop("_deleted")["previous_state"]})

    def merge_organizations(self, loser: int, winner: int) -> None:
        """Merge an organization into another one, with its users and tickets."""
        with self.lock:
            state, gone, left = self.state, self.state.get("organization", loser), self.state.get("organization", winner)
            for kind in ("user", "ticket"):
                for row in state.all(kind, lambda row: row["organization_id"] == loser):
                    state.touch(kind, row, {"organization_id": winner}, quiet=kind == "ticket")
            domains = sorted({*left["domain_names"], *gone["domain_names"]})
            state.touch("organization", left, {"domain_names": domains})
            state.touch("organization", gone, {"deleted_at": text(state.now)})
            state.add("merge", {"loser_id": loser, "winner_id": winner, "status": "complete", "url": "/api/v2/merges"})

    def rename(self, organization: int, name: str) -> None:
        """Rename an organization."""
        with self.lock:
            self.state.touch("organization", self.state.get("organization", organization), {"name": name})
