"""What a connector that reads subclasses: `Source`, and the plain data it exchanges with core.

A source knows one vendor. It lists its streams, checks its credential, and yields batches; core owns cursors, commits,
retries, limits, deletions and history. The whole contract of a stream:

1. Core calls `Source.read` with the cursor that was committed last (None the first time).
2. The source yields `Batch` objects. Each carries a cursor from which reading could go on *after* that batch.
3. Core commits a batch's rows and its cursor together. A kill at any instant therefore loses nothing and repeats at most
   the batches after the last commit, which upsert to the same rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Literal

import msgspec

from wellkept.records import Json, Record

Cursor = Mapping[str, Json]
"""Where reading goes on: a JSON object that only its source understands. Never put a secret into it."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of row that a source can read on its own.

    Attributes:
        name: Unique in the source, such as ``invoices``.
        records: The record types that it is about; measures over these types are fed by it.
        includes: Types that ride along (side-loads). They are stored, but never deleted for their absence.
        doc: One sentence for the documentation and for `wellkept plugins`.
        scopes: Permissions it needs, in the vendor's words; `check` reports those that are missing.
        lookback: How far behind its cursor the *source* starts an incremental read, to catch rows that arrived late. Core
            never looks into a cursor; it shows this figure to people.
        backfill: Whether `read` can be given a window.
        stale_after: When data of this stream no longer count; None means after three missed runs, at least one day.
        deletes: ``absence``: a complete full read proves that what it did not yield is gone.
            ``rows``: the vendor reports deletions, which arrive in `Batch.deletions`.
            ``never``: rows are only added.
        depends_on: Streams of the same source that must have succeeded in this run before this one starts.
    """

    name: str
    records: tuple[type[Record], ...]
    doc: str
    includes: tuple[type[Record], ...] = ()
    scopes: tuple[str, ...] = ()
    backfill: bool = False
    lookback: timedelta = timedelta(0)
    stale_after: timedelta | None = None
    deletes: Literal["absence", "rows", "never"] = "rows"
    depends_on: tuple[str, ...] = ()


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A half-open span of time, ``start <= t < end``, epoch ms."""

    start: int
    end: int


class Replace(msgspec.Struct, frozen=True, kw_only=True):
    """A generation: *all* rows of `record` from this stream whose `field` lies in ``start <= value < end``.

    What is stored in that range and is not in the generation is removed in the commit that swaps it in, so that a day read
    twice never doubles. `field` is an integer instant or an ISO day, and the bounds are of the same kind.
    """

    record: type[Record]
    field: str
    start: int | str
    end: int | str


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """A row that could not be understood, on its way to the dead letters.

    Attributes:
        raw: The bytes as the vendor sent them; empty when there are none (a record that failed core's own validation).
        reason: Why, naming the field: ``Expected `int`, got `str` - at `$.amount_due```.
        id: The vendor's id of the row, if that much could be read. A stored row with this id is kept as it was.
    """

    raw: bytes
    reason: str
    id: str | None = None


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """A row that the vendor says is gone. It stays known as deleted, so that an older reading cannot bring it back.

    Attributes:
        record: Its type.
        id: The vendor's id.
        version: On the scale of the type's versions.
        at: When it was deleted, epoch ms; None means when it was observed.
    """

    record: type[Record]
    id: str
    version: int
    at: int | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What a source yields: rows, and the place after them.

    Attributes:
        records: Canonical records, of the types that the stream declares. Keep a batch below about 1,000 rows.
        deletions: Rows that are gone.
        cursor: Where reading goes on after this batch; None leaves the stored cursor as it is.
        rejects: Rows of this batch that could not be mapped.
        replaces: The generation that this batch belongs to. Consecutive batches with an equal `replaces` are one generation:
            their rows are kept aside, and swapped in together with the cursor by the batch that says ``last``. Leave
            `cursor` None until then. A read that ends before that starts the generation again.
        last: This batch is its generation's last (with `replaces` only).
        complete: This batch ends a read that began with ``cursor=None`` and left nothing out, possibly over several runs.
            Ignored for a read with a window.
    """

    records: Sequence[Record] = ()
    deletions: Sequence[Deletion] = ()
    cursor: Cursor | None = None
    rejects: Sequence[Reject] = ()
    replaces: Replace | None = None
    last: bool = True
    complete: bool = False


class ReadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What core asks of `Source.read`.

    Attributes:
        stream: One of the source's streams.
        cursor: The last committed cursor. None asks for everything.
        window: Only rows whose own time lies in it (a backfill; streams with ``backfill=True`` only). Cursors of such a read
            are kept apart from the live one, so that a backfill that was cut off goes on where it stopped.
    """

    stream: Stream
    cursor: Cursor | None = None
    window: Window | None = None


class Hint(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook said: *something happened to this object*. Its content is read again from the vendor.

    Attributes:
        id: The vendor's id of the delivery. The same (id, stream, object_id) twice is one hint.
        stream: The stream that the object belongs to.
        object_id: What `FetchingSource.fetch` is called with; None asks for an incremental read of the stream instead.
        at: When the vendor says that it happened, epoch ms.
    """

    id: str
    stream: str
    object_id: str | None
    at: int


class WebhookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as it came over the wire. Header names are lower case; `url` is the public one, as some vendors sign it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    received_at: int


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What a genuine webhook amounts to.

    Attributes:
        hints: What to read again; empty for an event of no interest.
        reply: Body of the answer, for vendors that want a challenge returned.
        vendor_account: The vendor account that it speaks of, if it says; another one than the instance's is refused.
        mode: Likewise.
    """

    hints: Sequence[Hint] = ()
    reply: bytes = b""
    vendor_account: str | None = None
    mode: Literal["live", "test"] | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a check: what was looked at, whether it is well, and what to do if not."""

    name: str
    ok: bool
    message: str
    mend: str | None = None


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `Source.check`.

    Attributes:
        findings: One per thing looked at, permission by permission.
        vendor_account: The vendor's id of the account behind the credential. Core remembers it and refuses another one.
        mode: Whether that account handles real customers.
        expires_at: When the credential ends, epoch ms, where a person must renew it by then and the vendor tells. There is an
            alert in time.
    """

    findings: Sequence[Finding]
    vendor_account: str | None = None
    mode: Literal["live", "test"] | None = None
    expires_at: int | None = None

    @property
    def ok(self) -> bool:
        """Whether every finding is well."""
        return all(finding.ok for finding in self.findings)


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a read would cost.

    Attributes:
        calls: Requests, at most; None when the vendor gives no way to know.
        quota_share: The part of the vendor's quota that they use up, 0 to 1 or above; None without a quota.
        seconds: Duration under the vendor's permitted rate; None when unknown.
    """

    calls: int | None
    quota_share: float | None = None
    seconds: float | None = None


class Source(ABC):
    """Reads one vendor. Subclass it, and return an instance from the `sources` hook.

    Methods may raise the errors of `wellkept.errors`; their class decides what core does. A source keeps no state
    between calls beyond its context: everything that must survive is in the cursor.
    """

    @abstractmethod
    def streams(self) -> Sequence[Stream]:
        """Return the streams, in the order in which a reader should see them. Makes no calls."""

    @abstractmethod
    async def check(self) -> CheckResult:
        """Try the credential, read-only, and say what works and what is missing.

        A refused credential is a finding, not an exception; a vendor that cannot be reached raises `RetryableError`.
        """

    @abstractmethod
    def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        """Yield the rows that `request` asks for. Returning means: caught up.

        Raises:
            CursorExpiredError: The cursor counts no more; everything is to be read again.
        """

    async def estimate(self, stream: Stream, cursor: Cursor | None) -> Estimate:
        """Say what reading on from `cursor` would cost, with a handful of calls at most."""
        del stream, cursor
        return Estimate(calls=None)


class FetchingSource(Source):
    """A source that can read single objects: for webhooks, dead letters, and a last look before a message is sent."""

    @abstractmethod
    async def fetch(self, stream: Stream, ids: Sequence[str]) -> Batch:
        """Read single objects again. One that is gone yields a `Deletion`. The batch carries no cursor."""


class WebhookSource(FetchingSource):
    """A source whose vendor tells it about changes. A webhook is only a hint: what changed is read again by id."""

    @abstractmethod
    def receive(self, request: WebhookRequest) -> Received:
        """Verify a webhook on its raw bytes and return what it hints at.

        Must be fast and must not call anybody: the vendor waits.

        Raises:
            SignatureError: The signature is wrong, missing, too old or from the future (answered 401, nothing stored).
            RejectedError: The body is authentic but not understood (answered 200, kept as a dead letter).
        """
