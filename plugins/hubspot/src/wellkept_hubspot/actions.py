"""``score.push``: sets properties of companies, up to a hundred companies a call.

Properties that do not exist yet are made first, in a group ``wellkept``. HubSpot refuses a whole batch for one bad value (a
validation rule that an admin has set, an option that is not there), so a refused batch is halved until the rows to blame stand
alone, and a refused row loses the properties that HubSpot names. All others are set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from wellkept import Outcome, Payload, ScorePush, StateAction, StateDelivery, Target
from wellkept.errors import CredentialsError, RejectedError, RetryableError
from wellkept.http import Response, StatusError
from wellkept.records import Json
from wellkept_hubspot import wire
from wellkept_hubspot.api import PAGE, Api, error_names, said
from wellkept_hubspot.properties import GROUP, NAME, Properties, fitted, normal, type_for

if TYPE_CHECKING:
    from wellkept import Context
    from wellkept_hubspot.config import HubSpotConfig

GONE = "the company is gone"
REFUSED = frozenset({400, 404, 409, 422})
"""Statuses by which HubSpot judges what was sent; a part of it may be good."""


class Row(NamedTuple):
    """What is to be set on one company."""

    id: str
    values: dict[str, str]


class PushProperties(StateAction):
    """Sets properties of companies; other properties stay as they are."""

    payload: ClassVar[type[Payload]] = ScorePush
    max_batch: ClassVar[int] = PAGE
    target_types: ClassVar[tuple[str, ...]] = ("account",)

    def __init__(self, ctx: Context[HubSpotConfig]) -> None:
        self._ctx = ctx

    @cached_property
    def _api(self) -> Api:
        return Api(self._ctx)

    @cached_property
    def _properties(self) -> Properties:
        return Properties(self._api, "companies")

    async def deliver(self, deliveries: Sequence[StateDelivery]) -> Sequence[Outcome]:
        """Set the values.

        Raises:
            CredentialsError: The token was refused, or may not write companies or make properties.
        """
        try:
            impossible = await self._prepare(deliveries)
        except CredentialsError:
            raise
        except RetryableError as error:  # nothing of what was asked for has left
            return [Outcome.retry(error.message, after=error.retry_after)] * len(deliveries)
        known = await self._properties.known()
        rows: list[Row] = []
        refused: dict[str, dict[str, str]] = {}
        for delivery in deliveries:
            row, wrong = _sorted_out(delivery, known, impossible)
            refused[delivery.target.id] = wrong
            if row.values:
                rows.append(row)
        outcomes = {delivery.target.id: Outcome.done() for delivery in deliveries}
        outcomes |= await self._update(rows)
        return [outcomes[delivery.target.id].without(refused[delivery.target.id]) for delivery in deliveries]

    async def _prepare(self, deliveries: Sequence[StateDelivery]) -> dict[str, str]:
        """Make the properties that are missing; return why some could not be made, by name."""
        known = await self._properties.known(again=True)  # an admin may have changed them since
        wanted: dict[str, Json] = {}
        for delivery in deliveries:
            wanted |= {name: value for name, value in delivery.fields.items() if name not in known and value is not None}
        impossible: dict[str, str] = {}
        for name, value in sorted(wanted.items()):
            if not NAME.fullmatch(name):
                impossible[name] = "a property's name has small letters, digits and underscores, 100 at most"
                continue
            problem = await self._make(name, value)
            if problem is not None:
                impossible[name] = problem
        return impossible

    async def _make(self, name: str, value: Json) -> str | None:
        from wellkept_hubspot import sdk

        definition = sdk.definition(
            name,
            self._ctx.config.property_types.get(name) or type_for(value),
            group_name=GROUP,
            label=name.removeprefix("wellkept_").replace("_", " ").capitalize(),
            description="Kept up to date by Wellkept.",
        )
        problem: str | None = await self._properties.make(definition)
        return problem

    async def _update(self, rows: Sequence[Row]) -> dict[str, Outcome]:
        """Set what can be set; return what came of each row, by company."""
        from wellkept_hubspot import sdk

        if not rows:
            return {}
        path = self._api.objects("companies", "/batch/update")
        try:
            response = await self._api.client.post(path, json=sdk.update_batch(rows), retry=False)
        except StatusError as error:
            return await self._divided(rows, error)
        except RetryableError as error:
            return dict.fromkeys((row.id for row in rows), Outcome.failed(error))
        return _outcomes(rows, response)

    async def _divided(self, rows: Sequence[Row], error: StatusError) -> dict[str, Outcome]:
        """Set the good part of a batch that was refused as a whole."""
        if error.status not in REFUSED:
            return {row.id: Outcome.unknown(error.message) for row in rows}
        if len(rows) == 1:
            [row] = rows
            return {row.id: await self._without_refused(row, error)}
        middle = len(rows) // 2
        return {**await self._update(rows[:middle]), **await self._update(rows[middle:])}

    async def _without_refused(self, row: Row, error: StatusError) -> Outcome:
        """Set the properties of a refused row that HubSpot does not complain of."""
        if error.status == 404:
            return Outcome.rejected(GONE)
        code = _code(error)
        refused = {name: f"HubSpot refuses the value ({code})" for name in error_names(error) if name in row.values}
        rest = {name: text for name, text in row.values.items() if name not in refused}
        if not refused:
            return Outcome.rejected(f"HubSpot refuses it ({code})")
        outcome = (await self._update([Row(row.id, rest)]))[row.id] if rest else Outcome.done()
        return outcome.without(refused)

    async def read(self, targets: Sequence[Target], fields: Sequence[str]) -> Sequence[Mapping[str, Json] | None]:
        """Return the present values; None for a company that is gone."""
        found: dict[str, Mapping[str, str | None]] = {}
        ids = list(dict.fromkeys(target.id for target in targets))
        for start in range(0, len(ids), PAGE):
            page = await self._api.by_id("companies", ids[start : start + PAGE], fields)
            found |= {seen.row.id: seen.row.properties for seen in page.rows}
        return [
            {name: normal(found[target.id].get(name)) for name in fields} if target.id in found else None for target in targets
        ]  # fmt: skip

    def normalise(self, field: str, value: Json) -> Json:
        """Return a value as text, as HubSpot keeps it; what is empty is not there."""
        del field
        return normal(value)


def _sorted_out(
    delivery: StateDelivery, known: Mapping[str, wire.Property], impossible: Mapping[str, str]
) -> tuple[Row, dict[str, str]]:
    """Return what can be set, and why the rest cannot."""
    values: dict[str, str] = {}
    refused: dict[str, str] = {}
    for name, value in delivery.fields.items():
        if name in impossible:
            refused[name] = impossible[name]
        elif name in known:
            try:
                values[name] = fitted(value, known[name])
            except RejectedError as error:
                refused[name] = error.message
    return Row(delivery.target.id, values), refused


def _outcomes(rows: Sequence[Row], response: Response) -> dict[str, Outcome]:
    """Return what came of each row of a batch that was taken; with status 207, some of them were not."""
    answer = response.json(wire.Batch)
    done = {obj.id for obj in answer.results}
    failed = {id_: error for error in answer.errors or () for id_ in error.named("ids")}
    outcomes: dict[str, Outcome] = {}
    for row in rows:
        if row.id in done:
            outcomes[row.id] = Outcome.done(ref=row.id)
        elif row.id in failed:
            category = failed[row.id].category
            reason = GONE if category == "OBJECT_NOT_FOUND" else f"HubSpot refuses it ({_word(category)})"
            outcomes[row.id] = Outcome.rejected(reason)
        else:
            outcomes[row.id] = Outcome.unknown("HubSpot says nothing about this company")
    return outcomes


def _code(error: StatusError) -> str:
    answer = said(error.body)
    return _word(next((part.code for part in answer.errors or () if part.code), None) or answer.category)


def _word(code: str | None) -> str:
    """Return a code of HubSpot's if it is one: messages and values are never shown."""
    return code if code and code.replace("_", "").isalnum() and code.isascii() and len(code) <= 60 else "no code"
