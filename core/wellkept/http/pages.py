"""Pagination: one loop, and three ways in which vendors say where the next page is."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar
from urllib.parse import urljoin

from wellkept.errors import FatalError, StuckCursorError
from wellkept.http.client import Client
from wellkept.http.messages import Params
from wellkept.http.rows import Envelope, Raw, Rows, decode_line, decode_rows, read_id
from wellkept.source import Reject

T = TypeVar("T")

REMEMBERED = 1024
"""Places of which each is known again at once; of older ones, one in ever longer distances."""

_LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[^\s=;,]+(?:\s*=\s*(?:\"(?:[^\"\\]|\\.)*\"|[^\s;,]*))?)*)")
_ATTRIBUTE = re.compile(r";\s*([^\s=;,]+)(?:\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;,]*)))?")

Path = Sequence[str]
"""Keys that lead to a value in a page."""


class Itinerary:
    """The places that were visited, in bounded memory: notices a page that leads back to one of them.

    The newest `REMEMBERED` are known one by one. Longer circles are found as in Brent's algorithm: one place is kept and
    compared with all that follow, and is replaced at distances that double.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._recent: OrderedDict[bytes, None] = OrderedDict()
        self._landmark = b""
        self._steps = 0
        self._distance = 1

    def visit(self, place: str) -> None:
        """Take note of a place.

        Raises:
            StuckCursorError: It was visited before. The message does not repeat it: it may be personal or secret.
        """
        digest = hashlib.blake2b(place.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest in self._recent or digest == self._landmark:
            raise StuckCursorError(f"{self._where}: the vendor's next page is one that was read before")
        self._recent[digest] = None
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)
        self._steps += 1
        if self._steps >= self._distance:
            self._landmark, self._steps, self._distance = digest, 0, self._distance * 2


async def cursor_pages(
    client: Client,
    path: str,
    row_type: type[T],
    *,
    param: str,
    cursor: Path | Callable[[Rows[T]], str | int | None],
    start: str | int | None = None,
    params: Params | None = None,
    method: str = "GET",
    rows: Path = ("data",),
    id_field: str = "id",
    **options: Any,
) -> AsyncGenerator[Rows[T], None]:
    """Yield pages whose successor is named by a cursor in the query.

    Args:
        client: Whom to ask.
        path: What for.
        row_type: See `decode_rows`, as for `rows` and `id_field`.
        param: The cursor's field in the query, such as ``starting_after``.
        cursor: Where a page has the next cursor, or a function of the page; None or "" ends.
        start: The first cursor, when reading goes on somewhere.
        params: The rest of the query.
        method: GET or POST.
        rows: Where a page has its rows.
        id_field: What names a row.
        options: As for `Client.request`.

    Raises:
        StuckCursorError: The cursor does not move, or moves in a circle.
    """
    places = Itinerary(path)
    following = start
    while True:
        query = params
        if following is not None:
            places.visit(str(following))
            query = {**(params or {}), param: following}
        response = await client.request(method, path, params=query, **options)
        page = decode_rows(response, row_type, path=rows, id_field=id_field)
        yield page
        following = _next(page, cursor)
        if following is None:
            return


async def token_pages(
    client: Client,
    path: str,
    row_type: type[T],
    *,
    token: Path | Callable[[Rows[T]], str | int | None],
    into: Path,
    start: str | int | None = None,
    json: Mapping[str, Any] | None = None,
    method: str = "POST",
    rows: Path = ("data",),
    id_field: str = "id",
    **options: Any,
) -> AsyncGenerator[Rows[T], None]:
    """Yield pages whose successor is named by a token in the JSON body of the request.

    Such requests are searches: they change nothing, and are tried again like reads unless ``retry=False``.

    Args:
        client: Whom to ask.
        path: What for.
        row_type: See `decode_rows`, as for `rows` and `id_field`.
        token: Where a page has the next token, or a function of the page; None or "" ends.
        into: Where the request has it, such as ``("page", "after")``.
        start: The first token, when reading goes on somewhere.
        json: The rest of the body.
        method: Usually POST.
        rows: Where a page has its rows.
        id_field: What names a row.
        options: As for `Client.request`.

    Raises:
        StuckCursorError: The token does not move, or moves in a circle.
    """
    places = Itinerary(path)
    following = start
    options.setdefault("retry", True)
    while True:
        body = dict(json or {})
        if following is not None:
            places.visit(str(following))
            body = _with(body, into, following)
        response = await client.request(method, path, json=body, **options)
        page = decode_rows(response, row_type, path=rows, id_field=id_field)
        yield page
        following = _next(page, token)
        if following is None:
            return


async def link_pages(
    client: Client,
    path: str,
    row_type: type[T],
    *,
    link: Path | Callable[[Rows[T]], str | None] | None = None,
    params: Params | None = None,
    rows: Path = ("data",),
    id_field: str = "id",
    **options: Any,
) -> AsyncGenerator[Rows[T], None]:
    """Yield pages that carry the address of the next one.

    Args:
        client: Whom to ask.
        path: The first page; or the link at which reading goes on.
        row_type: See `decode_rows`, as for `rows` and `id_field`.
        link: Where a page has the link, or a function of the page. None: in the header ``Link`` (RFC 8288), as
            ``rel="next"``.
        params: The query of the first page; later ones have their own.
        rows: Where a page has its rows.
        id_field: What names a row.
        options: As for `Client.request`.

    Raises:
        FatalError: A link leads to another server.
        StuckCursorError: The links lead in a circle.
    """
    places = Itinerary(path)
    address, query = path, params
    while True:
        response = await client.request("GET", address, params=query, **options)
        if query is None:
            places.visit(address)
        page = decode_rows(response, row_type, path=rows, id_field=id_field)
        yield page
        found = next_link(response.headers.get("link", "")) if link is None else _next(page, link)
        if found is None:
            return
        address, query = urljoin(response.url, str(found)), None


async def ndjson(
    client: Client, path: str, row_type: type[T], *, size: int = 1000, id_field: str = "id", **options: Any
) -> AsyncGenerator[Rows[T], None]:
    """Yield the rows of an NDJSON answer, `size` at a time, in flat memory.

    Args:
        client: Whom to ask.
        path: What for.
        row_type: What each line is decoded into.
        size: Lines that are handed over together.
        id_field: What names a row.
        options: As for `Client.stream_lines`.
    """
    rows: list[tuple[T, Raw]] = []
    rejects: list[Reject] = []
    last: bytes = b""
    async with aclosing(client.stream_lines(path, **options)) as lines:
        async for line in lines:
            last = line
            decoded = decode_line(line, row_type, id_field=id_field)
            if isinstance(decoded, Reject):
                rejects.append(decoded)
            else:
                rows.append(decoded)
            if len(rows) + len(rejects) >= size:
                yield Rows(rows, rejects, Envelope({}), read_id(last, id_field))
                rows, rejects = [], []
    if rows or rejects:
        yield Rows(rows, rejects, Envelope({}), read_id(last, id_field))


def next_link(header: str) -> str | None:
    """Return the target of ``rel="next"`` in a ``Link`` header (RFC 8288 section 3), or None."""
    for target, attributes in _LINK.findall(header):
        kinds = [quoted or plain for name, quoted, plain in _ATTRIBUTE.findall(attributes) if name.lower() == "rel"]
        if kinds and "next" in kinds[0].lower().split():  # a second rel does not count
            return str(target)
    return None


def _next(page: Rows[T], where: Path | Callable[[Rows[T]], str | int | None]) -> str | int | None:
    found = where(page) if callable(where) else page.rest.at(where)
    if found is None or found == "" or found is False:
        return None
    if isinstance(found, bool) or not isinstance(found, (str, int)):
        raise FatalError(f"the next page's place is {type(found).__name__}, not text")
    return found


def _with(body: dict[str, Any], path: Path, value: object) -> dict[str, Any]:
    """Return `body` with a value set at a path of keys; nothing that was passed in changes."""
    key, *deeper = path
    return {**body, key: _with(dict(body.get(key) or {}), deeper, value) if deeper else value}
