"""What a scorer answers is kept as it will be read back, or refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from wellkept import Contribution, Score
from wellkept.pipeline.answers import read_back

NAN = float("nan")
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**66), 2**66),
    st.floats(),
    st.text(max_size=3),
    st.just("\ud800"),
    st.decimals(),
    st.sampled_from([[], {}, set(), Contribution]),
)


def part(**fields: Any) -> Contribution:
    return Contribution(**{"measure": "m", "group": "g", "value": 1, "points": Decimal("1.50"), "text": "t", **fields})


def whole(**fields: Any) -> Score:
    return Score(**{"account": "a", "value": Decimal("1.50"), "band": "red", "coverage": 1.0, **fields})


parts = st.builds(
    lambda name, value: part(**{name: value}),
    st.sampled_from(["measure", "group", "value", "points", "text", "weight"]),
    anything,
)
scores = st.one_of(
    st.builds(
        lambda name, value: whole(**{name: value}, contributions=[part()]),
        st.sampled_from(["account", "value", "band", "coverage", "reference", "note", "carry"]),
        anything,
    ),
    st.builds(
        lambda given, kind: whole(contributions=kind(given)), st.lists(parts, max_size=3), st.sampled_from([list, tuple, iter])
    ),
    st.builds(lambda value: whole(carry={"x": value}), anything),
)


@given(scores)
@example(whole(contributions=[part()]))
@example(whole(contributions=[part(points=1)]))
@example(whole(contributions=[part(weight=1)]))
@example(whole(contributions=[part(weight=NAN)]))
@example(whole(contributions=[part(value=NAN)]))
@example(whole(coverage=NAN))
@example(whole(carry={1: 2}))
def test_a_score_is_kept_as_it_would_be_read_back(item: Score) -> None:
    answer = read_back(item)
    try:
        exact = msgspec.json.decode(msgspec.json.encode(item), type=Score)
    except (msgspec.MsgspecError, OverflowError, TypeError, ValueError):
        assert answer is None
        return
    assert answer is not None
    assert repr(answer.score) == repr(exact)
    assert answer.body.encode() == msgspec.json.encode(exact)
