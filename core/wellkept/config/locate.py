"""Where each key of a TOML document stands: `tomllib` reads values, this finds their lines."""

from __future__ import annotations

import tomllib
from bisect import bisect_right
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]
"""From the document's root: names of keys, and positions in arrays from 0."""


class Lines:
    """The lines of a document's keys.

    Args:
        lines: Key path to line, from 1.
    """

    def __init__(self, lines: Mapping[KeyPath, int]) -> None:
        self.known = lines

    def of(self, path: KeyPath) -> int:
        """Return the line of a key, or of the nearest table around it (1 for the document itself)."""
        return self.known.get(path[: self.depth(path)], 1)

    def depth(self, path: KeyPath) -> int:
        """Return how much of a path stands in the document: how long the path of the nearest key or table is."""
        return next((end for end in range(len(path), 0, -1) if path[:end] in self.known), 0)


def locate(text: str) -> Lines:
    """Find the lines of all keys, tables and array elements of a document that `tomllib` has accepted."""
    scanner = _Scanner(text)
    scanner.document()
    return Lines(scanner.lines)


def show(path: KeyPath) -> str:
    """Return a key path as people write it: ``plugins.playbooks.rules[0].when``, positions from 0, odd names quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part and all(char.isascii() and (char.isalnum() or char in "-_") for char in part)
            text += f"{'.' if text else ''}{part if plain else repr(part)}"
    return text


class _Scanner:
    """Walks over valid TOML once, keeping count of where it is; it understands structure, not values."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines: dict[KeyPath, int] = {}
        self._at = 0
        self._starts = [0, *(index + 1 for index, char in enumerate(text) if char == "\n")]
        self._elements: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip():
            line = self._line()
            if self._take("[["):
                table = self._header(self._key("]"), line, array=True)
                self._at += 2
            elif self._take("["):
                table = self._header(self._key("]"), line, array=False)
                self._at += 1
            else:
                self._pair(table)

    def _line(self) -> int:
        return bisect_right(self._starts, self._at)

    def _take(self, token: str) -> bool:
        if not self.text.startswith(token, self._at):
            return False
        self._at += len(token)
        return True

    def _skip(self) -> bool:
        """Skip blanks, line ends and comments; say whether anything is left."""
        while self._at < len(self.text):
            char = self.text[self._at]
            if char == "#":
                end = self.text.find("\n", self._at)
                self._at = len(self.text) if end < 0 else end
            elif char in " \t\r\n\ufeff":
                self._at += 1
            else:
                return True
        return False

    def _key(self, stop: str) -> list[str]:
        """Read a dotted key up to `stop`; its quotes and escapes are `tomllib`'s business."""
        start = self._at
        while (char := self.text[self._at]) != stop:
            if char in "\"'":
                self._string()
            else:
                self._at += 1
        value: object = tomllib.loads(self.text[start : self._at].strip() + " = 0")
        parts = []
        while isinstance(value, dict):
            [(name, value)] = value.items()
            parts.append(name)
        return parts

    def _header(self, names: list[str], line: int, *, array: bool) -> KeyPath:
        path: KeyPath = ()
        for position, name in enumerate(names):
            path += (name,)
            self.lines.setdefault(path, line)
            if array and position == len(names) - 1:
                self._elements[path] = self._elements.get(path, 0) + 1
            if path in self._elements:
                path += (self._elements[path] - 1,)
                self.lines.setdefault(path, line)
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for name in self._key("="):
            path += (name,)
            self.lines.setdefault(path, line)
        self._at += 1
        self._skip()
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        char = self.text[self._at]
        if char in "\"'":
            self._string()
        elif char == "[":
            self._at += 1
            position = 0
            while self._inside("]"):
                self.lines[(*path, position)] = self._line()
                self._value((*path, position))
                position += 1
        elif char == "{":
            self._at += 1
            while self._inside("}"):
                self._pair(path)
        else:
            while self._at < len(self.text) and self.text[self._at] not in ",]}#\r\n":
                self._at += 1

    def _inside(self, close: str) -> bool:
        """Step to the next element of an array or inline table, or behind its end."""
        self._skip()
        if self._take(","):
            self._skip()
        return not self._take(close)

    def _string(self) -> None:
        quote = self.text[self._at]
        if self._take(quote * 3):
            end = quote * 3
        else:
            self._at += 1
            end = quote
        while not self.text.startswith(end, self._at):
            self._at += 2 if quote == '"' and self.text[self._at] == "\\" else 1
        self._at += len(end)
        while len(end) == 3 and self.text[self._at : self._at + 1] == quote:
            self._at += 1  # up to two quotes may stand before the closing three
