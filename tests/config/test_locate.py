"""The locator finds every key that tomllib finds, and on the line where it stands."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept.config.locate import KeyPath, locate, show

KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5),
    st.sampled_from(["a.b", "#", "=", "]", '"', "'", "\\", "}", ""]),
)
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8),
    st.sampled_from(["#", "]", "}", ",", '"', "'", "\\", "=", "\n", "a\nb\n", '"""', "'''", '\\"', "[x]", "\n[y]\n"]),
)
SCALARS = st.one_of(TEXTS, st.integers(-(10**9), 10**9), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


class Writer:
    """Writes TOML with comments, blank lines, strings of all four kinds and arrays over several lines."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    @property
    def line(self) -> int:
        return self.text.count("\n") + 1

    def filler(self) -> None:
        self.text += self.draw(st.sampled_from(["", "", "\n", "# a = [ \" ' \n", "  \n\t# ]]\n"]))

    def key(self, name: str) -> str:
        if name and all(char.isascii() and (char.isalnum() or char in "-_") for char in name) and self.draw(st.booleans()):
            return name
        if "'" not in name and self.draw(st.booleans()):
            return f"'{name}'"
        return _quoted(name)

    def string(self, value: str) -> str:
        escaped = _quoted(value)
        kinds = [escaped]
        if "\n" not in value and "'" not in value:
            kinds.append(f"'{value}'")
        if "'''" not in value and not value.startswith("\n") and not value.endswith("'"):
            kinds.append(f"'''{value}'''")
        multi = escaped[1:-1].replace("\\n", "\n")
        if not multi.startswith("\n"):
            kinds.append(f'"""{multi}"""')
        return str(self.draw(st.sampled_from(kinds)))

    def value(self, value: Any, path: KeyPath, *, inline: bool) -> None:
        if isinstance(value, str):
            text = self.string(value)
            self.text += text if not inline or "\n" not in text else _quoted(value)
        elif isinstance(value, bool):
            self.text += str(value).lower()
        elif isinstance(value, list):
            self.text += "["
            for index, item in enumerate(value):
                if not inline:
                    self.filler()
                self.lines[(*path, index)] = self.line
                self.value(item, (*path, index), inline=inline)
                self.text += ","
            self.text += "]"
        elif isinstance(value, dict):
            self.text += "{"
            for index, (name, item) in enumerate(value.items()):
                self.text += ", " if index else " "
                self.pair(name, item, path, inline=True)
            self.text += " }"
        else:
            self.text += json.dumps(value)

    def pair(self, name: str, item: Any, path: KeyPath, *, inline: bool) -> None:
        self.lines[(*path, name)] = self.line
        self.text += f"{self.key(name)}{self.draw(st.sampled_from(['=', ' = ']))}"
        self.value(item, (*path, name), inline=inline)

    def table(self, value: dict[str, Any], path: KeyPath, header: str) -> None:
        nested = {name: item for name, item in value.items() if isinstance(item, dict) and self.draw(st.booleans())}
        arrays = {
            name: item
            for name, item in value.items()
            if isinstance(item, list) and item and all(isinstance(part, dict) for part in item) and self.draw(st.booleans())
        }
        for name, item in value.items():
            if name not in nested and name not in arrays:
                self.filler()
                self.pair(name, item, path, inline=False)
                self.text += "\n"
        for name, item in nested.items():
            self.filler()
            self.lines[(*path, name)] = self.line
            inner = f"{header}.{self.key(name)}" if header else self.key(name)
            self.text += f"[{inner}]  # note\n"
            self.table(item, (*path, name), inner)
        for name, items in arrays.items():
            inner = f"{header}.{self.key(name)}" if header else self.key(name)
            for index, item in enumerate(items):
                self.filler()
                self.lines.setdefault((*path, name), self.line)
                self.lines[(*path, name, index)] = self.line
                self.text += f"[[{inner}]]\n"
                self.table(item, (*path, name, index), inner)


@st.composite
def documents(draw: Any) -> tuple[str, dict[KeyPath, int], dict[str, Any]]:
    value = draw(st.dictionaries(KEYS, VALUES, max_size=4))
    writer = Writer(draw)
    writer.table(value, (), "")
    return writer.text, writer.lines, value


@settings(max_examples=60, deadline=None)
@given(documents())
def test_every_key_is_found_on_its_line(document: tuple[str, dict[KeyPath, int], dict[str, Any]]) -> None:
    text, lines, value = document
    assert tomllib.loads(text) == value
    assert locate(text).known == lines
    assert set(lines) == set(_paths(value, ()))


@settings(max_examples=60, deadline=None)
@given(documents())
def test_windows_line_ends_count_the_same(document: tuple[str, dict[KeyPath, int], dict[str, Any]]) -> None:
    text, lines, _ = document
    assert locate(text.replace("\n", "\r\n")).known == lines


def test_dotted_keys_and_implicit_tables_have_a_line() -> None:
    found = locate('[a.b]\nc.d = 1\n"e f"."g.h" = 2\n[[a.list]]\nx = 1\n[a.list.y]\nz = 1\n[[a.list]]\n').known
    assert found[("a",)] == found[("a", "b")] == 1
    assert found[("a", "b", "c", "d")] == 2
    assert found[("a", "b", "e f", "g.h")] == 3
    assert found[("a", "list", 0, "x")] == 5
    assert found[("a", "list", 0, "y", "z")] == 7
    assert found[("a", "list", 1)] == 8


def test_dates_and_odd_scalars_end_where_they_end() -> None:
    found = locate("a = 1979-05-27 07:32:00Z # x\nb = [ 1979-05-27, +inf, 0xFF ]\nc = -1_000.5e3").known
    assert found == {("a",): 1, ("b",): 2, ("b", 0): 2, ("b", 1): 2, ("b", 2): 2, ("c",): 3}


def test_a_missing_key_is_on_the_line_of_its_table() -> None:
    lines = locate("\n[a]\n\n[a.b]\nx = 1\n")
    assert lines.of(("a", "b", "missing")) == 4
    assert lines.of(("a", "missing", "deep")) == 2
    assert lines.of(("other",)) == 1


def test_key_paths_are_shown_as_people_write_them() -> None:
    assert show(("plugins", "stripe-eu", "rules", 2, "when")) == "plugins.stripe-eu.rules[2].when"
    assert show(("a b", "c.d")) == "'a b'.'c.d'"


def _paths(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    if path:
        yield path
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from _paths(item, (*path, name))
