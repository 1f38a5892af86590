"""Pages and lines decoded row by row, so that a row that cannot be understood becomes a `Reject` and its neighbours live.

Rows are cut out of the page as raw slices first (`msgspec.Raw`), then decoded one at a time into the source's own struct. A
page that breaks as a whole goes through `wellkept.http.salvage`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec

from wellkept.errors import FatalError, RetryableError
from wellkept.http import ranges
from wellkept.http.messages import Response
from wellkept.http.salvage import BrokenPageError, Odd, members, parse, split_object, split_page
from wellkept.source import Reject

T = TypeVar("T")
Raw = msgspec.Raw

_VALUE = re.compile(r"^(Invalid (?:enum )?value) .*?( - at `.*`)?$", re.DOTALL)
_PLACE = re.compile(r"[\w.-]{1,40}")
_FAILURES = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_object = msgspec.json.Decoder(dict[str, Raw])
_array = msgspec.json.Decoder(list[Raw])


class Envelope(Mapping[str, Any]):
    """What stands beside the rows of a page: keys to values, each decoded when it is asked for."""

    def __init__(self, parts: Mapping[str, Raw | Envelope]) -> None:
        self._parts = parts

    def __getitem__(self, key: str) -> Any:
        part = self._parts[key]
        return part if isinstance(part, Envelope) else self.decode(key, Any)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __repr__(self) -> str:
        return f"Envelope({', '.join(self._parts)})"

    def decode(self, key: str, type: Any) -> Any:  # noqa: A002 - msgspec's word
        """Decode one value into a type.

        Raises:
            KeyError: It is not there.
            FatalError: It is not of this type; names the field.
        """
        part = self._parts[key]
        if isinstance(part, Envelope):
            raise FatalError(f"the page's `{key}` holds the rows and cannot be decoded as one")
        try:
            return msgspec.json.decode(part, type=type)
        except _FAILURES as error:
            reason = reason_of(error)
        raise FatalError(f"the page's `{key}` cannot be read: {reason}")

    def at(self, path: Sequence[str]) -> Any:
        """Return the value at a path of keys, or None where there is none."""
        value: Any = self
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """A page, decoded.

    Attributes:
        rows: Each row that could be understood, with its bytes: a view into the page, good for custom fields.
        rejects: Those that could not.
        rest: What stands beside them, such as ``has_more``.
        last_id: The id of the page's last row, rejected or not: where reading goes on at vendors that page by id. None for
            an empty page, or when it cannot be read.
        headers: Of the answer, names in lower case, for vendors that say there where the next page is.
    """

    rows: list[tuple[T, Raw]]
    rejects: list[Reject]
    rest: Envelope
    last_id: str | None
    headers: Mapping[str, str] = field(default_factory=dict)


def decode_rows(body: bytes | Response, row_type: type[T], *, path: Sequence[str] = ("data",), id_field: str = "id") -> Rows[T]:
    """Decode the array of rows at `path` of a JSON page.

    Args:
        body: The page, best as the answer that it came in: that was looked over already.
        row_type: What each row is decoded into, usually a small `msgspec.Struct`.
        path: Keys that lead to the array; empty when the page is the array.
        id_field: The field that names a row.

    Raises:
        RetryableError: The page was cut off.
        FatalError: There is no array at `path`, or what stands around it is malformed.
    """
    answer = body if isinstance(body, Response) else Response(200, {}, body)
    keys = (path,) if isinstance(path, str) else tuple(path)
    try:
        raws, rest = _cut_out(answer, keys)
    except _FAILURES:
        raws, rest = _salvaged(answer.body, keys)
    rows, rejects = _decoded(raws, row_type, id_field, sound=_is_utf8(answer.body))
    last_id = read_id(bytes(raws[-1]), id_field) if raws else None
    return Rows(rows, rejects, rest, last_id, answer.headers)


def decode_line(line: bytes, row_type: type[T], *, id_field: str = "id") -> tuple[T, Raw] | Reject:
    """Decode one line of NDJSON; see `decode_rows`."""
    raw = Raw(line)
    decoded = _row(raw, *_tools(row_type), id_field, sound=_is_utf8(line))
    return decoded if isinstance(decoded, Reject) else (decoded, raw)


def read_envelope(body: bytes, where: str = "the page") -> Envelope:
    """Return the members of a JSON object, undecoded.

    Raises:
        RetryableError: It was cut off.
        FatalError: It is not a JSON object.
    """
    try:
        return Envelope(msgspec.json.decode(body, type=dict[str, Raw]))
    except _FAILURES:
        pass
    try:
        spans = split_object(body)
    except BrokenPageError as error:
        raise _unreadable(where, cut=error.cut) from None
    return Envelope({name: Raw(body[start:end]) for (name,), (start, end) in spans.items()})


def reason_of(error: Exception) -> str:
    """Return what a decoder complains of, without the value: that may be personal."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "bad UTF-8"
    match = _VALUE.match(str(error))
    return f"{match[1]}{match[2] or ''}" if match else str(error)


def _cut_out(answer: Response, path: tuple[str, ...]) -> tuple[list[Raw], Envelope]:
    """Cut the rows out of a well-formed page."""
    levels: list[dict[str, Raw | Envelope]] = []
    part = Raw(answer.body)
    for depth, key in enumerate(path):
        try:
            level: dict[str, Raw | Envelope] = dict(answer.members() if depth == 0 else _object.decode(part))
            part = level.pop(key)  # type: ignore[assignment]
        except (msgspec.ValidationError, KeyError):
            raise FatalError(f"the page has no `{'.'.join(path[: depth + 1])}`") from None
        levels.append(level)
    try:
        raws = _array.decode(part)
    except msgspec.ValidationError:
        raise FatalError(f"the page has no list of rows at `{'.'.join(path) or '$'}`") from None
    return raws, _nested(path, levels)


def _salvaged(body: bytes, path: tuple[str, ...]) -> tuple[list[Raw], Envelope]:
    try:
        page = split_page(body, path)
    except BrokenPageError as error:
        raise _unreadable("the page", cut=error.cut) from None
    levels: list[dict[str, Raw | Envelope]] = [{} for _ in path]
    for name, (start, end) in page.rest.items():
        levels[len(name) - 1][name[-1]] = Raw(body[start:end])
    return [Raw(body[start:end]) for start, end in page.rows], _nested(path, levels)


def _nested(path: tuple[str, ...], levels: list[dict[str, Raw | Envelope]]) -> Envelope:
    """Put the members beside the rows together again, level by level."""
    for depth in range(len(levels) - 1, 0, -1):
        levels[depth - 1][path[depth - 1]] = Envelope(levels[depth])
    return Envelope(levels[0] if levels else {})


def _unreadable(where: str, *, cut: bool) -> RetryableError | FatalError:
    return RetryableError(f"{where} was cut off") if cut else FatalError(f"{where} is not JSON, or malformed around its rows")


def _decoded(raws: list[Raw], row_type: type[T], id_field: str, *, sound: bool) -> tuple[list[tuple[T, Raw]], list[Reject]]:
    """Decode rows: all in one go where each of them is good, as almost always; else one by one."""
    decoder, probe = _tools(row_type)
    if sound and probe is None:
        try:
            return list(zip(map(decoder.decode, raws), raws, strict=True)), []
        except _FAILURES:
            pass
    rows: list[tuple[T, Raw]] = []
    rejects: list[Reject] = []
    for raw in raws:
        decoded = _row(raw, decoder, probe, id_field, sound=sound)
        if isinstance(decoded, Reject):
            rejects.append(decoded)
        else:
            rows.append((decoded, raw))
    return rows, rejects


def _row(raw: Raw, decoder: msgspec.json.Decoder[T], probe: ranges.Probe | None, id_field: str, *, sound: bool) -> T | Reject:
    try:
        row = decoder.decode(raw)
    except msgspec.ValidationError as error:
        reason = reason_of(error)
    except _FAILURES as error:
        reason = _oddity(bytes(raw)) or reason_of(error)
    else:
        if not sound and not _is_utf8(bytes(raw)):  # in a field that the decoder skipped
            reason = _oddity(bytes(raw)) or "bad UTF-8"
        elif probe is not None and probe(row):
            places = (place for place, value in _walk(msgspec.to_builtins(row), "$") if ranges.is_out(value))
            reason = f"integer beyond 64 bits - at `{next(places, '$')}`"
        else:
            return row
    return Reject(raw=bytes(raw), reason=reason, id=read_id(bytes(raw), id_field))


def _oddity(raw: bytes) -> str | None:
    """Return what a decoder found indigestible, and in which field."""
    try:
        value, _ = parse(raw.decode("utf-8", "surrogateescape"))
    except BrokenPageError:
        return None
    bad_bytes = not _is_utf8(raw)
    for place, item in _walk(value, "$"):
        if isinstance(item, Odd):
            return f"{item.what} is not JSON - at `{place}`"
        if isinstance(item, str) and not _is_sound(item):
            return f"{'bad UTF-8' if bad_bytes else 'lone surrogate'} - at `{place}`"
    return None


def _walk(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield every scalar with its place. Names that look like no field of a schema are not shown: they may be personal."""
    if isinstance(value, dict):
        for key, item in value.items():
            name = str(key)
            yield f"{place}.~", name
            yield from _walk(item, f"{place}.{name}" if _PLACE.fullmatch(name) and name.isascii() else f"{place}[...]")
    elif isinstance(value, (list, tuple)) and not isinstance(value, Odd):
        for item in value:
            yield from _walk(item, f"{place}[...]")
    else:
        yield place, value


def read_id(raw: bytes, id_field: str) -> str | None:
    """Return a row's id, if that much can be read."""
    try:
        value: object = getattr(_id_decoder(id_field).decode(raw), "id", None)
    except _FAILURES:
        text = raw.decode("utf-8", "surrogateescape")
        try:
            found, _ = parse(text)
        except BrokenPageError:
            found = members(text)
        value = found.get(id_field) if isinstance(found, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value and _is_sound(value) else None


def _is_utf8(raw: bytes) -> bool:
    if raw.isascii():
        return True
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_sound(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _tools(row_type: Any) -> tuple[msgspec.json.Decoder[Any], ranges.Probe | None]:
    return _decoder(row_type), ranges.probe(row_type)


@lru_cache(maxsize=256)
def _decoder(row_type: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(row_type)


@lru_cache(maxsize=32)
def _id_decoder(id_field: str) -> msgspec.json.Decoder[Any]:
    only_id = msgspec.defstruct("OnlyId", [("id", str | int | None, msgspec.field(name=id_field, default=None))])
    return msgspec.json.Decoder(only_id)
