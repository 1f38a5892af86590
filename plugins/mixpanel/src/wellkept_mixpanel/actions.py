"""Writes: ``score.push`` into the properties of groups, or of users.

Updates go out in batches, strict, so that Mixpanel names those that it refuses. Where it refuses a batch as a whole without
saying which update is to blame, the batch is cut in two until it shows: setting a property again does no harm.

Mixpanel's own SDK is not used: it sends one update at a time, not strict, over a session and with retries of its own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from wellkept import Action, Outcome, Payload, ScorePush, StateAction, StateDelivery, Target
from wellkept.errors import ConfigError, RetryableError
from wellkept.http import Response, StatusError
from wellkept.records import Json
from wellkept_mixpanel.api import Api
from wellkept_mixpanel.wire import FailedRecord, Verdict, text_of

if TYPE_CHECKING:
    from wellkept import Context
    from wellkept_mixpanel.config import MixpanelConfig

MOST_UPDATES = 200
"""Updates in a request."""

LONGEST = 255
"""Bytes (UTF-8) of a property's name or text; Mixpanel cuts a longer text silently.

Source: docs.mixpanel.com, limits of properties.
"""

Update = dict[str, Any]


@dataclass(slots=True)
class Sending:
    """One delivery on its way: its updates, what was refused, and why it failed."""

    updates: list[Update]
    refused: dict[str, str] = field(default_factory=dict)
    failure: Outcome | None = None

    def outcome(self, ref: str) -> Outcome:
        """Return what came of it."""
        if self.failure is not None:
            return self.failure
        if self.refused:
            return Outcome.rejected("; ".join(sorted(set(self.refused.values()))), fields=self.refused)
        return Outcome.done(ref=ref)


class PushProperties(StateAction):
    """Base of both; sets properties and leaves all others as they are."""

    payload: ClassVar[type[Payload]] = ScorePush
    max_batch: ClassVar[int] = MOST_UPDATES // 2  # a delivery may need two updates: one that sets, and one that clears
    path: ClassVar[str]
    absent: ClassVar[Mapping[str, Json] | None] = None
    """What stands in a profile that is not there; None: it is gone, and nothing is set."""

    def __init__(self, ctx: Context[MixpanelConfig]) -> None:
        self._ctx = ctx

    @cached_property
    def _api(self) -> Api:
        return Api(self._ctx)

    @abstractmethod
    def address(self, id_: str) -> Update:
        """Return the fields of an update that say whose properties are meant."""

    @abstractmethod
    def query(self) -> dict[str, Any]:
        """Return what tells a query of profiles which kind is meant."""

    async def deliver(self, deliveries: Sequence[StateDelivery]) -> Sequence[Outcome]:
        """Set the values, all deliveries in one request.

        Raises:
            CredentialsError: The token is refused.
        """
        sendings = [self._prepared(delivery) for delivery in deliveries]
        await self._send([(sending, update) for sending in sendings for update in sending.updates])
        return [sending.outcome(delivery.target.id) for sending, delivery in zip(sendings, deliveries, strict=True)]

    def _prepared(self, delivery: StateDelivery) -> Sending:
        """Return the updates that a delivery needs, without the values that Mixpanel could not keep."""
        values: dict[str, Json] = {}
        cleared: list[str] = []
        refused: dict[str, str] = {}
        for name, value in delivery.fields.items():
            wrong = _wrong(name, value)
            if wrong is not None:
                refused[name] = wrong
            elif value is None:
                cleared.append(name)
            else:
                values[name] = value
        updates: list[Update] = []
        if self._ctx.config.token is None:
            raise ConfigError("score.push needs the project's token", key=f"plugins.{self._ctx.instance}.token")
        where = {"$token": self._ctx.config.token.reveal(), **self.address(delivery.target.id)}
        if values:
            updates.append({**where, "$set": values})
        if cleared:
            updates.append({**where, "$unset": cleared})
        return Sending(updates, refused)

    async def _send(self, updates: Sequence[tuple[Sending, Update]]) -> None:
        """Send updates and note at each sending what came of it."""
        if not updates:
            return
        try:
            response = await self._post([update for _, update in updates])
        except RetryableError as error:
            _fail(updates, Outcome.failed(error))
            return
        except StatusError as error:
            await self._refused(updates, error.json(Verdict) or Verdict(), error.status)
            return
        verdict = _verdict(response)
        if verdict is None:
            _fail(updates, Outcome.unknown(f"{response.where}: the answer is not understood"))
        elif verdict.failed_records or not _accepted(verdict):
            await self._refused(updates, verdict, response.status)

    async def _post(self, updates: Sequence[Update]) -> Response:
        params = {"strict": 1, "verbose": 1, "ip": 0}
        return await self._api.ingestion.post(self.path, params=params, json=updates)

    async def _refused(self, updates: Sequence[tuple[Sending, Update]], verdict: Verdict, status: int) -> None:
        """Note which updates were refused; where that is not said, find out."""
        named = {int(record.index): record for record in verdict.failed_records or () if 0 <= record.index < len(updates)}
        if named:
            for index, record in named.items():
                sending, update = updates[index]
                sending.refused |= dict.fromkeys(_names(update), _reason(record))
            return
        if len(updates) > 1:
            middle = len(updates) // 2
            await self._send(updates[:middle])
            await self._send(updates[middle:])
            return
        sending, update = updates[0]
        why = "Mixpanel refuses it" if status < 300 else f"Mixpanel refuses it (HTTP {status})"
        sending.refused |= dict.fromkeys(_names(update), why)

    async def read(self, targets: Sequence[Target], fields: Sequence[str]) -> Sequence[Mapping[str, Json] | None]:
        """Return the present values; None for a profile that is gone."""
        page = await self._api.by_id([target.id for target in targets], **self.query())
        found = {text_of(profile.distinct_id): profile.properties for profile in page.rows}
        return [
            None if (present := found.get(target.id, self.absent)) is None else {name: present.get(name) for name in fields}
            for target in targets
        ]

    def normalise(self, field: str, value: Json) -> Json:
        """Return a value as Mixpanel gives it back: whole numbers without a fraction, nothing for an empty text."""
        del field
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return None if value == "" else value


class PushGroupProperties(PushProperties):
    """Sets properties of groups: of accounts. A group that is known by its events alone gets its profile by that."""

    target_types: ClassVar[tuple[str, ...]] = ("account",)
    path = "/groups"
    absent: ClassVar[Mapping[str, Json] | None] = {}

    def address(self, id_: str) -> Update:
        """Name the group."""
        return {"$group_key": self._ctx.config.group_key, "$group_id": id_}

    def query(self) -> dict[str, Any]:
        """Name the group key by its id."""
        return {"data_group_id": self._ctx.config.data_group_id}


class PushUserProperties(PushProperties):
    """Sets properties of users: of all people of an account."""

    target_types: ClassVar[tuple[str, ...]] = ("person",)
    path = "/engage"

    def address(self, id_: str) -> Update:
        """Name the user; `$ignore_time` keeps the user's own "last seen"."""
        return {"$distinct_id": id_, "$ignore_time": True}

    def query(self) -> dict[str, Any]:
        """Name nothing: users are meant where nothing else is named."""
        return {}


def pushing(ctx: Context[MixpanelConfig]) -> Sequence[Action]:
    """Return the action that the configuration asks for; none without a token, or without group profiles to write to."""
    config = ctx.config
    if config.token is None:
        return []
    if config.push_to == "user":
        return [PushUserProperties(ctx)]
    return [PushGroupProperties(ctx)] if config.data_group_id is not None else []


def _wrong(name: str, value: Json) -> str | None:
    """Return why Mixpanel could not keep a value under this name, or None."""
    if not name or len(name.encode()) > LONGEST:
        return f"a property's name has 1 to {LONGEST} bytes"
    if isinstance(value, str) and len(value.encode()) > LONGEST:
        return f"a property's text has up to {LONGEST} bytes, not {len(value.encode())}"
    return None


def _verdict(response: Response) -> Verdict | None:
    """Read the answer to updates: JSON for a strict or verbose request, else ``1`` or ``0``."""
    body = response.body.strip()
    if body in {b"0", b"1"}:
        return Verdict(status=int(body))
    try:
        return msgspec.json.decode(body, type=Verdict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _accepted(verdict: Verdict) -> bool:
    return verdict.code == 200 or verdict.status in {1, "OK", "ok"}


def _fail(updates: Sequence[tuple[Sending, Update]], outcome: Outcome) -> None:
    for sending, _ in updates:
        sending.failure = outcome


def _names(update: Update) -> Sequence[str]:
    return list(update.get("$set") or update["$unset"])


def _reason(record: FailedRecord) -> str:
    """Return why an update was refused. Mixpanel's message names fields and rules, and no values."""
    return f"Mixpanel refuses it: {record.message or 'invalid'} ({record.field or 'no field named'})"
