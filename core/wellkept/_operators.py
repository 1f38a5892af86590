"""The operators of `wellkept.expressions`, each with its two meanings side by side: a Python closure, and SQL.

Both follow the three-valued logic of SQL: None (NULL) is *unknown*, and what is computed from something unknown is unknown,
except that ``false and unknown`` is false and ``true or unknown`` is true. A node of kind ``flag`` yields True, False or
None in Python, and a *predicate* in SQL, for a stored flag is the number 0 or 1 there.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Literal

import msgspec

Run = Callable[[Mapping[str, Any]], Any]
Columns = Callable[[Mapping[str, Sequence[Any]], int], Iterable[Any]]
Quantity = Literal["number", "date", "span", "money"]

DAY = 86_400_000
HOUR = 3_600_000

_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


MAX_LEAVES = 2_000
"""Columns and literals in the SQL of one expression."""


class SqlWriter:
    """Collects the parameters of a statement in the order in which its text names them.

    Some operators repeat their parts in SQL, so nesting them could make a text that grows without end: the writer counts.

    Args:
        columns: SQL for each name.
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.params: list[Any] = []
        self._columns = columns
        self._leaves = 0

    def leaf(self, text: str) -> str:
        """Return a smallest part. Raises `OverflowError` when there are more than `MAX_LEAVES`."""
        self._leaves += 1
        if self._leaves > MAX_LEAVES:
            raise OverflowError
        return text

    def column(self, name: str) -> str:
        """Return the SQL of a column."""
        return self.leaf(self._columns[name])

    def param(self, value: Any) -> str:
        """Add a parameter and return its place holder."""
        self.params.append(value)
        return self.leaf("?")


Sql = Callable[[SqlWriter], str]


@dataclass(frozen=True, slots=True)
class Node:
    """A typed part of an expression.

    Attributes:
        kind: ``number``, ``text``, ``flag``, ``list``, ``date``, ``span``, ``money:CURRENCY``, or ``any`` where nobody said.
        run: Computes the value from a row,
        columns: and those of so many rows from their columns.
        sql: Writes the value, or for a flag the predicate.
        start: Where it stands in the text, in characters.
        name: The column, when it is nothing but a column.
        constant: The value, when it is a literal.
    """

    kind: str
    run: Run
    columns: Columns
    sql: Sql
    start: int
    name: str | None = None
    constant: Any = None

    @property
    def quantity(self) -> bool:
        """Whether it can be counted with."""
        return self.kind in {"number", "date", "span", "any"} or self.kind.startswith("money")


def _applied(apply: Callable[..., Any], *parts: Node) -> tuple[Run, Columns]:
    """Return what computes a node from the values of its parts: for a row, and for columns."""
    runs, columns = tuple(part.run for part in parts), tuple(part.columns for part in parts)

    def every(table: Mapping[str, Sequence[Any]], count: int) -> Iterable[Any]:
        return map(apply, *[column(table, count) for column in columns])

    if len(runs) == 1:
        (only,) = runs
        return lambda row: apply(only(row)), every
    if len(runs) == 2:
        left, right = runs
        return lambda row: apply(left(row), right(row)), every
    return lambda row: apply(*[run(row) for run in runs]), every


def literal(value: Any, kind: str, start: int) -> Node:
    """Return a constant. Flags become a predicate without parameters, which every database understands."""

    def every(_: Mapping[str, Sequence[Any]], count: int) -> Iterable[Any]:
        return repeat(value, count)

    def sql(writer: SqlWriter) -> str:
        return writer.leaf("1 = 1" if value else "1 = 0") if kind == "flag" else writer.param(value)

    return Node(kind, lambda _: value, every, sql, start, constant=value)


_TYPES: dict[str, tuple[type, ...]] = {"text": (str,), "flag": (bool,), "list": (list, tuple)}


def column(name: str, kind: str, start: int, *, checked: bool) -> Node:
    """Return a column's value.

    Args:
        name: Its name in the row.
        kind: Its kind.
        start: Where it stands.
        checked: The kind was not declared but concluded from its use, so a value of another type is unknown.
    """
    types = _TYPES.get(kind, (int, float))

    def only(value: Any) -> Any:
        return value if type(value) in types else None

    def sql(writer: SqlWriter) -> str:
        return f"{writer.column(name)} <> 0" if kind == "flag" else writer.column(name)

    cell = Node(kind, lambda row: row[name], lambda table, _: table[name], sql, start, name=name)
    if checked and kind != "any":
        return Node(kind, *_applied(only, cell), sql, start, name=name)
    return Node(kind, *_applied(_flag, cell), sql, start, name=name) if kind == "flag" else cell


def _flag(value: Any) -> bool | None:
    return None if value is None else bool(value)


def value_sql(node: Node) -> Sql:
    """Return SQL that yields a value even for a flag: 1, 0 or NULL."""
    if node.kind != "flag":
        return node.sql
    return lambda sql: f"CASE WHEN {node.sql(sql)} THEN 1 WHEN NOT ({node.sql(sql)}) THEN 0 END"


_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def compare(symbol: str, left: Node, right: Node) -> Node:
    """Return ``left symbol right``. Values whose types nobody declared, and which do not match, compare as unknown."""
    test = _COMPARE[symbol]

    def apply(x: Any, y: Any) -> Any:
        return None if x is None or y is None else test(x, y)

    def loosely(x: Any, y: Any) -> Any:
        if x is None or y is None or not (type(x) is type(y) or (_number(x) and _number(y))):
            return None
        return test(x, y) if _number(x) or isinstance(x, str) or symbol in {"=", "<>"} else None

    lsql, rsql = value_sql(left), value_sql(right)
    how = loosely if "any" in {left.kind, right.kind} else apply
    return Node("flag", *_applied(how, left, right), lambda sql: f"({lsql(sql)} {symbol} {rsql(sql)})", left.start)


def conjunction(parts: Sequence[Node], *, decisive: bool) -> Node:
    """Return ``and`` (`decisive` False) or ``or`` (True): one decisive part settles it, else one unknown part does."""
    runs = tuple(part.run for part in parts)
    word = " OR " if decisive else " AND "

    def settle(values: Iterable[Any]) -> Any:
        unknown = False
        for value in values:
            if value is decisive:
                return decisive
            if value is None:
                unknown = True
        return None if unknown else not decisive

    def every(table: Mapping[str, Sequence[Any]], count: int) -> Iterable[Any]:
        return map(settle, zip(*[part.columns(table, count) for part in parts], strict=True))

    return Node(
        "flag",
        lambda row: settle(part(row) for part in runs),
        every,
        lambda sql: "(" + word.join(part.sql(sql) for part in parts) + ")",
        parts[0].start,
    )


def negation(part: Node, start: int) -> Node:
    """Return ``not part``."""

    def apply(value: Any) -> Any:
        return None if value is None else not value

    return Node("flag", *_applied(apply, part), lambda sql: f"(NOT {part.sql(sql)})", start)


def is_known(part: Node, start: int, *, known: bool) -> Node:
    """Return ``part is not None`` (`known`) or ``part is None``."""
    test = "IS NOT NULL" if known else "IS NULL"

    def apply(value: Any) -> bool:
        return (value is not None) is known

    return Node("flag", *_applied(apply, part), lambda sql: f"(({part.sql(sql)}) {test})", start)


def membership(part: Node, values: Sequence[Any], *, inside: bool) -> Node:
    """Return ``part in [...]``, or ``not in``."""
    members, word = frozenset(values), "IN" if inside else "NOT IN"

    def apply(value: Any) -> Any:
        return None if value is None else (value in members) is inside

    def sql(writer: SqlWriter) -> str:
        written = part.sql(writer)
        return f"({written} {word} ({', '.join(writer.param(value) for value in values)}))"

    return Node("flag", *_applied(apply, part), sql, part.start)


def _divide(x: Any, y: Any) -> Any:
    return None if y == 0 else float(x) / y


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
}


def arithmetic(symbol: str, left: Node, right: Node, kind: str) -> Node:
    """Return ``left symbol right``. Division is never integer division, and division by zero is unknown.

    In SQL nothing is cast to ``NUMERIC`` by SQLite, which counts on in floats beyond its integers; PostgreSQL would raise.
    """
    combine = _ARITHMETIC[symbol]

    def apply(x: Any, y: Any) -> Any:
        return None if x is None or y is None else combine(x, y)

    def loosely(x: Any, y: Any) -> Any:
        return combine(x, y) if _number(x) and _number(y) else None

    def sql(writer: SqlWriter) -> str:
        if symbol == "/":
            return f"(CAST({left.sql(writer)} AS DOUBLE PRECISION) / NULLIF({right.sql(writer)}, 0))"
        return f"(CAST({left.sql(writer)} AS NUMERIC) {symbol} {right.sql(writer)})"

    return Node(kind, *_applied(loosely if "any" in {left.kind, right.kind} else apply, left, right), sql, left.start)


def negative(part: Node, start: int) -> Node:
    """Return ``-part``; of a literal, the negative literal."""
    if part.constant is not None:
        return literal(-part.constant, part.kind, start)
    return _mapped(part, operator.neg, lambda written: f"(-{written})", start)


def absolute(part: Node, start: int) -> Node:
    """Return the absolute value. SQL's own ``abs`` raises for the smallest integer, which would stop a whole scan."""

    def sql(writer: SqlWriter) -> str:
        return f"CASE WHEN {part.sql(writer)} < 0 THEN -({part.sql(writer)}) ELSE {part.sql(writer)} END"

    plain = _mapped(part, abs, str, start)
    return Node(part.kind, plain.run, plain.columns, sql, start)


def root(part: Node, start: int) -> Node:
    """Return the square root; that of a negative number is unknown."""

    def apply(value: Any) -> Any:
        return math.sqrt(value) if _number(value) and value >= 0 else None

    def sql(writer: SqlWriter) -> str:
        return f"CASE WHEN {part.sql(writer)} >= 0 THEN SQRT({part.sql(writer)}) END"

    return Node("number", *_applied(apply, part), sql, start)


def lower(part: Node, start: int) -> Node:
    """Return a text with A to Z in lower case. Other letters stay, for databases disagree about them."""
    return _mapped(part, lambda text: text.translate(_LOWER), lambda written: f"lower({written})", start)


def _mapped(part: Node, apply: Callable[[Any], Any], write: Callable[[str], str], start: int) -> Node:
    types = (str,) if part.kind == "text" else (int, float)

    def only(value: Any) -> Any:
        return apply(value) if isinstance(value, types) and type(value) is not bool else None

    return Node(part.kind, *_applied(only, part), lambda sql: write(part.sql(sql)), start)


def extreme(parts: Sequence[Node], start: int, *, largest: bool) -> Node:
    """Return the largest or smallest of several values; unknown as soon as one is."""
    pick, symbol = max if largest else min, ">=" if largest else "<="
    loose = any(part.kind == "any" for part in parts)

    def apply(*values: Any) -> Any:
        if any(value is None for value in values) or (loose and not all(map(_number, values))):
            return None
        return pick(values)

    def sql(writer: SqlWriter) -> str:
        unknown = " OR ".join(f"{part.sql(writer)} IS NULL" for part in parts)
        text = f"CASE WHEN {unknown} THEN NULL"
        for index, part in enumerate(parts[:-1]):
            rest = parts[index + 1 :]
            wins = " AND ".join(f"{part.sql(writer)} {symbol} {other.sql(writer)}" for other in rest)
            text += f" WHEN {wins} THEN {part.sql(writer)}"
        return f"{text} ELSE {parts[-1].sql(writer)} END"

    return Node(parts[0].kind, *_applied(apply, *parts), sql, start)


def starts_with(part: Node, prefix: str, start: int) -> Node:
    """Return whether a text begins so."""

    def apply(value: Any) -> Any:
        return None if value is None else value.startswith(prefix)

    def sql(writer: SqlWriter) -> str:
        return f"(substr({part.sql(writer)}, 1, {len(prefix)}) = {writer.param(prefix)})"

    return Node("flag", *_applied(apply, part), sql, start)


def contains(part: Node, what: str, start: int) -> Node:
    """Return whether a text has a part, or a list a member.

    A list is stored as compact JSON. A member is found there as ``["x"`` or ``,"x"``: within a JSON text every quotation
    mark of a member's own is behind a backslash, so neither can be anything else than the beginning of a whole member.
    """

    def apply(value: Any) -> Any:
        return what in value if isinstance(value, (str, list, tuple)) else None

    def has(writer: SqlWriter, piece: str) -> str:
        return f"replace({part.sql(writer)}, {writer.param(piece)}, '') <> {part.sql(writer)}"

    def sql(writer: SqlWriter) -> str:
        if part.kind != "list":
            return f"({has(writer, what)})"
        member = msgspec.json.encode(what).decode()
        return f"({has(writer, '[' + member)} OR {has(writer, ',' + member)})"

    return Node("flag", *_applied(apply, part), sql, start)
