"""The language of conditions: what it means, what it refuses, and that SQL means the same."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept.errors import ConfigError
from wellkept.expressions import MAX_LENGTH, ExpressionError, parse
from wellkept.frame import Column

NAMES = {
    "health": Column(name="health", unit="points", doc=""),
    "mrr_usd": Column(name="mrr_usd", unit="money", currency="USD", doc=""),
    "mrr_eur": Column(name="mrr_eur", unit="money", currency="eur", doc=""),
    "plan": Column(name="plan", unit="text", doc=""),
    "churn_intent": Column(name="churn_intent", unit="flag", doc=""),
    "created_at": Column(name="created_at", unit="date", doc=""),
    "as_of": Column(name="as_of", unit="date", doc=""),
    "tenure_days": Column(name="tenure_days", unit="days", doc=""),
}

DAY = 86_400_000


def value(text: str, **row: Any) -> Any:
    return parse(text).evaluate(row)


@pytest.mark.parametrize(
    ("text", "row", "expected"),
    [
        ("a < 40 and b >= 2", {"a": 39, "b": 2}, True),
        ("a < 40 or b", {"a": 50, "b": False}, False),
        ("not (a == 1)", {"a": 2}, True),
        ("0 < a < 10 <= b", {"a": 5, "b": 10}, True),
        ("0 < a < 10 <= b", {"a": 15, "b": 10}, False),
        ("a + b * 2 - 1 == 6", {"a": 1, "b": 3}, True),
        ("(a + b) * 2 > 7", {"a": 1, "b": 3}, True),
        ("a / b == 0.5", {"a": 1, "b": 2}, True),
        ("a / b > 1", {"a": 1, "b": 0}, None),
        ("plan in ['gold', 'silver']", {"plan": "gold"}, True),
        ("plan not in ('gold', 'silver')", {"plan": "gold"}, False),
        ("plan in ['gold']", {"plan": None}, None),
        ("-a == 5", {"a": -5}, True),
        ("a == -5", {"a": -5}, True),
        ("abs(a) > 3 and min(a, b) == -4 and max(a, b, 1) == 2", {"a": -4, "b": 2}, True),
        ("sqrt(a) == 1.5 and sqrt(b) == 0", {"a": 2.25, "b": 0}, True),
        ("sqrt(a) > 0", {"a": -1}, None),
        ("lower(plan) == 'gold É'", {"plan": "GOLD É"}, True),
        ("startswith(plan, 'go') and contains(plan, 'ld')", {"plan": "gold"}, True),
        ("contains(plan, 'x')", {"plan": "gold"}, False),
        ("known(a) and b is None and a is not None", {"a": 1, "b": None}, True),
        ("a > b - days(30)", {"a": 1, "b": DAY * 30}, True),
        ("a < hours(2)", {"a": 7_199_999}, True),
        ("flag == True", {"flag": True}, True),
        ("extra.tier == 'gold' and extra['Seats used'] > 3", {"extra.tier": "gold", "extra.Seats used": 4}, True),
        ("客户 > 3", {"客户": 4}, True),
        ("\n  a > 1\n  and b > 1\n", {"a": 2, "b": 2}, True),
        ("plan == 'a#b'", {"plan": "a#b"}, True),
        ("min(a, b) > 0", {"a": 1, "b": None}, None),
    ],
)
def test_meaning(text: str, row: dict[str, Any], expected: object) -> None:
    assert parse(text).evaluate(row) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a > 1 and b > 1", False),  # b is false whatever a is
        ("a > 1 or b < 1", True),
        ("a > 1 and b < 1", None),
        ("a > 1 or b > 1", None),
        ("not a > 1", None),
        ("a == a", None),
        ("a != 1", None),
        ("a is None", True),
    ],
)
def test_unknown_is_neither_true_nor_false(text: str, expected: bool | None) -> None:
    expression = parse(text)
    assert expression.evaluate({"a": None, "b": 0}) is expected
    assert expression.holds({"a": None, "b": 0}) is (expected is True)


def test_values_of_another_kind_are_unknown_where_nobody_declared_kinds() -> None:
    assert value("a > 3", a="gold") is None
    assert value("a == 'gold'", a=3) is None
    assert value("a > b", a="x", b=3) is None
    assert value("a + b > 3", a="x", b="y") is None
    assert value("a > 0", a=True) is None
    assert value("a and b > 0", a=1, b=0) is False
    assert value("a or b > 0", a=1, b=0) is None


def test_money_is_compared_in_minor_units_of_one_currency() -> None:
    assert parse("mrr_usd > usd(500)", names=NAMES).holds({"mrr_usd": 50_001})
    assert not parse("mrr_usd > usd(500)", names=NAMES).holds({"mrr_usd": 50_000})
    assert parse("mrr_usd >= usd(19.99)", names=NAMES).holds({"mrr_usd": 1_999})
    assert parse("mrr == jpy(500)").holds({"mrr": 500})
    assert parse("mrr == kwd(1.234)").holds({"mrr": 1_234})
    assert parse("mrr_usd > 0 and mrr_usd * 2 - usd(1) > usd(2)", names=NAMES).holds({"mrr_usd": 151})
    assert parse("mrr_usd / usd(2) > 1.5", names=NAMES).holds({"mrr_usd": 301})
    assert parse("mrr_usd in [usd(1), usd(2)]", names=NAMES).holds({"mrr_usd": 200})


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("mrr_usd > eur(5)", 10, ["'mrr_usd' (USD amount)", "EUR amount"]),
        ("mrr_usd > mrr_eur", 10, ["'mrr_usd' (USD amount)", "'mrr_eur' (EUR amount)"]),
        ("mrr_usd > 500", 10, ["usd(500)"]),
        ("tenure_days > usd(5)", 14, ["'tenure_days' (number)", "USD amount"]),
        ("tenure_days > days(90)", 14, ["plain number"]),
        ("created_at < 30", 13, ["take a difference first"]),
        ("mrr_usd > usd(0.001)", 14, ["more decimals than USD"]),
        ("plan > 3", 7, ["'plan' (text)", "3 (number)"]),
        ("health > '3'", 9, ["without quotes"]),
        ("health + plan > 1", 9, ["'plan' (text)"]),
        ("mrr_usd + health > usd(1)", 10, ["has no meaning"]),
        ("created_at + as_of > created_at", 13, ["has no meaning"]),
        ("health", 0, ["neither true nor false"]),
        ("health and plan == 'x'", 0, ["neither true nor false"]),
        ("helth < 40", 0, ["no column 'helth'", "did you mean 'health'?"]),
        ("health < 40 and mrr < usd(5)", 16, ["no column 'mrr'"]),
        ("health == None", 10, ["is None"]),
        ("'gold' in plan", 10, ["contains"]),
        ("plan in []", 8, ["list of values"]),
        ("plan in [health]", 9, ["a list holds"]),
        ("churn_intent > True", 0, ["has no order"]),
        ("lenght(plan) > 3", 0, ["no function 'lenght'"]),
        ("lowr(plan) == 'x'", 0, ["did you mean 'lower'?"]),
        ("health = 3", 7, ["compare with `==`"]),
        ("health < 3 && health > 1", None, ["write `and`"]),
        ("contains(plan, plan)", 15, ["quoted text"]),
        ("contains(plan, '')", 15, ["quoted text"]),
        ("abs(plan) > 1", 4, ["'plan' (text)"]),
        ("sqrt(plan) > 1", 5, ["'plan' (text)"]),
        ("sqrt(mrr_usd) > 1", 5, ["'sqrt()' does not work with"]),
        ("lower(health) == 'x'", 6, ["is not a text"]),
        ("days(health) > 1", 5, ["plain number"]),
        ("startswith(plan)", 0, ["another number of values"]),
        ("lower(text=plan) == 'x'", 0, ["plain values"]),
        ("health is 3", 10, ["`is` works with None alone"]),
        ("extra.x == 1", 0, ["no column 'extra.x'"]),
        ("health < 3 # low", 11, ["comments"]),
        ("health < 3 # low\nor health > 3", 11, ["comments"]),
        ("plan == 'a\\n'", 10, ["backslash"]),
        ("health < 1e999", 9, ["too large"]),
        (f"health < {2**63}", 9, ["too large"]),
        ("", 0, ["empty"]),
        ("客户 < 3 and helth", 0, ["no column '客户'"]),
    ],
)
def test_mistakes_are_named_with_their_place(text: str, position: int | None, words: list[str]) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text, names=NAMES, condition=True)
    message = str(caught.value)
    for word in words:
        assert word in message
    if position is not None:
        assert caught.value.position == position
    line, caret = message.split("\n")[1:3]
    if "\n" not in text:
        assert line == f"    {text}"
        assert caret.split("^")[0] == " " * (4 + caught.value.position)
    assert isinstance(caught.value, ConfigError)


def test_the_caret_counts_characters_and_lines() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse("plan == '客户客户'\n   and helth < 3", names=NAMES)
    assert str(caught.value).split("\n")[1:3] == ["       and helth < 3", "           ^ (did you mean 'health'?)"]


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "().__class__",
        "a.b.c == 1",
        "a[0] == 1",
        "a['x']['y'] == 1",
        "[x for x in a]",
        "(lambda: 1)() == 1",
        "a if b else c",
        "f'{a}' == 'x'",
        "b'x' == a",
        "{1: 2} == a",
        "a ** 2 > 3",
        "a % 2 > 3",
        "a // 2 > 3",
        "~a > 1",
        "+a > 1",
        "a @ b > 1",
        "a << 2 > 1",
        "(a := 3) > 1",
        "a; b",
        "import os",
        "print(a)",
        "max(*a) > 1",
        "... == a",
        "1j == a",
        "await a",
        "usd(a) > b",
        "a) or (b",
        "a == 1\nb == 2",
        "x\x00 > 1",
    ],
)
def test_nothing_else_is_possible(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "a" * (MAX_LENGTH + 1),
        "(" * 900 + "a" + ")" * 900,
        "not " * 400 + "a",
        "-" * 1_500 + "a > 1",
        "a" + "+1" * 300 + " > 1",
        "[" * 1_000,
        "9" * 1_999,
    ],
)
def test_size_and_depth_are_limited(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


def test_sql_is_limited_too() -> None:
    columns = {"a": "a", "b": "b", "c": "c"}
    text = "a"
    for _ in range(45):
        text = f"max({text}, b, c)"
    expression = parse(f"{text} > 1", names=dict.fromkeys(columns, "count"))
    assert expression.holds({"a": 2, "b": 0, "c": 0})
    with pytest.raises(ExpressionError, match="too large"):
        expression.to_sql(columns)


def test_sql_of_a_column_of_unknown_kind_is_refused() -> None:
    with pytest.raises(ExpressionError, match="number or a text"):
        parse("a == b").to_sql({"a": "a", "b": "b"})
    names = {"extra": "json", "count": "count"}
    assert parse("extra.x > 0 and extra.y == 'a'", names=names).kinds == {"extra.x": "number", "extra.y": "text"}
    assert parse("extra.x == extra.y and extra.x > 0", names=names).kinds == {"extra.x": "number", "extra.y": "number"}


def test_what_an_expression_says_about_itself() -> None:
    expression = parse("mrr > usd(5) and (extra.tier == 'gold' or seen)")
    assert expression.names == {"mrr", "extra.tier", "seen"}
    assert expression.kinds == {"mrr": "money:usd", "extra.tier": "text", "seen": "flag"}
    assert (expression.kind, parse("a + 1").kind) == ("flag", "any")
    assert repr(expression) == f"Expression({expression.text!r})"
    with pytest.raises(ExpressionError, match="cannot be compared"):
        parse("mrr > usd(5) and mrr < eur(6)")


# --- the same in SQL ---------------------------------------------------------------------------------------------------------

FIELDS = {"n": "count", "m": "ratio", "t": "text", "u": "text", "f": "flag", "g": "flag", "d": "date", "e": "date", "l": "list"}

WORDS = ["", "gold", "Gold", "GOLD plan", "ö", "ÖL", '"', "a,b", '["gold', ",", "]", "客户"]

texts = st.sampled_from(WORDS)
integers = st.integers(-1_000, 1_000)
rows = st.fixed_dictionaries(
    {
        "n": st.none() | integers,
        "m": st.none() | st.sampled_from([0.0, 0.5, -0.25, 3.75, 100.0]),
        "t": st.none() | texts,
        "u": st.none() | texts,
        "f": st.none() | st.booleans(),
        "g": st.none() | st.booleans(),
        "d": st.none() | st.integers(0, 100 * DAY),
        "e": st.none() | st.integers(0, 100 * DAY),
        "l": st.none() | st.lists(texts, max_size=3),
    }
)


def quoted(text: str) -> str:
    return f"'{text}'"


def _numbers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        inner.map(lambda a: f"abs({a})"),
        inner.map(lambda a: f"sqrt({a})"),
        inner.map(lambda a: f"(-{a})"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner, inner).map(lambda p: f"{p[0]}({p[1]}, {p[2]}, {p[3]})"),
    )


numbers = st.recursive(st.sampled_from(["n", "m", "0", "2", "7.5", "-3", "((d - e) / days(1))"]), _numbers, max_leaves=4)
symbols = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
sources = st.sampled_from(["t", "u", "lower(t)", "lower(u)"])
dates = st.sampled_from(["d", "e", "d + days(3)", "e - hours(5)", "max(d, e)"])
comparisons = st.one_of(
    st.tuples(numbers, symbols, numbers).map(" ".join),
    st.tuples(numbers, symbols, numbers, symbols, numbers).map(" ".join),
    st.tuples(sources, symbols, sources | texts.filter(lambda w: '"' not in w).map(quoted)).map(" ".join),
    st.tuples(dates, symbols, dates).map(" ".join),
    st.tuples(st.just("d - e"), symbols, st.sampled_from(["days(2)", "0", "e - d"])).map(" ".join),
    st.tuples(sources, st.sampled_from([" in ", " not in "]), st.lists(texts.map(quoted), min_size=1, max_size=3)).map(
        lambda p: f"{p[0]}{p[1]}[{', '.join(p[2])}]"
    ),
    st.tuples(numbers, st.sampled_from([" in ", " not in "]), st.lists(integers.map(str), min_size=1, max_size=3)).map(
        lambda p: f"{p[0]}{p[1]}({', '.join(p[2])},)"
    ),
    st.tuples(st.sampled_from(["startswith", "contains"]), sources, texts.filter(bool).map(quoted)).map(
        lambda p: f"{p[0]}({p[1]}, {p[2]})"
    ),
    texts.filter(bool).map(lambda w: f"contains(l, {quoted(w)})"),
    st.sampled_from(["f", "g", "f == g", "f != True", "True", "False", "known(n + m)", "t is None", "(f and g) is not None"]),
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map(lambda p: f"({p[0]}{p[1]}{p[2]})"),
        inner.map(lambda a: f"not ({a})"),
        st.tuples(inner, symbols.filter(lambda s: s in {"==", "!="}), inner).map(lambda p: f"({p[0]}) {p[1]} ({p[2]})"),
        inner.map(lambda a: f"({a}) is None"),
    ),
    max_leaves=6,
)


def stored(row: dict[str, Any]) -> dict[str, Any]:
    """A row as its table holds it."""
    held = {name: int(row[name]) if isinstance(row[name], bool) else row[name] for name in FIELDS}
    held["l"] = None if row["l"] is None else msgspec.json.encode(row["l"]).decode()
    return held


@given(text=conditions, sample=st.lists(rows, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_python_and_sql_agree(text: str, sample: list[dict[str, Any]]) -> None:
    expression = parse(text, names=FIELDS, condition=True)
    sql, params = expression.to_sql({name: f"r.{name}" for name in FIELDS})
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE r (i, n INT, m REAL, t TEXT, u TEXT, f INT, g INT, d INT, e INT, l TEXT)")
    for index, row in enumerate(sample):
        connection.execute("INSERT INTO r VALUES (?,?,?,?,?,?,?,?,?,?)", [index, *stored(row).values()])
    select = f"SELECT CASE WHEN {sql} THEN 1 WHEN NOT ({sql}) THEN 0 END FROM r ORDER BY i"
    found = [None if v is None else bool(v) for (v,) in connection.execute(select, params + params)]
    held = [i for (i,) in connection.execute(f"SELECT i FROM r WHERE {sql} ORDER BY i", params)]
    connection.close()
    assert found == [expression.evaluate(row) for row in sample]
    assert held == [index for index, row in enumerate(sample) if expression.holds(row)]


@given(text=numbers, sample=rows)
@settings(max_examples=100, deadline=None)
def test_python_and_sql_agree_on_numbers(text: str, sample: dict[str, Any]) -> None:
    expression = parse(text, names=FIELDS)
    sql, params = expression.to_sql({name: f"r.{name}" for name in FIELDS})
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE r (n INT, m REAL, t TEXT, u TEXT, f INT, g INT, d INT, e INT, l TEXT)")
    connection.execute("INSERT INTO r VALUES (?,?,?,?,?,?,?,?,?)", list(stored(sample).values()))
    (found,) = connection.execute(f"SELECT {sql} FROM r", params).fetchone()
    connection.close()
    assert found == pytest.approx(expression.evaluate(sample)) if found is not None else expression.evaluate(sample) is None


@given(text=conditions | numbers, sample=st.lists(rows, max_size=4), declared=st.booleans())
@settings(max_examples=200, deadline=None)
def test_columns_and_rows_agree(text: str, sample: list[dict[str, Any]], declared: bool) -> None:
    if "contains(l" in text and not declared:
        return
    expression = parse(text, names=FIELDS if declared else None)
    table = {name: [row[name] for row in sample] for name in FIELDS}
    assert repr(expression.evaluate_all(table, len(sample))) == repr([expression.evaluate(row) for row in sample])


def test_a_part_that_fails_fails_in_columns_only_where_a_row_comes_to_it() -> None:
    expression = parse("f or n / 2 > 1")
    large = 10**400
    assert expression.evaluate_all({"f": [True, False], "n": [large, 4]}, 2) == [True, True]
    with pytest.raises(OverflowError):
        expression.evaluate_all({"f": [False], "n": [large]}, 1)


@given(text=conditions, sample=rows)
@settings(max_examples=200, deadline=None)
def test_undeclared_names_mean_the_same_as_declared_ones(text: str, sample: dict[str, Any]) -> None:
    if "contains(l" in text:
        return
    declared = parse(text, names=FIELDS, condition=True).evaluate(sample)
    assert parse(text, condition=True).evaluate(sample) is declared


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text_is_either_an_expression_or_an_expression_error(text: str) -> None:
    try:
        expression = parse(text)
    except ExpressionError as error:
        assert 0 <= error.position <= len(text)  # noqa: PT017 - most texts are no expressions
    else:
        expression.evaluate(dict.fromkeys(expression.names))


def test_a_hundred_thousand_rows_are_fast() -> None:
    expression = parse("health < 40 and mrr_usd > usd(500) and plan in ['gold', 'silver']", names=NAMES)
    sample: list[dict[str, Any]] = [{"health": index % 100, "mrr_usd": index, "plan": "gold"} for index in range(100_000)]
    start = time.process_time()
    held = sum(expression.holds(row) for row in sample)
    assert held == 19_999
    assert time.process_time() - start < 1.0
