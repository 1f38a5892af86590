"""Talking to Stripe: one client for reads and writes, the version pinned, and the time on Stripe's own clock.

Versions of records. Stripe's objects do not say when they changed, so a reading is placed in time like this, in whole seconds
*on Stripe's clock* (its ``Date`` header), so that a clock of ours that is wrong does no harm:

* What was asked for has the second in which it was asked for: its state is of that second, or newer.
* What an event shows has the event's second; events are not known more exactly.

So a change is never behind a reading that does not hold it: its event has a later second, or the same one, and of two equal
versions the one observed later counts. The opposite error, an event from just before a reading that is put after it, is
harmless: it shows the same state, or one whose own event is read as well and comes later. Two events of one object in the same
second cannot be put in order this way; the object is then read again by id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from wellkept import Reject
from wellkept.errors import CredentialsError, FatalError, StuckCursorError
from wellkept.http import Bearer, NotAllowedError, RateLimit, Response, StatusError, decode_rows
from wellkept_stripe.wire import API_VERSION, ErrorAnswer

if TYPE_CHECKING:
    from wellkept import Context
    from wellkept.http import Client
    from wellkept_stripe.config import StripeConfig

PAGE = 100
"""Rows a page, the most that Stripe gives."""

_PERMISSION = re.compile(r"'(rak_\w+)'")
_ACCOUNT = re.compile(r"'(acct_\w+)'")

Params = Mapping[str, Any]
"""The query; None leaves a field out, a list repeats it."""

T = TypeVar("T")


class MissingPermissionError(CredentialsError):
    """A restricted key lacks a permission. `vendor_account` is what the refusal says whose key it is."""

    vendor_account: str | None = None


class Answer(NamedTuple):
    """An answer, and when it was asked for: epoch seconds on Stripe's clock, rounded down."""

    response: Response
    asked_at: int


class Absence(NamedTuple):
    """Stripe does not have it, or not any more; when it was asked for."""

    asked_at: int


class Rows(NamedTuple, Generic[T]):
    """A page of a list."""

    rows: list[tuple[T, msgspec.Raw]]
    rejects: list[Reject]
    has_more: bool
    last_id: str | None
    asked_at: int


def connect(ctx: Context[StripeConfig]) -> Client:
    """Return the client that everything goes through; all uses of one key share its limit."""
    return ctx.http(
        ctx.config.api_base,
        auth=Bearer(ctx.config.api_key),
        rate=RateLimit(requests=ctx.config.requests_per_second, per=1.0),
        headers={"Stripe-Version": API_VERSION},
        classify=refusal,
    )


def refusal(response: Response) -> Exception | None:
    """Return the error of a missing permission, which Stripe names in the body of a 403; leave the rest to the status."""
    if response.status != 403:
        return None
    said = complaint(response.body)
    names = tuple(dict.fromkeys(_PERMISSION.findall(said)))
    guidance = "edit the restricted key in the Dashboard, or make one as the plugin's README shows"
    message = f"{response.where}: the key lacks {', '.join(names) or 'a permission'}"
    if not response.where.startswith("GET"):
        return NotAllowedError(message, missing=names, guidance=guidance)
    error = MissingPermissionError(message, missing=names, guidance=guidance)
    account = _ACCOUNT.search(said)
    error.vendor_account = account[1] if account else None
    return error


def complaint(body: bytes) -> str:
    """Return what an error answer says, for looking things up in it; it may repeat what was sent, so it is never shown."""
    try:
        return msgspec.json.decode(body, type=ErrorAnswer).error.message or ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def error_code(error: StatusError) -> str | None:
    """Return Stripe's code of an error, such as ``resource_missing``."""
    answer = error.json(ErrorAnswer)
    return None if answer is None else answer.error.code


class Api:
    """Reads from Stripe."""

    def __init__(self, ctx: Context[StripeConfig]) -> None:
        self._client = connect(ctx)
        self._clock = ctx.clock

    async def get(self, path: str, params: Params | None = None) -> Answer:
        """Read one thing. Raises as `wellkept.http.Client.request` does."""
        begun, now = self._clock.monotonic(), self._clock.now()
        response = await self._client.get(path, params=params)
        return Answer(response, asked_at(response.headers, now, self._since(begun)))

    async def find(self, path: str, params: Params | None = None) -> Answer | Absence:
        """Read one thing that may not be there."""
        begun, now = self._clock.monotonic(), self._clock.now()
        try:
            return await self.get(path, params)
        except StatusError as error:
            if error.status == 404 or error_code(error) == "resource_missing":
                return Absence(asked_at(error.headers, now, self._since(begun)))
            raise

    def _since(self, begun: float) -> int:
        return round((self._clock.monotonic() - begun) * 1000)

    async def page(self, path: str, row_type: type[T], params: Params) -> Rows[T]:
        """Read one page of a list.

        Raises:
            FatalError: There are more rows, but no row says after which one to go on.
            StuckCursorError: The page does not move on.
        """
        answer = await self.get(path, {"limit": PAGE, **params})
        page = decode_rows(answer.response, row_type)
        has_more = page.rest.get("has_more") is True
        last_id = page.last_id
        if has_more and last_id is None:
            last_id = getattr(page.rows[-1][0], "id", None) if page.rows else None
            if last_id is None:
                raise FatalError(f"GET {path}: no row of the page has an id, so the next page cannot be asked for")
        if has_more and last_id == params.get("starting_after"):
            raise StuckCursorError(f"GET {path}: the next page is the one that was read before")
        return Rows(page.rows, page.rejects, has_more, last_id, answer.asked_at)

    async def all(self, path: str, row_type: type[T], params: Params) -> list[T]:
        """Read a short list to its end; a row that cannot be understood spoils it.

        Raises:
            FatalError: One cannot be understood.
        """
        found: list[T] = []
        after: str | None = None
        while True:
            page = await self.page(path, row_type, {**params, "starting_after": after})
            if page.rejects:
                raise FatalError(f"GET {path}: {page.rejects[0].reason}")
            found += [row for row, _ in page.rows]
            if not page.has_more:
                return found
            after = page.last_id


def version_at(second: int) -> int:
    """Return the version of a reading that was asked for, or of an event that happened, in this second."""
    return second * 1000


def asked_at(headers: Mapping[str, str], now: int, took: int) -> int:
    """Return the second in which an answer was asked for, on the vendor's clock, never later than it was.

    Args:
        headers: Of the answer; its ``Date`` is known to the second, and rounded down.
        now: Our own time when it was asked for, epoch ms; used where there is no ``Date``.
        took: Milliseconds until it was there.
    """
    try:
        date = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, TypeError):
        return now // 1000
    return (int(date.timestamp()) * 1000 - took) // 1000
