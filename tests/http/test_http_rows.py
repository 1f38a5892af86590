"""Rows out of pages: one bad row costs itself, whatever is wrong with it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wellkept.errors import FatalError, RetryableError
from wellkept.http import Rows, decode_line, decode_rows, ranges
from wellkept.http.salvage import is_cut
from wellkept.source import Reject


class Row(msgspec.Struct):
    id: str
    amount: int | None = None
    status: Literal["open", "paid"] = "open"
    lines: list[dict[str, Any]] = []


class Any_(msgspec.Struct):  # noqa: N801
    """Every field optional, so that a piece of another row would pass for one."""

    id: str | None = None
    b: Any = None


def ids(page: Rows[Any]) -> list[str | None]:
    return [row.id for row, _ in page.rows]


def page_of(*rows: bytes, tail: bytes = b',"has_more":true}') -> bytes:
    return b'{"object":"list","data":[' + b",".join(rows) + b"]" + tail


def test_a_good_page() -> None:
    page = decode_rows(page_of(b'{"id":"a","x":{"y":1}}', b'{"id":"b","amount":3}'), Row)
    assert ids(page) == ["a", "b"]
    assert bytes(page.rows[0][1]) == b'{"id":"a","x":{"y":1}}'
    assert dict(page.rest) == {"object": "list", "has_more": True}
    assert page.last_id == "b"
    assert not page.rejects


def test_an_empty_page_and_a_bare_array() -> None:
    assert decode_rows(b'{"data":[]}', Row).last_id is None
    assert ids(decode_rows(b'[{"id":"a"}]', Row, path=())) == ["a"]
    assert ids(decode_rows(b' [ {"id":"a","x":NaN} , {"id":"b"} ] ', Row, path=())) == ["b"]
    assert decode_rows(b'{"data":[]}', Row, path="data").rows == []


def test_rows_may_lie_deeper_and_the_rest_keeps_its_shape() -> None:
    body = b'{"a":1,"result":{"next":"n2","items":[%s{"id":"b"}],"total":2},"z":[1]}'
    for first, wanted in ((b'{"id":"a"},', ["a", "b"]), (b'{"id":"a","x":NaN},', ["b"])):
        page = decode_rows(body % first, Row, path=("result", "items"))
        assert ids(page) == wanted
        assert page.rest["a"] == 1
        assert dict(page.rest["result"]) == {"next": "n2", "total": 2}
        assert page.rest.at(("result", "next")) == "n2"
        assert page.rest.at(("result", "gone", "far")) is None
        assert page.rest.decode("z", list[int]) == [1]


def test_what_is_wrong_with_a_row_is_said_without_its_values() -> None:
    rows = (
        b'{"id":"a","amount":"12,50"}',
        b'{"id":"b","status":"jo@example.com"}',
        b'{"amount":1}',
        b'{"id":7}',
        b"[1]",
        b'{"id":"f"}',
    )
    page = decode_rows(page_of(*rows), Row)
    assert ids(page) == ["f"]
    assert [(reject.id, reject.reason) for reject in page.rejects] == [
        ("a", "Expected `int | null`, got `str` - at `$.amount`"),
        ("b", "Invalid enum value - at `$.status`"),
        (None, "Object missing required field `id`"),
        ("7", "Expected `str`, got `int` - at `$.id`"),
        (None, "Expected `object`, got `array`"),
    ]
    assert [reject.raw for reject in page.rejects] == list(rows[:-1])


BAD = {
    "bad UTF-8": b'{"id":"b","name":"\xff\xfe"}',
    "bad UTF-8 in a key": b'{"id":"b","\xff":1}',
    "lone surrogate": b'{"id":"b","name":"\\ud83d"}',
    "lone low surrogate": b'{"id":"b","name":"x\\udc00y"}',
    "NaN": b'{"id":"b","amount":NaN}',
    "Infinity": b'{"id":"b","x":[1,-Infinity]}',
    "control character": b'{"id":"b","name":"a\x00\nb"}',
    "bad escape": b'{"id":"b","name":"\\x41"}',
    "cut escape": b'{"id":"b","name":"\\u12"}',
    "leading zero": b'{"id":"b","amount":007}',
    "trailing comma": b'{"id":"b","amount":1,}',
    "missing value": b'{"id":"b","amount":}',
    "bare word": b'{"id":"b","amount":undefined}',
    "single quotes": b"{'id':'b'}",
    "unescaped quote": b'{"id":"b","name":"the "big" one"}',
    "one unescaped quote": b'{"id":"b","name":"5" pipe"}',
    "one unescaped quote and nested rows": b'{"id":"b","name":"5" pipe","lines":[{"id":"x"},{"id":"y"}],"z":{"id":"z"}}',
    "missing brace": b'{"id":"b","o":{"x":1}',
    "missing bracket": b'{"id":"b","lines":[{"x":1},{"x":2}}',
    "extra brace": b'{"id":"b"}}',
    "endless number": b'{"id":"b","b":%s}' % (b"9" * 5000),
    "too deep": b'{"id":"b","x":%s%s}' % (b"[" * 30_000, b"]" * 30_000),
    "garbage": b"oops",
    "nothing": b"",
}
READABLE = set(BAD) - {"single quotes", "garbage", "nothing", "endless number", "too deep"}


@pytest.mark.parametrize("place", ["first", "middle", "last", "only"])
@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("tail", [b',"has_more":true}', b"}"], ids=["rest", "no rest"])
def test_one_bad_row_never_costs_its_page(name: str, place: str, tail: bytes) -> None:
    good = [b'{"id":"a1","lines":[{"id":"n1"},{"id":"n2"}]}', b'{"id":"a2","status":"paid"}']
    at = {"first": 0, "middle": 1, "last": 2, "only": 0}[place]
    rows = [] if place == "only" else list(good)
    rows.insert(at, BAD[name])
    if name == "nothing" and place == "only":
        return  # an empty array
    page = decode_rows(page_of(*rows, tail=tail), Any_)
    assert ids(page) == ([] if place == "only" else ["a1", "a2"])
    (reject,) = page.rejects
    assert reject.raw == BAD[name]
    assert reject.reason
    if name in READABLE:
        assert reject.id == "b"
    assert page.rest.get("has_more") is (True if b"has_more" in tail else None)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"id":"b","x":{"y":["\xff"]}}', "bad UTF-8 - at `$.x.y[...]`"),
        (b'{"id":"b","meta":{"jo@example.com":"\\ud800"}}', "lone surrogate - at `$.meta[...]`"),
        (b'{"id":"b","amount":NaN}', "NaN is not JSON - at `$.amount`"),
        (b'{"id":"b","amount":9223372036854775808}', "integer beyond 64 bits - at `$.amount`"),
        (b'{"id":"b","amount":-9223372036854775809}', "integer beyond 64 bits - at `$.amount`"),
    ],
)
def test_the_reason_names_the_field(raw: bytes, reason: str) -> None:
    (reject,) = decode_rows(page_of(b'{"id":"a"}', raw), Row).rejects
    assert (reject.id, reject.reason) == ("b", reason)
    lone = decode_line(raw, Row)
    assert isinstance(lone, Reject)
    assert lone.reason == reason


def test_the_largest_integer_is_no_fault() -> None:
    page = decode_rows(page_of(b'{"id":"a","amount":9223372036854775807}', b'{"id":"b","amount":-9223372036854775808}'), Row)
    assert ids(page) == ["a", "b"]


def test_the_last_id_is_that_of_a_rejected_row_too() -> None:
    assert decode_rows(page_of(b'{"id":"a"}', b'{"id":"b","amount":"x"}'), Row).last_id == "b"
    assert decode_rows(page_of(b'{"id":"a"}', b'{"id":"b","amount":NaN}'), Row).last_id == "b"
    assert decode_rows(page_of(b'{"uid":4,"id":"a"}'), Row, id_field="uid").last_id == "4"


def test_a_line() -> None:
    decoded = decode_line(b'{"id":"a"}', Row)
    assert not isinstance(decoded, Reject)
    assert decoded[0] == Row("a")
    assert isinstance(decode_line(b'{"id":"a', Row), Reject)


@pytest.mark.parametrize("body", [b"{}", b'{"error":{"code":1}}', b'{"data":null}', b'{"data":{}}', b"[]", b"3"])
def test_a_page_without_its_list_is_no_empty_page(body: bytes) -> None:
    with pytest.raises(FatalError, match="data"):
        decode_rows(body, Row)


@pytest.mark.parametrize(
    "body", [b"<html>oops</html>", b'{"data":[{"id":"a"}]}}', b'{"data":[{"id":"a"}],,}', b'{data:[{"id":"a"}]}']
)
def test_a_page_that_is_broken_around_its_rows_is_no_page(body: bytes) -> None:
    with pytest.raises(FatalError, match="malformed"):
        decode_rows(body, Row)


def test_a_rest_that_cannot_be_read_says_so_when_it_is_asked_for() -> None:
    page = decode_rows(b'{"data":[{"id":"a"}],"ratio":NaN,"name":"\xff","more":false}', Row)
    assert ids(page) == ["a"]
    assert page.rest["more"] is False
    for key in ("ratio", "name"):
        with pytest.raises(FatalError, match=key):
            page.rest[key]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(st.fixed_dictionaries({"id": st.uuids().map(str)}, optional={"b": JSON, "note": st.text()}), max_size=6)


@given(ROWS, ROWS, st.sampled_from(sorted(set(BAD) - {"nothing"})), st.booleans(), JSON)
@settings(max_examples=150, deadline=None)
def test_neighbours_of_a_bad_row_come_through_unchanged(
    before: list[Any], after: list[Any], name: str, compact: bool, extra: Any
) -> None:
    assume("\ud800" not in json.dumps([before, after, extra]))
    dump = msgspec.json.encode if compact else (lambda value: json.dumps(value, indent=1).encode())
    rows = [*map(dump, before), BAD[name], *map(dump, after)]
    body = b'{ "data" : [' + b" ,\n".join(rows) + b'] , "rest" : ' + dump(extra) + b"}\n"
    page = decode_rows(body, Any_)
    assert [bytes(raw) for _, raw in page.rows] == [*map(dump, before), *map(dump, after)]
    assert [reject.raw for reject in page.rejects] == [BAD[name]]
    assert page.rest["rest"] == msgspec.json.decode(dump(extra))


@given(ROWS.filter(bool), JSON, st.data())
@settings(max_examples=150, deadline=None)
def test_a_page_cut_anywhere_is_never_taken_for_a_whole_one(rows: list[Any], extra: Any, data: st.DataObject) -> None:
    body = msgspec.json.encode({"data": rows, "has_more": extra})
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    with pytest.raises((RetryableError, FatalError)):
        decode_rows(cut, Any_)
    assert is_cut(cut)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_end_in_rows_or_in_one_of_our_errors(noise: bytes) -> None:
    for body in (noise, b'{"data":[' + noise + b"]}", b'{"data":[{"id":"a"},' + noise):
        try:
            page = decode_rows(body, Any_)
        except (RetryableError, FatalError):
            continue
        assert all(isinstance(reject.reason, str) for reject in page.rejects)


@given(st.text(alphabet='{}[],:"\\ aN1', max_size=120))
@settings(max_examples=300, deadline=None)
def test_brackets_and_quotes_in_any_order_end_in_our_errors(noise: str) -> None:
    body = b'{"data":[{"id":"a"},' + noise.encode() + b',{"id":"z"}],"more":1}'
    try:
        page = decode_rows(body, Any_)
    except (RetryableError, FatalError):
        return
    assert page.rest.get("more") in {1, None}


def test_a_hostile_page_takes_no_time() -> None:
    body = b'{"data":[' + b'{"id":"x},{"' * 20_000 + b"]}"
    with pytest.raises((RetryableError, FatalError)):
        decode_rows(body, Row)


Positive = Annotated[int, msgspec.Meta(gt=0)]


def test_constraints_are_named_too() -> None:
    class Priced(msgspec.Struct):
        id: str
        price: Positive

    (reject,) = decode_rows(page_of(b'{"id":"a","price":-1}'), Priced).rejects
    assert reject.reason == "Expected `int` >= 1 - at `$.price`"


class Deep(msgspec.Struct):
    id: str
    one: int = 0
    some: list[int] = []
    named: dict[str, int | None] = {}
    either: str | list[int] | None = None
    pair: tuple[int, ...] = ()
    inner: Deep | None = None
    free: Any = None
    text: str = ""


HUGE = 2**64


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({"one": HUGE}, "$.one"),
        ({"some": [1, -HUGE]}, "$.some[...]"),
        ({"named": {"a": None, "b": HUGE}}, "$.named.b"),
        ({"either": [HUGE]}, "$.either[...]"),
        ({"pair": [HUGE]}, "$.pair[...]"),
        ({"inner": {"id": "y", "inner": {"id": "z", "some": [HUGE]}}}, "$.inner.inner.some[...]"),
        ({"free": HUGE, "text": str(HUGE), "either": "x", "inner": {"id": "y"}, "unknown": HUGE}, None),
    ],
)
def test_an_integer_beyond_64_bits_is_found_wherever_a_type_has_one(row: dict[str, Any], place: str | None) -> None:
    page = decode_rows(page_of(json.dumps({"id": "x", **row}).encode()), Deep)
    assert [reject.reason for reject in page.rejects] == ([f"integer beyond 64 bits - at `{place}`"] if place else [])


class Named(msgspec.Struct):
    id: str


class Twice(msgspec.Struct):
    id: str
    bounded: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    first: Named | None = None
    second: Named | None = None


def test_a_type_without_unbounded_integers_is_not_looked_through() -> None:
    assert ranges.probe(Twice) is None, "also where it holds a struct twice"
    assert ranges.probe(Deep) is not None
