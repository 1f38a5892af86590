"""One request through all of its tries: what is repeated, when, and what its failure means in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from wellkept.clock import Clock
from wellkept.errors import (
    ConfigError,
    CredentialsError,
    FatalError,
    NotSentError,
    RejectedError,
    RetryableError,
    WellkeptError,
)
from wellkept.http.body import BodyError
from wellkept.http.errors import NotAllowedError, OutcomeUnknown, StatusError
from wellkept.http.messages import Outgoing, shown, split_url
from wellkept.http.retry import backoff
from wellkept.http.transport import Progress, WireError

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

READS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 section 9.2.1), and are therefore tried again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """How long things may take, in seconds.

    Attributes:
        connect: Until a connection stands.
        read: Without any byte from the vendor.
        deadline: A request as a whole: waiting for the limit, all tries, the body.
        stream: What a streamed answer may make us wait for the vendor, all in all.
        patience: A `Retry-After` longer than that is not sat out, but handed to the caller.
        attempts: Tries at most (no seconds).
    """

    connect: float = 10.0
    read: float = 60.0
    deadline: float = 120.0
    stream: float = 3600.0
    patience: float = 60.0
    attempts: int = 8


class Call:
    """A request and its state.

    Attributes:
        where: Method and path, for messages.
        write: Whether it may change something at the vendor.
        deadline: On the clock's `monotonic`.
        progress: Of the try under way.
        refused: The try that the vendor answered with 401.
        refreshed: Another credential was asked for.
    """

    def __init__(
        self,
        method: str,
        url: str,
        *,
        params: list[tuple[str, str]],
        headers: dict[str, str],
        content: bytes | None,
        retry: bool | None,
    ) -> None:
        self.method = method
        self.url = url
        self.write = method not in READS
        self.retry = not self.write if retry is None else retry
        self.where = f"{method} {shown(split_url(url)[1])}"
        self.deadline = 0.0
        self.progress = Progress()
        self._doubtful: Exception | None = None
        self.refused: Outgoing | None = None
        self.refreshed = False
        self._params = params
        self._headers = headers
        self._content = content

    def outgoing(self) -> Outgoing:
        """Return a fresh copy for the next try."""
        return Outgoing(self.method, self.url, dict(self._headers), list(self._params), self._content)

    def failed(self, reason: str) -> RetryableError:
        """Return the error of a try that failed for now, and take note if it leaves a doubt."""
        message = f"{self.where}: {reason}"
        if not self.progress.sent:
            return NotSentError(message)
        error = RetryableError(message)
        self._note_doubt(error)
        return error

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Tell failures of what comes before sending, such as fetching a token or waiting for the limit."""
        try:
            yield
        except (CredentialsError, ConfigError) as error:
            if not self.write:
                raise
            missing = error.missing if isinstance(error, CredentialsError) else ()
            raise NotAllowedError(f"{self.where}: {error}", missing=missing) from error
        except NotSentError:
            raise
        except RetryableError as error:
            raise NotSentError(f"{self.where}: {error}", retry_after=error.retry_after) from error

    @contextmanager
    def exchanging(self) -> Iterator[None]:
        """Tell failures of the exchange itself. A write whose answer is of no use may have been done all the same."""
        try:
            yield
        except WireError as error:
            if error.fatal and not self.write:
                raise FatalError(f"{self.where}: {error}") from None
            raise self.failed(str(error)) from None
        except BodyError as error:
            reason = f"the answer cannot be used: {error}"
            if not error.cut and not self.write:
                raise FatalError(f"{self.where}: {reason}") from None
            raise self.failed(reason) from None

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Keep account of one try: of doubt, and of its end."""
        self.progress = Progress()
        self.refused = None
        try:
            yield
        except Exception as error:
            self._note_doubt(error)
            self.progress = Progress()  # this try is over, and its outcome told
            raise

    def _note_doubt(self, error: Exception) -> None:
        """Remember that a write may have been done all the same: all that we do not know to be a refusal leaves doubt."""
        if self.write and self.progress.sent and not isinstance(error, (NotSentError, CredentialsError, RejectedError)):
            self._doubtful = error

    def concluded(self, error: WellkeptError) -> WellkeptError:
        """Return what a failure means when all tries are taken into account.

        Where one of them is in doubt, a later "refused" or "not sent" says nothing about it. Only a vendor that judged the
        request itself has spoken for all tries, as they carry the same idempotency key; 409 is what vendors answer while an
        earlier one is under way.
        """
        judged = isinstance(error, RejectedError) and not (isinstance(error, StatusError) and error.status == 409)
        if self._doubtful is None or judged:
            return error
        after = error.retry_after if isinstance(error, RetryableError) else None
        earlier = "" if error is self._doubtful else "an earlier try may have been done; then "
        return OutcomeUnknown(f"{earlier}{error.message}", retry_after=after)


async def run(
    call: Call,
    attempt: Callable[[], Awaitable[T]],
    seconds: float,
    *,
    clock: Clock,
    timing: Timing,
    random: Callable[[], float],
) -> T:
    """Make tries until one succeeds, or trying again is no use or comes too late.

    The first try is made plainly: most succeed, and tenacity's account of tries takes as long as a try's own work.

    Args:
        call: The request.
        attempt: Makes one try.
        seconds: For everything.
        clock: Waits go by it.
        timing: See there.
        random: Uniform in 0 to 1, for the back-off.
    """

    def again(error: BaseException) -> bool:
        return call.retry and isinstance(error, RetryableError) and not isinstance(error, CredentialsError)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, RetryableError) else None
        return asked or backoff(state.attempt_number, random)

    def stop(state: RetryCallState) -> bool:
        late = clock.monotonic() + state.upcoming_sleep > call.deadline
        return late or state.attempt_number >= timing.attempts or state.upcoming_sleep > timing.patience

    async def retried(failure: Exception) -> T:
        from tenacity import AsyncRetrying, retry_if_exception

        failures = [failure]

        async def next_try() -> T:
            if failures:
                raise failures.pop()
            return await attempt()

        retrying = AsyncRetrying(sleep=clock.sleep, wait=wait, stop=stop, retry=retry_if_exception(again), reraise=True)
        return await retrying(next_try)

    call.deadline = clock.monotonic() + seconds
    try:
        async with in_time(call, seconds):
            try:
                return await attempt()
            except RetryableError as error:
                if not again(error):
                    raise
                failure = error
            return await retried(failure)
    except WellkeptError as error:
        concluded = call.concluded(error)
        if concluded is error:
            raise
        raise concluded from error


class in_time:  # noqa: N801 - reads as a function, like asyncio.timeout
    """Cut what is inside off after so many seconds, and tell it by how far the request got."""

    def __init__(self, call: Call, seconds: float) -> None:
        self._call = call
        self._seconds = seconds
        self._limit = asyncio.timeout(max(seconds, 0.0))

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()

    async def __aexit__(self, *failure: object) -> None:
        try:
            await self._limit.__aexit__(*failure)  # type: ignore[arg-type]
        except TimeoutError:
            raise self._call.failed(f"took longer than {self._seconds:g} s") from None
