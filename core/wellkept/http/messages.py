"""What goes out and what comes back: `Outgoing` and `Response`, and addresses that stay where they belong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, overload
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from wellkept.errors import FatalError, RetryableError

T = TypeVar("T")

Scalar = str | int | float | bool
Params = Mapping[str, Scalar | Sequence[Scalar] | None]
"""Query or form fields. None leaves a field out, a list repeats it, booleans become ``true`` and ``false``."""

LONGEST_SHOWN = 40
"""Characters of a path segment that messages show; a longer one may be a token."""

REQUEST_IDS = ("request-id", "x-request-id", "x-correlation-id", "x-hubspot-correlation-id", "x-zendesk-request-id")
"""Headers in which vendors name a request; support people ask for it."""

UNFIT = re.compile(r"[^\x20-\x7e\xa0-\xff]")
"""Characters that no header can carry; line breaks above all."""

_PORTS = {"http": 80, "https": 443}
_SAFE = "/%:=&?~+!$,;'@()*[]-._"
_PLAIN_ID = re.compile(r"[\w.:-]{1,80}")


class Origin(NamedTuple):
    """Scheme, host and port: whom a credential belongs to."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Return host and port as they stand in a URL, the port left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.has_usual_port else f"{host}:{self.port}"

    @property
    def has_usual_port(self) -> bool:
        """Whether the port is the scheme's own."""
        return self.port == _PORTS[self.scheme]

    @property
    def loopback(self) -> bool:
        """Whether it is this machine."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def split_url(url: str) -> tuple[Origin, str]:
    """Split an absolute URL into its origin and its target (path and query).

    Raises:
        FatalError: It is no http(s) URL, or carries a user and password, which belong into `auth`.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        origin = Origin(parts.scheme, (host or "").encode("idna").decode(), port or _PORTS[parts.scheme])
    except (KeyError, ValueError):  # the message would repeat the URL
        origin = Origin("", "", 0)
        parts = urlsplit("")
    if not origin.host:
        raise FatalError("this is not the URL of a server: it must begin with https:// or http:// and name a host")
    if "@" in parts.netloc:
        raise FatalError(f"the URL of {origin} carries a user or password", guidance="give them as auth=Basic(...)")
    target = quote(parts.path or "/", safe=_SAFE)
    return origin, f"{target}?{quote(parts.query, safe=_SAFE)}" if parts.query else target


def is_absolute(path: str) -> bool:
    """Whether a path is a whole URL."""
    return path[:8].lower().startswith(("http://", "https://"))


def join(base: str, path: str) -> str:
    """Append a relative path (and its query, if it has one) to a base path. It cannot lead to another host."""
    tail = quote(path, safe=_SAFE).lstrip("/")
    return f"{base.rstrip('/')}/{tail}" if tail else base


def pairs(fields: Params | None) -> list[tuple[str, str]]:
    """Return fields as pairs of text."""
    found: list[tuple[str, str]] = []
    for name, value in (fields or {}).items():
        values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        found += [(name, _text(item)) for item in values if item is not None]
    return found


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def shown(target: str) -> str:
    """Return a path as messages may show it: without its query, and without segments that may be personal or secret."""
    path = target.partition("?")[0]
    return "/".join(
        "*" if len(part) > LONGEST_SHOWN or "@" in part or "%40" in part or not part.isprintable() else part
        for part in path.split("/")
    )


def vendor_id(headers: Mapping[str, str]) -> str:
    """Return the vendor's id of a request as a note for messages; empty where there is none."""
    for name in REQUEST_IDS:
        if (value := headers.get(name)) and _PLAIN_ID.fullmatch(value):
            return f" ({name} {value})"
    return ""


class Outgoing:
    """One attempt at a request, as `Auth.apply` sees and changes it.

    Attributes:
        method: In upper case.
        url: Where it goes; a link of the vendor's own may carry a query.
        headers: Names are lower case.
        params: The query, as pairs; comes after that of `url`.
        content: The body.
        credential: What `Auth.apply` used, so that `Auth.refresh` can tell whether it is still the present one.
    """

    __slots__ = ("content", "credential", "headers", "method", "params", "url")

    def __init__(
        self, method: str, url: str, headers: dict[str, str], params: list[tuple[str, str]], content: bytes | None = None
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.params = params
        self.content = content
        self.credential = ""

    @property
    def target(self) -> str:
        """Return path and query as they go over the wire."""
        target = split_url(self.url)[1]
        return f"{target}{'&' if '?' in target else '?'}{urlencode(self.params)}" if self.params else target


_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Response:
    """An answer, read to its end.

    Attributes:
        status: HTTP status.
        headers: Names are lower case; a header that came several times is joined with ``", "``.
        body: The bytes, decompressed.
        where: Method and path, for messages.
        url: Where it came from, without the query.
    """

    __slots__ = ("_members", "body", "headers", "status", "url", "where")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, *, where: str = "", url: str = "") -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.where = where
        self.url = url
        self._members: dict[str, msgspec.Raw] | None = None

    def __repr__(self) -> str:
        return f"Response({self.where!r}, {self.status}, {len(self.body)} bytes)"

    @overload
    def json(self) -> Any: ...

    @overload
    def json(self, type: type[T]) -> T: ...

    def json(self, type: Any = Any) -> Any:  # noqa: A002 - msgspec's word
        """Decode the body as JSON, into a type where one is given.

        Raises:
            RetryableError: It was cut off.
            FatalError: It is not JSON, or not of this type; names the field.
        """
        from wellkept.http.rows import reason_of
        from wellkept.http.salvage import is_cut

        try:
            return msgspec.json.decode(self.body, type=type)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if is_cut(self.body):
                raise RetryableError(f"{self.where}: the answer was cut off") from None
            reason = reason_of(error)
        raise FatalError(f"{self.where}: the answer is not what was expected: {reason}")

    def members(self) -> Mapping[str, msgspec.Raw]:
        """Return the members of the JSON object in the body, undecoded: found once, as that walks over all of it.

        Raises:
            msgspec.ValidationError: It is JSON, but no object.
            msgspec.DecodeError, UnicodeDecodeError, RecursionError: It is not JSON.
        """
        if self._members is None:
            self._members = _members.decode(self.body)
        return self._members

    def at(self, path: Sequence[str]) -> Any:
        """Return the value at a path of keys in the JSON body, or None where there is none; cheap on large bodies.

        Raises:
            RetryableError: The body was cut off.
            FatalError: It is not a JSON object.
        """
        from wellkept.http.rows import read_envelope

        return read_envelope(self.body, self.where).at(path)
