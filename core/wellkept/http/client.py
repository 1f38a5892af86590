"""The client: every request goes through here, and with it limits, deadlines, retries, signing and redaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, suppress
from functools import cache
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urljoin

import msgspec

from wellkept.clock import Clock
from wellkept.errors import ConfigError, CredentialsError, FatalError, RetryableError
from wellkept.http.auth import Auth, Session
from wellkept.http.body import ENCODINGS, BodyError, Lines, bounded, inflate
from wellkept.http.call import Call, Timing, in_time, run
from wellkept.http.errors import from_status
from wellkept.http.limit import Limiter, Permit, RateLimit, limiter
from wellkept.http.messages import Origin, Outgoing, Params, Response, is_absolute, join, pairs, split_url
from wellkept.http.retry import retry_after
from wellkept.http.salvage import is_cut
from wellkept.http.tap import listening
from wellkept.http.transport import Incoming, Progress, Transport, WireError
from wellkept.store import Store

Classify = Callable[[Response], Exception | None]
"""Looks at every answer first. Returns the error that it stands for, or None to leave it to the status."""

MAX_BYTES = 32 * 1024 * 1024
"""Decompressed bytes of an answer, unless the caller says otherwise."""

MAX_LINE = 1024 * 1024
"""Bytes of a line of NDJSON."""

MAX_ERROR_BYTES = 64 * 1024
"""What is kept of an answer that is no success."""

MAX_REDIRECTS = 5

TOKEN_SECONDS = 30.0
"""Deadline of a token endpoint: less than the lock around it lasts (`wellkept.store.tokens.LOCK_SECONDS`)."""

_MOVED = frozenset({301, 302, 303, 307, 308})
_HARMLESS = ("accept", "accept-encoding", "user-agent")

_log = logging.getLogger("wellkept.http")


class Client:
    """Talks to one vendor. `Context.http` makes it. An async context manager; usable again after it was closed.

    Its methods may raise:

    * `NotSentError`: nothing reached the vendor, or it answered 429;
    * `OutcomeUnknown`: a write left, and nobody knows what became of it;
    * `RetryableError`: a read failed for now;
    * `CredentialsError`: 401 after one refresh, or 403 (for a write `NotAllowedError`, which is a `NotSentError` as well);
    * `StatusError`: any other status that is no success;
    * `FatalError`: the answer is too large, or leads to another server.
    """

    def __init__(
        self,
        base_url: str,
        *,
        store: Store,
        clock: Clock,
        credential: str,
        auth: Auth | None = None,
        rate: RateLimit | None = None,
        headers: Mapping[str, str] | None = None,
        classify: Classify | None = None,
        register: Callable[[str], None],
        timing: Timing,
        random: Callable[[], float],
    ) -> None:
        try:
            self.origin, target = split_url(base_url)
        except FatalError as error:
            raise ConfigError(f"{credential}: {error.message}", guidance=error.guidance) from None
        self._base = f"{self.origin}{target.partition('?')[0]}".rstrip("/")
        self._store = store
        self._clock = clock
        self._credential = credential
        self._auth = auth
        self._rate = rate
        self._headers = {"accept": "application/json", "accept-encoding": ENCODINGS, "user-agent": _user_agent()}
        self._headers |= {name.lower(): value for name, value in (headers or {}).items()}
        self._classify = classify
        self._timing = timing
        self._random = random
        self._transport: Transport | None = None
        self.heard: tuple[str, int] | None = None
        """The `Date` header of the newest answer, and when it came by our clock."""
        if auth is not None:
            auth.bind(Session(clock, self._post_form, register))
            if self.origin.scheme == "http" and not self.origin.loopback:
                _log.warning("%s: credentials travel to %s unencrypted; use https", credential, self.origin)

    def __repr__(self) -> str:
        return f"Client({str(self.origin)!r}, credential={self._credential!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, after a token refresh under way has ended."""
        if self._auth is not None:
            await self._auth.aclose()
        if self._transport is not None:
            transport, self._transport = self._transport, None
            await transport.aclose()

    async def get(self, path: str, **options: Any) -> Response:
        """Do what `request` does with GET."""
        return await self.request("GET", path, **options)

    async def post(self, path: str, **options: Any) -> Response:
        """Do what `request` does with POST."""
        return await self.request("POST", path, **options)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: object = None,
        form: Params | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        retry: bool | None = None,
        deadline: float | None = None,
        max_bytes: int | None = None,
    ) -> Response:
        """Send a request and return the answer, read to its end.

        Args:
            method: GET, POST, ...
            path: Below the base URL; or a whole URL of the same origin, such as a vendor's link to the next page.
            params: The query.
            json: Body: anything that msgspec can encode.
            form: Body: fields of a form.
            content: Body: bytes; name their ``content-type`` in `headers`.
            headers: Besides those of the client.
            retry: Whether a failed try is repeated. By default reads are; a write should be only where the vendor takes an
                idempotency key and was given one.
            deadline: Seconds for everything, waiting and all tries included.
            max_bytes: Largest answer, decompressed.
        """
        call = self._call(method, path, params=params, body=(json, form, content), headers=headers, retry=retry)

        async def attempt() -> Response:
            return await self._request(call, max_bytes or MAX_BYTES)

        seconds = self._timing.deadline if deadline is None else deadline
        return await run(call, attempt, seconds, clock=self._clock, timing=self._timing, random=self._random)

    async def stream_lines(
        self,
        path: str,
        *,
        method: str = "GET",
        params: Params | None = None,
        json: object = None,
        form: Params | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        retry: bool | None = None,
        deadline: float | None = None,
        max_bytes: int | None = None,
        max_line: int = MAX_LINE,
    ) -> AsyncGenerator[bytes, None]:
        """Yield the lines of an NDJSON answer as they come, in flat memory.

        A failure before the first byte of the body is tried again as in `request`; after a later one, which raises, what was
        yielded stands. Blank lines are left out. A line longer than `max_line` is cut there, and so becomes a reject.

        Args:
            path: See `request`, as for all others that are not here.
            method: GET or POST.
            params: See there.
            json: See there.
            form: See there.
            content: See there.
            headers: See there.
            retry: See there.
            deadline: Seconds that the vendor may make us wait, from the first try to the last byte. What the caller takes
                between lines does not count.
            max_bytes: Largest answer, decompressed; None for any size.
            max_line: Bytes of the longest line.
        """
        call = self._call(method, path, params=params, body=(json, form, content), headers=headers, retry=retry)
        left = self._timing.stream if deadline is None else deadline
        begun = self._clock.monotonic()

        async def attempt() -> tuple[AsyncExitStack, AsyncIterator[bytes], bytes | None]:
            return await self._open_stream(call, max_bytes)

        stack, chunks, chunk = await run(call, attempt, left, clock=self._clock, timing=self._timing, random=self._random)
        lines = Lines(max_line)
        async with stack:
            left -= self._clock.monotonic() - begun
            while chunk is not None:
                for line in lines.feed(chunk):
                    yield line
                begun = self._clock.monotonic()
                async with in_time(call, left):
                    with call.exchanging():
                        chunk = await anext(chunks, None)
                left -= self._clock.monotonic() - begun
        if rest := lines.rest.strip():
            if is_cut(rest):
                raise call.failed("the answer was cut off")
            yield rest

    # --- one try ---

    async def _request(self, call: Call, max_bytes: int) -> Response:
        with call.trying():
            try:
                return await self._request_once(call, max_bytes)
            except CredentialsError:
                if not await self._refreshed(call):
                    raise
            return await self._request_once(call, max_bytes)

    async def _request_once(self, call: Call, max_bytes: int) -> Response:
        begun = self._clock.monotonic()
        async with AsyncExitStack() as stack:
            incoming, permit, out = await self._begin(call, stack)
            response = await self._read(call, incoming, permit, out, max_bytes)
        _log.debug("%s: HTTP %d in %d ms", call.where, response.status, (self._clock.monotonic() - begun) * 1000)
        await self._judge(call, response, out)
        if 200 <= response.status < 300 and _looks_cut(response):
            raise call.failed("the answer was cut off")
        return response

    async def _open_stream(
        self, call: Call, max_bytes: int | None
    ) -> tuple[AsyncExitStack, AsyncIterator[bytes], bytes | None]:
        with call.trying():
            try:
                return await self._open_stream_once(call, max_bytes)
            except CredentialsError:
                if not await self._refreshed(call):
                    raise
            return await self._open_stream_once(call, max_bytes)

    async def _open_stream_once(
        self, call: Call, max_bytes: int | None
    ) -> tuple[AsyncExitStack, AsyncIterator[bytes], bytes | None]:
        async with AsyncExitStack() as stack:
            incoming, permit, out = await self._begin(call, stack)
            if not 200 <= incoming.status < 300:
                response = await self._read(call, incoming, permit, out, MAX_ERROR_BYTES)
                await self._judge(call, response, out)
            chunks = bounded(inflate(_alive(incoming.chunks, permit), _encoding(incoming)), max_bytes)
            await stack.enter_async_context(aclosing(chunks))
            with call.exchanging():
                first = await anext(chunks, None)
            return stack.pop_all(), chunks, first

    async def _begin(self, call: Call, stack: AsyncExitStack) -> tuple[Incoming, Permit | None, Outgoing]:
        """Sign, wait for the limit, send, and follow redirects; leave the answer open on `stack`."""
        url, home = call.url, True
        for _ in range(MAX_REDIRECTS + 1):
            hop = await stack.enter_async_context(AsyncExitStack())
            out = call.outgoing()
            if url != call.url:
                out.url, out.params = url, []
            send = self._send_home if home else self._send_away
            incoming, permit = await send(call, out, hop)
            location = incoming.headers.get("location")
            if incoming.status not in _MOVED or call.write or not location:
                return incoming, permit, out
            await hop.aclose()
            url = urljoin(url, location)
            home = self._stays_home(call, url)
        raise FatalError(f"{call.where}: more than {MAX_REDIRECTS} redirects")

    async def _send_home(self, call: Call, out: Outgoing, stack: AsyncExitStack) -> tuple[Incoming, Permit | None]:
        with call.preparing():
            if self._auth is not None:
                await self._auth.apply(out)
            permit = await self._limiter.permit(call.deadline)
        stack.push_async_callback(permit.release)
        if self._transport is None:
            self._transport = self._open_transport(self.origin)
        call.progress = Progress()
        with call.exchanging():
            incoming = await stack.enter_async_context(
                self._transport.exchange(out.method, out.target, out.headers, out.content, call.progress)
            )
        permit.answered()
        if "date" in incoming.headers:
            self.heard = incoming.headers["date"], self._clock.now()
        return incoming, permit

    async def _send_away(self, call: Call, out: Outgoing, stack: AsyncExitStack) -> tuple[Incoming, Permit | None]:
        """Fetch from another server what the vendor's redirect names: without credentials, and outside of the limit."""
        origin, target = split_url(out.url)
        transport = self._open_transport(origin)
        stack.push_async_callback(transport.aclose)
        headers = {name: self._headers[name] for name in _HARMLESS}
        with call.exchanging():
            incoming = await stack.enter_async_context(transport.exchange(out.method, target, headers, None, call.progress))
        return incoming, None

    def _stays_home(self, call: Call, url: str) -> bool:
        """Whether a redirect leads to the same origin.

        Raises:
            FatalError: It leads where nobody should follow: out of TLS, or from the world into this machine.
        """
        origin, _ = split_url(url)
        if (self.origin.scheme == "https" and origin.scheme != "https") or (origin.loopback and not self.origin.loopback):
            raise FatalError(f"{call.where}: the vendor redirects to {origin}, which is not followed")
        return origin == self.origin

    async def _read(self, call: Call, incoming: Incoming, permit: Permit | None, out: Outgoing, max_bytes: int) -> Response:
        """Read the body. Of one that is no success, what there is: its status counts, even when the rest is broken."""
        parts: list[bytes] = []
        success = 200 <= incoming.status < 300
        try:
            chunks = bounded(
                inflate(_alive(incoming.chunks, permit), _encoding(incoming)), max_bytes if success else MAX_ERROR_BYTES
            )
            async with aclosing(chunks):
                async for chunk in chunks:
                    parts.append(chunk)  # noqa: PERF401 - what came before a failure is kept
        except (WireError, BodyError):
            if success:
                with call.exchanging():
                    raise
        return Response(incoming.status, incoming.headers, b"".join(parts), where=call.where, url=out.url.partition("?")[0])

    async def _judge(self, call: Call, response: Response, out: Outgoing) -> None:
        """Raise what the answer stands for. What the vendor asks us to wait, everybody who uses the credential waits."""
        error = self._classify(response) if self._classify is not None else None
        if error is None:
            after = retry_after(response.headers, self._clock.now())
            error = from_status(response, write=call.write, retry_after=after)
        if error is None:
            return
        if isinstance(error, RetryableError) and error.retry_after:
            with suppress(RetryableError):  # a busy store must not hide what the vendor said
                await self._limiter.block(error.retry_after)
        if isinstance(error, CredentialsError) and response.status != 403:
            call.refused = out
        raise error

    async def _refreshed(self, call: Call) -> bool:
        """Ask for another credential after a 401, once per request."""
        if self._auth is None or call.refused is None or call.refreshed:
            return False
        call.refreshed = True
        call.progress = Progress()
        with call.preparing():
            return await self._auth.refresh(call.refused)

    # --- making things ---

    @property
    def _limiter(self) -> Limiter:
        return limiter(self._store, self._clock, self._credential, self._rate)

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None,
        body: tuple[object, Params | None, bytes | None],
        headers: Mapping[str, str] | None,
        retry: bool | None,
    ) -> Call:
        if is_absolute(path):
            url = path.partition("#")[0]
            if split_url(url)[0] != self.origin:
                raise FatalError(f"{self._credential}: a link leads from {self.origin} to another server, and is not followed")
        else:
            url = join(self._base, path)
        json, form, content = body
        fields = dict(self._headers)
        if json is not None:
            content = msgspec.json.encode(json)
            fields["content-type"] = "application/json"
        elif form is not None:
            content = urlencode(pairs(form)).encode()
            fields["content-type"] = "application/x-www-form-urlencoded"
        fields |= {name.lower(): value for name, value in (headers or {}).items()}
        return Call(method.upper(), url, params=pairs(params), headers=fields, content=content, retry=retry)

    def _open_transport(self, origin: Origin) -> Transport:
        return Transport(origin, connect=self._timing.connect, read=self._timing.read)

    async def _post_form(self, url: str, form: Params, headers: Mapping[str, str]) -> Response:
        """Send a form to a token endpoint; see `wellkept.http.auth.Post`."""
        origin, target = split_url(url)
        if origin.scheme != "https" and not origin.loopback:
            raise ConfigError(f"{self._credential}: the token endpoint {origin} is not encrypted", guidance="use https")
        fields = {**{name: self._headers[name] for name in _HARMLESS}, "content-type": "application/x-www-form-urlencoded"}
        content = urlencode(pairs(form)).encode()
        transport = self._open_transport(origin)
        try:
            with listening(None):  # what is said here is secret
                async with (
                    asyncio.timeout(TOKEN_SECONDS),
                    transport.exchange("POST", target, fields | dict(headers), content, Progress()) as incoming,
                ):
                    chunks = bounded(inflate(incoming.chunks, _encoding(incoming)), MAX_ERROR_BYTES)
                    body = b"".join([chunk async for chunk in chunks])
                    return Response(incoming.status, incoming.headers, body)
        except (WireError, BodyError, TimeoutError) as error:
            reason = str(error) or f"no answer in {TOKEN_SECONDS:g} s"
        finally:
            await transport.aclose()
        raise RetryableError(f"{self._credential}: the token endpoint {origin}: {reason}")


async def _alive(chunks: AsyncIterator[bytes], permit: Permit | None) -> AsyncGenerator[bytes, None]:
    async for chunk in chunks:
        if permit is not None:
            await permit.alive()
        yield chunk


def _encoding(incoming: Incoming) -> str:
    return incoming.headers.get("content-encoding", "").strip().lower()


def _looks_cut(response: Response) -> bool:
    """Whether a JSON body lacks its end: some servers end a body that broke off as if it were whole."""
    if "json" not in response.headers.get("content-type", ""):
        return False
    first = response.body.lstrip()[:1]
    try:
        if first == b"{":
            response.members()
        elif first == b"[":
            msgspec.json.decode(response.body, type=msgspec.Raw)  # only walks over it
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return is_cut(response.body)
    return False


@cache
def _user_agent() -> str:
    from importlib.metadata import version

    return f"wellkept/{version('wellkept')}"
