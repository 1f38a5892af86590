"""What touches the world: `StateAction`, `OnceAction` and `MessageAction`, one for each kind of effect.

An action serves one capability of one vendor. It gets claimed deliveries, makes the calls, and says per row what came of
them. Core owns the outbox: dry run, approval, limits, retries, claims and the rules of each kind. An action never retries,
never sleeps and never decides.

What an exception means is the same for all three: after `NotSentError` the rows are tried again later; after any other one,
and after an answer of the wrong length, the outcome of every row of the call is *unknown*. For a ``state`` effect that is
harmless; for the other kinds somebody has to look. So an action that loops over its rows catches per row (`Outcome.failed` says
what an error amounts to), or sets ``max_batch = 1``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import ClassVar, Generic, Literal, TypeVar

import msgspec

from wellkept.effects import MessageSend, Payload, Target
from wellkept.errors import CredentialsError, NotSentError, RetryableError
from wellkept.records import Json
from wellkept.source import CheckResult

P = TypeVar("P", bound=Payload)


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """A person, resolved from a role just before sending.

    Attributes:
        address: E-mail address.
        name: For the greeting.
        locale: BCP 47 tag, resolved.
        person: The vendor's record of that person, where there is one.
    """

    address: str
    name: str | None
    locale: str
    person: Target | None = None


class Delivery(msgspec.Struct, Generic[P], frozen=True, kw_only=True):
    """One claimed effect, ready to be sent.

    Attributes:
        key: The effect's full key.
        idempotency_key: Derived from `key`, the same for every try: 64 ASCII characters at most, safe as a header and in a
            searchable field. Never build another one.
        payload: What to do.
        target: The vendor record, where there is one.
        account: The canonical account id.
        recipient: Who is meant, for payloads with a `to` or an `assignee`.
        attempt: 1 for the first try.
        first_sent_at: When the first try was claimed, epoch ms.
        sent_at: When this try (for `look_up`: the try in doubt) was claimed, epoch ms.
    """

    key: str
    idempotency_key: str
    payload: P
    target: Target | None
    account: str | None
    recipient: Recipient | None = None
    attempt: int
    first_sent_at: int
    sent_at: int


class StateDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """Values to set on one vendor record: only those that the vendor does not have from us yet.

    Attributes:
        key: The effect's full key.
        target: The vendor record.
        fields: Field name to new value; None clears it.
        restores: The values are those that stood there before us: an undo. An action that only ever raises or adds may
            lower or take away here.
    """

    key: str
    target: Target
    fields: Mapping[str, Json]
    restores: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one delivery. Build it with the class methods."""

    status: Literal["done", "rejected", "retry", "unknown"]
    reason: str = ""
    ref: str | None = None
    fields: Mapping[str, str] = {}
    retry_after: float | None = None

    @classmethod
    def done(cls, *, ref: str | None = None) -> Outcome:
        """The vendor accepted it. `ref` is the vendor's id of what was made."""
        return cls(status="done", ref=ref)

    @classmethod
    def rejected(cls, reason: str, *, fields: Mapping[str, str] | None = None) -> Outcome:
        """The vendor refused it for good; the reason is shown to people.

        With `fields` (field name to reason) only those were refused, and the delivery's others were accepted.
        """
        return cls(status="rejected", reason=reason, fields=fields or {})

    @classmethod
    def retry(cls, reason: str, *, after: float | None = None) -> Outcome:
        """The vendor certainly did *not* do it, and may do so later. `after` is in seconds."""
        return cls(status="retry", reason=reason, retry_after=after)

    @classmethod
    def unknown(cls, reason: str) -> Outcome:
        """Nobody can say whether it was done: a time-out, a dropped connection, a 5xx without a promise."""
        return cls(status="unknown", reason=reason)

    @classmethod
    def failed(cls, error: RetryableError) -> Outcome:
        """What an error of the vendor's client says of a write: `retry` after `NotSentError`, which is certain, else `unknown`.

        Raises:
            CredentialsError: The error is one: it ends the call and pauses the instance, and no row has an outcome of its own.
        """
        if isinstance(error, CredentialsError):
            raise error
        if isinstance(error, NotSentError):
            return cls.retry(error.message, after=error.retry_after)
        return cls.unknown(error.message)

    def without(self, refused: Mapping[str, str]) -> Outcome:
        """Return the outcome of a row whose other fields went as this one says.

        Args:
            refused: Why fields were left out of the call, by name. They join those that the vendor refused; a row that failed
                as a whole stays as it is.
        """
        if not refused or self.status in {"retry", "unknown"} or (self.status == "rejected" and not self.fields):
            return self
        every = {**self.fields, **refused}
        return Outcome.rejected("; ".join(sorted(set(every.values()))), fields=every)


class Action(ABC):
    """Base of the three; subclass one of them instead."""

    payload: ClassVar[type[Payload]]
    """The payload type that it serves; names the capability."""
    max_batch: ClassVar[int] = 1
    """How many deliveries one call may get."""

    async def check(self) -> CheckResult | None:
        """Try the connection without changing anything, and say what works; None leaves that to the instance's source.

        For plugins that only act. The same rules as for `Source.check`.
        """
        return None


class StateAction(Action):
    """Sets values of vendor records: sending again is harmless."""

    target_types: ClassVar[tuple[str, ...]] = ("account",)
    """Record types that it can change. Core finds an account's record at this vendor by them."""

    @abstractmethod
    async def deliver(self, deliveries: Sequence[StateDelivery]) -> Sequence[Outcome]:
        """Set the values and return one outcome per delivery, in their order."""

    @abstractmethod
    async def read(self, targets: Sequence[Target], fields: Sequence[str]) -> Sequence[Mapping[str, Json] | None]:
        """Return the vendor's present values of `fields`, per target; None for a target that is gone.

        Core keeps them as prior values before the first push, shows them in the diff of a dry run, and compares them in
        `effects undo`, which restores only where ours stand.
        """

    def normalise(self, field: str, value: Json) -> Json:
        """Return a value as the vendor would give it back (``72`` as ``"72"``); applied before values are compared."""
        del field
        return value


class OnceAction(Action, Generic[P]):
    """Does something that must not be done twice."""

    idempotency_window: ClassVar[timedelta] = timedelta(0)
    """How long the vendor honours an idempotency key. Zero: not at all."""
    settle_after: ClassVar[timedelta] = timedelta(0)
    """How long after a try in doubt `look_up` can be trusted (a search index that lags, say)."""

    @abstractmethod
    async def deliver(self, deliveries: Sequence[Delivery[P]]) -> Sequence[Outcome]:
        """Perform them and return one outcome per delivery, in their order."""

    @abstractmethod
    async def look_up(self, delivery: Delivery[P]) -> Outcome | None:
        """Find out what became of a delivery whose outcome is unknown.

        Returns:
            `Outcome.done` or `Outcome.rejected` if the vendor knows it, `Outcome.retry` only if the vendor *certainly* does
            not have it, None if that cannot be told; then a person decides.
        """


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """What a message action can send.

    Attributes:
        name: What `MessageSend.template` refers to.
        purpose: ``marketing`` needs consent and stops on unsubscription; ``transactional`` does not.
        locales: Languages it exists in, the default first.
        variables: What it needs in `MessageSend.variables`.
    """

    name: str
    purpose: Literal["transactional", "marketing"]
    locales: tuple[str, ...]
    variables: tuple[str, ...] = ()


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What core adds to a message just before it is sent.

    Attributes:
        recipient: To whom.
        purpose: The template's.
        account_name: For the text.
        unsubscribe_url: Core's own signed link (GET shows a form; POST does it in one click, RFC 8058); set for marketing.
    """

    recipient: Recipient
    purpose: Literal["transactional", "marketing"]
    account_name: str | None = None
    unsubscribe_url: str | None = None


class MessageAction(Action):
    """Sends messages. Quiet hours, caps, consent and suppression have been checked when `send` is called."""

    payload: ClassVar[type[Payload]] = MessageSend

    @abstractmethod
    def templates(self) -> Sequence[Template]:
        """Return the templates; core refuses a message with an unknown one or with a variable missing when it is planned."""

    @abstractmethod
    async def send(self, delivery: Delivery[MessageSend], envelope: Envelope) -> Outcome:
        """Send one message, and return when the next server has taken responsibility for it."""
