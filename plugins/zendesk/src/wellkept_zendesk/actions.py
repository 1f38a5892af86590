"""``score.push``: values of columns into organization fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from wellkept import Outcome, Payload, ScorePush, StateAction, StateDelivery, Target
from wellkept.errors import RejectedError, RetryableError
from wellkept.http import StatusError, together
from wellkept_zendesk import jobs
from wellkept_zendesk.api import PAGE, Api, chunks, complaint
from wellkept_zendesk.fields import Fields, canonical, fitting

if TYPE_CHECKING:
    from wellkept import Context
    from wellkept.records import Json
    from wellkept_zendesk.config import ZendeskConfig

SINGLY = 3
"""Up to so many organizations are changed one by one, which tells more about what was refused; more of them by a job."""


class _Organization(msgspec.Struct):
    id: int
    organization_fields: dict[str, Any] | None = None


class PushFields(StateAction):
    """Sets organization fields; other fields stay as they are."""

    payload: ClassVar[type[Payload]] = ScorePush
    max_batch: ClassVar[int] = PAGE
    target_types: ClassVar[tuple[str, ...]] = ("account",)

    def __init__(self, ctx: Context[ZendeskConfig]) -> None:
        self._ctx = ctx

    @cached_property
    def _api(self) -> Api:
        return Api(self._ctx)

    async def deliver(self, deliveries: Sequence[StateDelivery]) -> Sequence[Outcome]:
        """Make the fields that are missing, then set the values: one by one, or together by a job.

        Raises:
            CredentialsError: The credential was refused, or may not write.
        """
        fields = Fields(self._api)
        wanted: dict[str, list[Json]] = {}
        for delivery in deliveries:
            for name, value in delivery.fields.items():
                wanted.setdefault(name, []).append(value)
        unmade = await fields.make(wanted)
        prepared = [_prepared(delivery, await fields.known(), unmade) for delivery in deliveries]
        sendable = [(index, values) for index, (values, _) in enumerate(prepared) if values]
        outcomes = [Outcome.done(ref=delivery.target.id) for delivery in deliveries]
        rows = [{"id": int(deliveries[index].target.id), "organization_fields": values} for index, values in sendable]
        sent = await (together(rows, self._set) if len(rows) <= SINGLY else self._set_many(rows))
        for (index, _), outcome in zip(sendable, sent, strict=True):
            outcomes[index] = outcome
        return [outcome.without(refused) for outcome, (_, refused) in zip(outcomes, prepared, strict=True)]

    async def _set(self, row: Mapping[str, Any]) -> Outcome:
        path, body = f"/api/v2/organizations/{row['id']}", {"organization_fields": row["organization_fields"]}
        try:
            await self._api.client.request("PUT", path, json={"organization": body})
        except RetryableError as error:
            return Outcome.failed(error)
        except StatusError as error:
            if error.status in {404, 410}:
                return Outcome.rejected("the organization is gone")
            return Outcome.rejected(f"Zendesk refuses it: {complaint(error.body).code or f'HTTP {error.status}'}")
        return Outcome.done(ref=str(row["id"]))

    async def _set_many(self, rows: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        try:
            return await jobs.update_many(self._api, self._ctx.clock, "organizations", rows)
        except RetryableError as error:
            return [Outcome.failed(error)] * len(rows)

    async def read(self, targets: Sequence[Target], fields: Sequence[str]) -> Sequence[Mapping[str, Json] | None]:
        """Return the present values; None for an organization that is gone. A field that does not exist yet is empty."""
        present: dict[str, Mapping[str, Any]] = {}
        for part in chunks(list(dict.fromkeys(target.id for target in targets if target.id.isdigit()))):
            found = await self._api.show_many("organizations", part, _Organization)
            present |= {str(row.id): row.organization_fields or {} for row in found}
        shown = (present.get(target.id) for target in targets)
        return [
            None if values is None else {name: values.get(name.lower(), values.get(name)) for name in fields}
            for values in shown
        ]

    def normalise(self, field: str, value: Json) -> Json:
        """Return a value in its one form, whether it was sent or given back."""
        del field
        return canonical(value)


def _prepared(
    delivery: StateDelivery, known: Mapping[str, Any], unmade: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values that can be sent, and why the others cannot."""
    values: dict[str, Any] = {}
    refused: dict[str, str] = {}
    if not delivery.target.id.isdigit():
        return {}, dict.fromkeys(delivery.fields, "this is no organization's id")
    for name, value in delivery.fields.items():
        field = Fields.find(known, name)
        if name in unmade:
            refused[name] = unmade[name]
        elif field is not None:
            try:
                values[field.key] = fitting(field, value)
            except RejectedError as error:
                refused[name] = error.message
    return values, refused
