"""The operators of `wellkept.expressions`, each with its two meanings side by side: a Python closure, and SQL.

Both follow the three-valued logic of SQL: None (NULL) is *unknown*, and what is computed from something unknown is unknown,
except that ``false and unknown`` is false and ``true or unknown`` is true. A node of kind ``flag`` yields True, False or
None in Python, and a *predicate* in SQL, for a stored flag is the number 0 or 1 there.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

Run = Callable[[Mapping[str, Any]], Any]
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
        run: Computes the value from a row.
        sql: Writes the value, or for a flag the predicate.
        start: Where it stands in the text, in characters.
        name: The column, when it is nothing but a column.
        constant: The value, when it is a literal.
    """

    kind: str
    run: Run
    sql: Sql
    start: int
    name: str | None = None
    constant: Any = None

    @property
    def quantity(self) -> bool:
        """Whether it can be counted with."""
        return self.kind in {"number", "date", "span", "any"} or self.kind.startswith("money")


def literal(value: Any, kind: str, start: int) -> Node:
    """Return a constant. Flags become a predicate without parameters, which every database understands."""
    if kind == "flag":
        return Node(kind, lambda _: value, lambda sql: sql.leaf("1 = 1" if value else "1 = 0"), start, constant=value)
    return Node(kind, lambda _: value, lambda sql: sql.param(value), start, constant=value)


_TYPES: dict[str, tuple[type, ...]] = {"text": (str,), "flag": (bool,), "list": (list, tuple)}


def column(name: str, kind: str, start: int, *, checked: bool) -> Node:
    """Return a column's value.

    Args:
        name: Its name in the row.
        kind: Its kind.
        start: Where it stands.
        checked: The kind was not declared but concluded from its use, so a value of another type is unknown.
    """

    def plain(row: Mapping[str, Any]) -> Any:
        return row[name]

    def flag(row: Mapping[str, Any]) -> Any:
        value = row[name]
        return None if value is None else bool(value)

    types = _TYPES.get(kind, (int, float))

    def only(row: Mapping[str, Any]) -> Any:
        value = row[name]
        return value if type(value) in types else None

    if checked and kind != "any":
        run: Run = only
    else:
        run = flag if kind == "flag" else plain
    if kind == "flag":
        return Node(kind, run, lambda sql: f"{sql.column(name)} <> 0", start, name=name)
    return Node(kind, run, lambda sql: sql.column(name), start, name=name)


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
    test, lhs, rhs = _COMPARE[symbol], left.run, right.run

    def run(row: Mapping[str, Any]) -> Any:
        x, y = lhs(row), rhs(row)
        return None if x is None or y is None else test(x, y)

    def run_loose(row: Mapping[str, Any]) -> Any:
        x, y = lhs(row), rhs(row)
        if x is None or y is None or not (type(x) is type(y) or (_number(x) and _number(y))):
            return None
        return test(x, y) if _number(x) or isinstance(x, str) or symbol in {"=", "<>"} else None

    lsql, rsql = value_sql(left), value_sql(right)
    loose = "any" in {left.kind, right.kind}
    return Node("flag", run_loose if loose else run, lambda sql: f"({lsql(sql)} {symbol} {rsql(sql)})", left.start)


def conjunction(parts: Sequence[Node], *, decisive: bool) -> Node:
    """Return ``and`` (`decisive` False) or ``or`` (True): one decisive part settles it, else one unknown part does."""
    runs = tuple(part.run for part in parts)
    word = " OR " if decisive else " AND "

    def run(row: Mapping[str, Any]) -> Any:
        unknown = False
        for part in runs:
            value = part(row)
            if value is decisive:
                return decisive
            if value is None:
                unknown = True
        return None if unknown else not decisive

    return Node("flag", run, lambda sql: "(" + word.join(part.sql(sql) for part in parts) + ")", parts[0].start)


def negation(part: Node, start: int) -> Node:
    """Return ``not part``."""
    inner = part.run

    def run(row: Mapping[str, Any]) -> Any:
        value = inner(row)
        return None if value is None else not value

    return Node("flag", run, lambda sql: f"(NOT {part.sql(sql)})", start)


def is_known(part: Node, start: int, *, known: bool) -> Node:
    """Return ``part is not None`` (`known`) or ``part is None``."""
    inner, test = part.run, "IS NOT NULL" if known else "IS NULL"
    return Node("flag", lambda row: (inner(row) is not None) is known, lambda sql: f"(({part.sql(sql)}) {test})", start)


def membership(part: Node, values: Sequence[Any], *, inside: bool) -> Node:
    """Return ``part in [...]``, or ``not in``."""
    inner, members, word = part.run, frozenset(values), "IN" if inside else "NOT IN"

    def run(row: Mapping[str, Any]) -> Any:
        value = inner(row)
        return None if value is None else (value in members) is inside

    def sql(writer: SqlWriter) -> str:
        written = part.sql(writer)
        return f"({written} {word} ({', '.join(writer.param(value) for value in values)}))"

    return Node("flag", run, sql, part.start)


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
    apply, lhs, rhs = _ARITHMETIC[symbol], left.run, right.run

    def run(row: Mapping[str, Any]) -> Any:
        x, y = lhs(row), rhs(row)
        return None if x is None or y is None else apply(x, y)

    def run_loose(row: Mapping[str, Any]) -> Any:
        x, y = lhs(row), rhs(row)
        return apply(x, y) if _number(x) and _number(y) else None

    def sql(writer: SqlWriter) -> str:
        if symbol == "/":
            return f"(CAST({left.sql(writer)} AS DOUBLE PRECISION) / NULLIF({right.sql(writer)}, 0))"
        return f"(CAST({left.sql(writer)} AS NUMERIC) {symbol} {right.sql(writer)})"

    return Node(kind, run_loose if "any" in {left.kind, right.kind} else run, sql, left.start)


def negative(part: Node, start: int) -> Node:
    """Return ``-part``; of a literal, the negative literal."""
    if part.constant is not None:
        return literal(-part.constant, part.kind, start)
    return _mapped(part, operator.neg, lambda written: f"(-{written})", start)


def absolute(part: Node, start: int) -> Node:
    """Return the absolute value. SQL's own ``abs`` raises for the smallest integer, which would stop a whole scan."""

    def sql(writer: SqlWriter) -> str:
        return f"CASE WHEN {part.sql(writer)} < 0 THEN -({part.sql(writer)}) ELSE {part.sql(writer)} END"

    return Node(part.kind, _mapped(part, abs, str, start).run, sql, start)


def root(part: Node, start: int) -> Node:
    """Return the square root; that of a negative number is unknown."""

    def run(row: Mapping[str, Any]) -> Any:
        value = part.run(row)
        return math.sqrt(value) if _number(value) and value >= 0 else None

    return Node("number", run, lambda sql: f"CASE WHEN {part.sql(sql)} >= 0 THEN SQRT({part.sql(sql)}) END", start)


def lower(part: Node, start: int) -> Node:
    """Return a text with A to Z in lower case. Other letters stay, for databases disagree about them."""
    return _mapped(part, lambda text: text.translate(_LOWER), lambda written: f"lower({written})", start)


def _mapped(part: Node, apply: Callable[[Any], Any], write: Callable[[str], str], start: int) -> Node:
    inner, types = part.run, (str,) if part.kind == "text" else (int, float)

    def run(row: Mapping[str, Any]) -> Any:
        value = inner(row)
        return apply(value) if isinstance(value, types) and type(value) is not bool else None

    return Node(part.kind, run, lambda sql: write(part.sql(sql)), start)


def extreme(parts: Sequence[Node], start: int, *, largest: bool) -> Node:
    """Return the largest or smallest of several values; unknown as soon as one is."""
    runs, pick, symbol = tuple(part.run for part in parts), max if largest else min, ">=" if largest else "<="
    loose = any(part.kind == "any" for part in parts)

    def run(row: Mapping[str, Any]) -> Any:
        values = [part(row) for part in runs]
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

    return Node(parts[0].kind, run, sql, start)


def starts_with(part: Node, prefix: str, start: int) -> Node:
    """Return whether a text begins so."""
    inner = part.run

    def run(row: Mapping[str, Any]) -> Any:
        value = inner(row)
        return None if value is None else value.startswith(prefix)

    def sql(writer: SqlWriter) -> str:
        return f"(substr({part.sql(writer)}, 1, {len(prefix)}) = {writer.param(prefix)})"

    return Node("flag", run, sql, start)


def contains(part: Node, what: str, start: int) -> Node:
    """Return whether a text has a part, or a list a member.

    A list is stored as compact JSON. A member is found there as ``["x"`` or ``,"x"``: within a JSON text every quotation
    mark of a member's own is behind a backslash, so neither can be anything else than the beginning of a whole member.
    """
    inner = part.run

    def run(row: Mapping[str, Any]) -> Any:
        value = inner(row)
        return what in value if isinstance(value, (str, list, tuple)) else None

    def has(writer: SqlWriter, piece: str) -> str:
        return f"replace({part.sql(writer)}, {writer.param(piece)}, '') <> {part.sql(writer)}"

    def sql(writer: SqlWriter) -> str:
        if part.kind != "list":
            return f"({has(writer, what)})"
        member = msgspec.json.encode(what).decode()
        return f"({has(writer, '[' + member)} OR {has(writer, ',' + member)})"

    return Node("flag", run, sql, start)
