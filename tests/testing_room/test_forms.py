from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept.testing import nest, parse_pairs


def test_brackets_make_objects_and_lists() -> None:
    pairs = parse_pairs("a[b]=1&a[c][d]=2&e[]=3&e[]=4&f[0][g]=5&f[1][g]=6&h=7&h=8&i=&j[7]=9")
    assert nest(pairs) == {
        "a": {"b": "1", "c": {"d": "2"}},
        "e": ["3", "4"],
        "f": [{"g": "5"}, {"g": "6"}],
        "h": ["7", "8"],
        "i": "",
        "j": {"7": "9"},
    }


@pytest.mark.parametrize("query", ["a=1&a[b]=2", "a[b]=1&a=2", "a[]=1&a[b]=2", "a[0]=1&a[]=2", "a[][b]=1"])
def test_names_that_contradict_each_other(query: str) -> None:
    with pytest.raises(ValueError, match="contradicts"):
        nest(parse_pairs(query))


def test_a_name_that_is_not_well_formed_is_kept() -> None:
    assert nest([("a[b", "1"), ("[c]", "2")]) == {"a[b": "1", "[c]": "2"}


def test_escapes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        parse_pairs("a=%ff%fe")


names = st.text(st.characters(exclude_characters="[]", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: not name.isdecimal()
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
trees = st.recursive(
    texts,
    lambda inner: st.dictionaries(names, inner, min_size=1, max_size=4) | st.lists(inner, min_size=1, max_size=4),
    max_leaves=12,
)


def flatten(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(prefix, value)]
    items = enumerate(value) if isinstance(value, list) else value.items()
    return [pair for key, item in items for pair in flatten(f"{prefix}[{key}]", item)]


@given(st.dictionaries(names, trees, min_size=1, max_size=4))
def test_what_was_flattened_comes_back(tree: dict[str, Any]) -> None:
    pairs = [pair for name, value in tree.items() for pair in flatten(name, value)]
    wire = "&".join(f"{quote(name, safe='[]')}={quote(value, safe='')}" for name, value in pairs)
    assert nest(parse_pairs(wire)) == tree
