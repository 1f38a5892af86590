"""Row boundaries in a page that no JSON decoder takes: so that one bad row costs itself and not its page.

A decoder reads a page whole or not at all. Here its bytes are read as Latin-1, which any bytes are, with a parser that forgives
more than the standard: NaN, lone surrogates, control characters, endless numbers and bad UTF-8 do not move a boundary. Where
even that fails (a quote that was not escaped, a bracket that is missing), every place where the row might end is tried in turn,
and one is believed only if all that follows, to the last byte of the page, can be read from there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

MOST_STEPS = 200_000
"""Brackets, quotes and commas in broken rows that are looked at before a page is given up, so that the time stays bounded."""

STEPS_PER_ROW = 20
"""What trying a broken row costs besides."""

_SPACE = re.compile(r"[ \t\r\n]*")
_KEY = re.compile(r'"(?:[^"\\]|\\.)*"(?=[ \t\r\n]*:)', re.DOTALL)
_TOKEN = re.compile(r'[{}\[\]",]|\\.', re.DOTALL)
_ROW_START = re.compile(r'[ \t\r\n]*\{[ \t\r\n]*"')
_OPENS = {"}": "{", "]": "["}


class Odd(NamedTuple):
    """Stands for a value that JSON does not have, or that nobody can keep."""

    what: str


class BrokenPageError(Exception):
    """The page cannot be read. `cut`: because its end is missing."""

    def __init__(self, *, cut: bool) -> None:
        super().__init__("cut off" if cut else "malformed")
        self.cut = cut


class Span(NamedTuple):
    """Bytes ``start <= i < end``."""

    start: int
    end: int


class Page(NamedTuple):
    """Where the pieces of a page are: its rows, and what stands beside them, by key path."""

    rows: list[Span]
    rest: dict[tuple[str, ...], Span]


def _integer(text: str) -> int | Odd:
    return int(text) if len(text) <= 40 else Odd(f"a number of {len(text)} digits")


_DECODER = json.JSONDecoder(strict=False, parse_constant=Odd, parse_int=_integer, parse_float=lambda _text: 0.0)


def parse(text: str, at: int = 0) -> tuple[Any, int]:
    """Read one value leniently; return it and where it ends.

    Raises:
        BrokenPageError: Not even so.
    """
    try:
        value, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        raise BrokenPageError(cut=False) from None
    return value, end


def split_page(body: bytes, path: Sequence[str]) -> Page:
    """Find the rows of the array at `path`, and what stands beside it.

    Raises:
        BrokenPageError: They cannot be told apart, or the page was cut off.
    """
    text = body.decode("latin-1")
    return _Splitter(text, tuple(path)).split()


def split_object(body: bytes) -> dict[tuple[str, ...], Span]:
    """Find the members of a JSON object.

    Raises:
        BrokenPageError: They cannot be told apart.
    """
    return split_page(body, ()).rest


def members(text: str) -> dict[str, Any]:
    """Return as many members of a JSON object as can be read, from its beginning."""
    found: dict[str, Any] = {}
    at = _skip(text, 0)
    try:
        while text[at : at + 1] in {"{", ","}:
            key, at = _key(text, _skip(text, at + 1))
            value, end = parse(text, at)
            found[key] = value
            at = _skip(text, end)
    except BrokenPageError:
        pass
    return found


def is_cut(body: bytes) -> bool:
    """Whether JSON that cannot be read lacks its end: something in it was opened and not closed."""
    text = body.decode("latin-1").strip(" \t\r\n")
    if not text:
        return True
    try:
        parse(text)
    except BrokenPageError:
        pass
    else:
        return False
    closer = {"{": "}", "[": "]", '"': '"'}.get(text[0])
    if closer is None:
        return any(word.startswith(text) for word in ("true", "false", "null"))
    depth = 0
    quoted = False
    for token in _TOKEN.finditer(text):
        if token[0] == '"':
            quoted = not quoted
        elif not quoted:
            depth += (token[0] in "{[") - (token[0] in "}]")
    return text[-1] != closer or (depth > 0 and not quoted)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _key(text: str, at: int) -> tuple[str, int]:
    """Read a key and its colon; return the key and where its value begins."""
    match = _KEY.match(text, at)
    if match is None:
        raise BrokenPageError(cut=False)
    key, _ = parse(match[0])
    return str(key).encode("latin-1", "replace").decode("utf-8", "replace"), _skip(text, _skip(text, match.end()) + 1)


class _Splitter:
    def __init__(self, text: str, path: tuple[str, ...]) -> None:
        self._text = text
        self._path = path
        self._rest: dict[tuple[str, ...], Span] = {}
        self._steps = 0

    def split(self) -> Page:
        """Read the page from its first byte to its last."""
        start = _skip(self._text, 3 if self._text.startswith("\xef\xbb\xbf") else 0)
        try:
            if not self._path and self._text[start : start + 1] == "{":
                self._to_end(start + 1, ())
                return Page([], self._rest)
            return Page(self._rows(self._to_rows(start)), self._rest)
        except BrokenPageError:
            raise BrokenPageError(cut=is_cut(self._text.encode("latin-1"))) from None

    def _to_rows(self, at: int) -> int:
        """Walk down to the array of rows; return where its first row begins."""
        for depth, name in enumerate(self._path):
            self._expect(at, "{")
            while True:
                key, at = _key(self._text, _skip(self._text, at + 1))
                if key == name:
                    break
                at = self._member((*self._path[:depth], key), at)
                self._expect(at, ",")
        self._expect(at, "[")
        return _skip(self._text, at + 1)

    def _to_end(self, at: int, inside: tuple[str, ...], *, first: bool = True) -> None:
        """Read the members that are left of the object at path `inside`, and of those around it, to the page's end."""
        at = _skip(self._text, at)
        while self._text[at : at + 1] != "}":
            if not first:
                self._expect(at, ",")
                at = _skip(self._text, at + 1)
            key, at = _key(self._text, at)
            at = self._member((*inside, key), at)
            first = False
        at = _skip(self._text, at + 1)
        if inside:
            self._to_end(at, inside[:-1], first=False)
        elif at != len(self._text):
            raise BrokenPageError(cut=False)

    def _member(self, name: tuple[str, ...], at: int) -> int:
        _, end = parse(self._text, at)
        self._rest[name] = Span(at, end)
        return _skip(self._text, end)

    def _expect(self, at: int, character: str) -> None:
        if self._text[at : at + 1] != character:
            raise BrokenPageError(cut=False)

    def _closes(self, at: int) -> bool:
        """Whether the ``]`` at `at` closes the rows: all that follows can be read."""
        before = dict(self._rest)
        try:
            if self._path:
                self._to_end(at + 1, self._path[:-1], first=False)
            elif _skip(self._text, at + 1) != len(self._text):
                return False
        except BrokenPageError:
            self._rest = before
            return False
        return True

    def _rows(self, at: int) -> list[Span]:
        """Search depth first for a way from row to row to the end of the page."""
        if self._text[at : at + 1] == "]":
            if self._closes(at):
                return []
            raise BrokenPageError(cut=False)
        way: list[Span] = []
        open_: list[tuple[int, Iterator[int]]] = [(at, self._ends(at))]
        dead: set[int] = set()
        while open_:
            start, ends = open_[-1]
            end = next(ends, None)
            if end is None:
                dead.add(start)
                open_.pop()
                if way:
                    way.pop()
                continue
            after = _skip(self._text, end)
            if self._text[after : after + 1] == "]" and self._closes(after):
                return [*way, Span(start, end)]
            following = _skip(self._text, after + 1)
            if self._text[after : after + 1] == "," and following < len(self._text) and following not in dead:
                way.append(Span(start, end))
                open_.append((following, self._ends(following)))
        raise BrokenPageError(cut=False)

    def _ends(self, start: int) -> Iterator[int]:
        """Yield where the row that begins at `start` may end: one place if it can be read, else all that are thinkable."""
        text = self._text
        try:
            _, end = parse(text, start)
        except BrokenPageError:
            pass
        else:
            if text[(after := _skip(text, end)) : after + 1] in {",", "]", ""}:
                yield end
                return
        stack: list[str] = []
        quoted = False
        self._steps += STEPS_PER_ROW
        for token in _TOKEN.finditer(text, start):
            self._steps += 1
            if self._steps > MOST_STEPS:
                raise BrokenPageError(cut=False)
            mark, at = token[0], token.start()
            if mark == '"':
                quoted = not quoted
            elif mark == ",":
                if (quoted or len(stack) <= 1) and _ROW_START.match(text, at + 1):
                    yield self._trimmed(at)
            elif mark in "{[" and not quoted:
                stack.append(mark)
            elif mark in "}]":
                yield from self._closing(mark, at, stack, quoted=quoted)

    def _closing(self, mark: str, at: int, stack: list[str], *, quoted: bool) -> Iterator[int]:
        """Take a closing bracket from the stack; yield where the row may end because of it."""
        opener = _OPENS[mark]
        if not quoted and stack and (stack[-1] == opener or opener in stack):
            while stack.pop() != opener:
                pass
            if not stack:
                yield at + 1
        elif mark == "]":
            end = self._trimmed(at)
            if not quoted or self._text[end - 1] == "}":
                yield end

    def _trimmed(self, at: int) -> int:
        while self._text[at - 1] in " \t\r\n":
            at -= 1
        return at
