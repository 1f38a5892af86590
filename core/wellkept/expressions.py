"""A small, safe language for conditions: ``health < 40 and mrr_usd > usd(500)``.

It is read with Python's own parser against an allow-list and compiled to closures; nothing is ever evaluated as code. The
same text can be written as SQL, with the same meaning.

* Names are columns of the frame, or fields of a record; ``extra.KEY`` or ``extra['KEY']`` is a custom field.
* Numbers, quoted texts, True, False; ``and or not``, ``== != < <= > >=`` (also in chains), ``+ - * /``, ``in [...]``,
  ``not in [...]``, parentheses.
* ``usd(500)``, and so with every ISO 4217 code: an amount of money, comparable only with money of that currency.
* ``days(3)``, ``hours(2)``: spans of time. Instants differ by a span: ``as_of - created_at > days(90)``.
* ``abs(x)``, ``sqrt(x)``, ``min(x, y)``, ``max(x, y)``, ``lower(text)`` (A to Z alone), ``startswith(text, 'a')``,
  ``contains(text, 'a')``; ``contains(tags, 'vip')`` of a list asks for a member.
* A missing value is *unknown*, and so is what is computed from it. A condition holds only when it is known to be true, and
  ``x is None``, ``x is not None`` and ``known(x)`` are always known.
"""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import repeat
from typing import Any

from wellkept import _operators as op
from wellkept._kinds import advice, describe, result
from wellkept._operators import Node
from wellkept.errors import ConfigError
from wellkept.frame import Column, Value
from wellkept.money import EXPONENTS, to_minor

MAX_LENGTH = 2_000
"""Characters in an expression."""
MAX_DEPTH = 50
"""How deep it may nest; sums count one level a term."""

_KINDS = {
    "count": "number",
    "days": "number",
    "minutes": "number",
    "ratio": "number",
    "points": "number",
    "date": "date",
    "text": "text",
    "flag": "flag",
    "money": "money:",
    "list": "list",
    "json": "json",
}

_SYMBOLS: dict[type[ast.AST], str] = {
    ast.Eq: "=",
    ast.NotEq: "<>",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
}

_FUNCTIONS = ("abs", "contains", "days", "hours", "known", "lower", "max", "min", "sqrt", "startswith")


class ExpressionError(ConfigError):
    """An expression cannot be used. `position` is where, in characters from 0."""

    def __init__(self, message: str, text: str, position: int, *, guidance: str | None = None) -> None:
        line = text.count("\n", 0, position)
        column = position - (text.rfind("\n", 0, position) + 1)
        shown = text.split("\n")[line]
        super().__init__(f"{message}\n    {shown}\n    {' ' * column}^", guidance=guidance)
        self.position = position


class Expression:
    """A parsed expression; see `parse`.

    Attributes:
        text: As it was written.
        names: The columns that it reads.
        kinds: The kind of each of these: ``number``, ``text``, ``flag``, ``list``, ``date``, ``span``, ``money:CURRENCY``, or
            ``any`` where neither the declaration nor its use says.
        kind: The kind of the result.
    """

    __slots__ = ("_root", "evaluate", "kind", "kinds", "names", "text")

    def __init__(self, text: str, root: Node, kinds: Mapping[str, str]) -> None:
        self.text = text
        self.kinds = kinds
        self.names = frozenset(kinds)
        self.kind = root.kind
        self._root = root
        self.evaluate = root.run
        """Return the value for a row (a mapping that has all `names`), or None when it is unknown."""

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def evaluate_all(self, table: Mapping[str, Sequence[Value]], count: int) -> list[Any]:
        """Return the values for many rows at once, which is several times faster.

        Args:
            table: A column for each of `names`.
            count: How many rows these have.
        """
        try:
            return list(self._root.columns(table, count))
        except Exception:  # noqa: BLE001 - a part may have failed that a row alone would not have come to
            names = sorted(self.names)
            rows = zip(*[table[name] for name in names], strict=True) if names else repeat((), count)
            return [self.evaluate(dict(zip(names, row, strict=True))) for row in rows]

    def holds(self, row: Mapping[str, Value]) -> bool:
        """Return whether the condition is known to be true."""
        return self.evaluate(row) is True

    def to_sql(self, columns: Mapping[str, str]) -> tuple[str, list[Any]]:
        """Return the expression as SQL with ``?`` place holders, and their parameters.

        Args:
            columns: SQL for every name; flags as numbers 0 and 1, lists as compact JSON, all of them NULL when unknown.

        Raises:
            ExpressionError: It is too large, or the kind of a column is not known.
        """
        for name, kind in self.kinds.items():
            if kind == "any":
                raise ExpressionError(
                    f"it is not clear whether {name!r} is a number or a text",
                    self.text,
                    max(0, self.text.find(name.removeprefix("extra."))),
                    guidance="compare it with a number or a quoted text",
                )
        writer = op.SqlWriter(columns)
        try:
            return self._root.sql(writer), writer.params
        except OverflowError:
            raise ExpressionError(
                "the expression is too large", self.text, 0, guidance="use `min`, `max` and `abs` less deeply"
            ) from None


def parse(text: str, *, names: Mapping[str, Column | str] | None = None, condition: bool = False) -> Expression:
    """Read an expression and check it.

    Args:
        text: The expression.
        names: What it may refer to: each name's `Column`, or its unit as a string (``"count"``, ``"date"``, ...; also
            ``"list"``, and ``"json"`` for a field with custom fields in it). None allows every name; kinds then follow
            from how names are used, and a value of another kind counts as unknown.
        condition: It must be true, false or unknown, not a number or a text.

    Raises:
        ExpressionError: It is not of this language, names an unknown column, or mixes things that cannot be compared.
    """
    body = _read(text)
    inferred: dict[str, str] = {}
    while True:
        parser = _Parser(text, names, inferred)
        root = parser.node(body, 0)
        if condition:
            root = parser.flag(root)
        if parser.inferred == inferred:
            return Expression(text, root, parser.used)
        inferred = parser.inferred


def kind_of(unit: Column | str) -> str:
    """Return the kind of a column, from its unit and currency."""
    if isinstance(unit, Column):
        return f"money:{(unit.currency or '').lower()}" if unit.unit == "money" else _KINDS[unit.unit]
    return _KINDS[unit]


def nearest(name: str, names: Sequence[str]) -> str | None:
    """Return guidance with the most similar of some names, if one is similar."""
    close = difflib.get_close_matches(name, names, 1, 0.6)
    return f"did you mean {close[0]!r}?" if close else None


def _read(text: str) -> ast.expr:
    """Return the syntax tree of a text, or raise with the place of the mistake."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression may have {MAX_LENGTH} characters, this one has {len(text)}", text[:60], 0)
    if not text.strip():
        raise ExpressionError("the expression is empty", text, 0)
    if "\\" in text:
        raise ExpressionError("a backslash has no use here", text, text.index("\\"), guidance="use the other kind of quotes")
    flat = text.translate({ord(blank): " " for blank in "\r\n\t\f"})
    start = len(flat) - len(flat.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(flat[start:], mode="eval").body
    except SyntaxError as error:
        place = min(start + max(0, (error.offset or 1) - 1), len(text))
        raise ExpressionError("this is not an expression", text, place, guidance=_syntax_guidance(flat)) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError("this is not an expression", text, start) from None
    end = start + len(flat[start:].encode()[: body.end_col_offset].decode())
    if "#" in flat[end:]:
        raise ExpressionError("comments are not possible here", text, flat.index("#", end))
    for child in ast.walk(body):
        if isinstance(child, ast.expr):
            child.col_offset = start + len(flat[start:].encode()[: child.col_offset].decode())
    return body


def _syntax_guidance(text: str) -> str | None:
    if "&&" in text or "||" in text:
        return "write `and`, `or`"
    return "compare with `==`" if "=" in text.replace("==", "").replace("<=", "").replace(">=", "").replace("!=", "") else None


class _Parser:
    """Turns a syntax tree into nodes, checking kinds on the way.

    Kinds that nobody declared are concluded from their use. One pass may find the kind of a name after it was first used, so
    `parse` repeats until nothing new is found.
    """

    def __init__(self, text: str, names: Mapping[str, Column | str] | None, inferred: Mapping[str, str]) -> None:
        self.text = text
        self.names = names
        self.inferred = dict(inferred)
        self.used: dict[str, str] = {}

    def error(self, message: str, where: ast.expr | Node, *, guidance: str | None = None) -> ExpressionError:
        """Return the error of a place."""
        start = where.start if isinstance(where, Node) else where.col_offset
        return ExpressionError(message, self.text, start, guidance=guidance)

    # --- kinds ---

    def flag(self, node: Node) -> Node:
        """Return a node that is true, false or unknown."""
        node = self.expect(node, "flag")
        if node.kind != "flag":
            raise self.error(f"{describe(node)} is neither true nor false", node, guidance="compare it with something")
        return node

    def expect(self, node: Node, kind: str) -> Node:
        """Conclude the kind of a column that nobody declared."""
        if node.kind != "any" or node.name is None or kind == "any":
            return node
        self.inferred[node.name] = self.used[node.name] = kind
        return op.column(node.name, kind, node.start, checked=True)

    def pair(self, left: Node, right: Node, *, ordered: bool) -> tuple[Node, Node]:
        """Return two nodes that may be compared, or fail naming both."""
        for node, other in ((left, right), (right, left)):
            if _zero(node) and (other.kind == "span" or other.kind.startswith("money")):
                return left, right
        if self.names is None and "any" in {left.kind, right.kind} and (_zero(left) or _zero(right)):
            return left, right
        left, right = self.expect(left, right.kind), self.expect(right, left.kind)
        if "any" in {left.kind, right.kind}:
            return left, right
        for node in (left, right):
            if node.kind == "money:":
                raise self.error(f"the currency of {describe(node)} is not known", node)
        if left.kind != right.kind:
            raise self.error(
                f"{describe(left)} cannot be compared with {describe(right)}", right, guidance=advice(left.kind, right.kind)
            )
        if left.kind == "list":
            raise self.error(f"{describe(left)} cannot be compared", left, guidance="write contains(list, 'member')")
        if ordered and left.kind == "flag":
            raise self.error(f"{describe(left)} has no order", left)
        return left, right

    # --- nodes ---

    def node(self, tree: ast.expr, depth: int) -> Node:
        """Return the node of a tree, by the one table of what is allowed."""
        if depth > MAX_DEPTH:
            raise self.error("the expression is nested too deeply", tree)
        handler = _HANDLERS.get(type(tree))
        if handler is None:
            raise self.error("this is not possible here", tree, guidance="see the list of what an expression may contain")
        return handler(self, tree, depth + 1)

    def logic(self, tree: ast.BoolOp, depth: int) -> Node:
        """Return ``and``, ``or``."""
        parts = [self.flag(self.node(value, depth)) for value in tree.values]
        return op.conjunction(parts, decisive=isinstance(tree.op, ast.Or))

    def unary(self, tree: ast.UnaryOp, depth: int) -> Node:
        """Return ``not x``, ``-x``."""
        operand = self.node(tree.operand, depth)
        if isinstance(tree.op, ast.Not):
            return op.negation(self.flag(operand), tree.col_offset)
        if isinstance(tree.op, ast.USub):
            return op.negative(self.counted(operand, "-"), tree.col_offset)
        raise self.error("this sign is not possible here", tree)

    def constant(self, tree: ast.Constant, _: int) -> Node:
        """Return a literal."""
        value = tree.value
        match value:
            case bool():
                return op.literal(value, "flag", tree.col_offset)
            case str():
                return op.literal(value, "text", tree.col_offset)
            case int() | float() if abs(value) < 2**63:
                return op.literal(value, "number", tree.col_offset)
            case None:
                raise self.error("None cannot be compared", tree, guidance="write `x is None` or `known(x)`")
        raise self.error("this number is too large" if isinstance(value, int | float) else "this is not possible here", tree)

    def column(self, tree: ast.Name | ast.Attribute | ast.Subscript, _: int) -> Node:
        """Return a column, or a custom field."""
        match tree:
            case ast.Name(id=name):
                custom = False
            case (
                ast.Attribute(value=ast.Name(id=base), attr=key)
                | ast.Subscript(value=ast.Name(id=base), slice=ast.Constant(value=str(key)))
            ):
                name, custom = f"{base}.{key}", True
            case _:
                raise self.error(
                    "this is not possible here", tree, guidance="a custom field is written extra.KEY or extra['KEY']"
                )
        declared = "any"
        if self.names is not None:
            unit = self.names.get(name.partition(".")[0] if custom else name)
            if unit is None or (unit == "json") is not custom:
                known = [other for other, unit in self.names.items() if unit != "json"]
                raise self.error(f"there is no column {name!r}", tree, guidance=nearest(name, known))
            declared = "any" if custom else kind_of(unit)
        kind = self.inferred.get(name, "any") if declared == "any" else declared
        self.used[name] = kind
        return op.column(name, kind, tree.col_offset, checked=declared == "any")

    def counted(self, node: Node, symbol: str) -> Node:
        """Return a node that can be counted with."""
        if self.names is not None:
            node = self.expect(node, "number")
        if not node.quantity:
            raise self.error(f"{symbol!r} does not work with {describe(node)}", node)
        return node

    def binary(self, tree: ast.BinOp, depth: int) -> Node:
        """Return ``+ - * /``."""
        symbol = _SYMBOLS.get(type(tree.op))
        if symbol is None:
            raise self.error("only + - * / can be computed", tree)
        left = self.counted(self.node(tree.left, depth), symbol)
        right = self.counted(self.node(tree.right, depth), symbol)
        kind = result(symbol, left.kind, right.kind)
        if kind is None:
            raise self.error(f"{describe(left)} {symbol} {describe(right)} has no meaning", right)
        return op.arithmetic(symbol, left, right, kind)

    def comparison(self, tree: ast.Compare, depth: int) -> Node:
        """Return a chain of comparisons."""
        left = self.node(tree.left, depth)
        parts: list[Node] = []
        for sign, operand in zip(tree.ops, tree.comparators, strict=True):
            match sign:
                case ast.Is() | ast.IsNot():
                    if not (isinstance(operand, ast.Constant) and operand.value is None) or len(tree.ops) > 1:
                        raise self.error("`is` works with None alone", operand, guidance="compare with `==`")
                    parts.append(op.is_known(left, left.start, known=isinstance(sign, ast.IsNot)))
                case ast.In() | ast.NotIn():
                    if len(tree.ops) > 1:
                        raise self.error("`in` cannot be part of a chain", operand, guidance="write `and`")
                    parts.append(self.membership(left, operand, depth, inside=isinstance(sign, ast.In)))
                case _:
                    symbol = _SYMBOLS[type(sign)]
                    right = self.node(operand, depth)
                    lhs, right = self.pair(left, right, ordered=symbol not in {"=", "<>"})
                    parts.append(op.compare(symbol, lhs, right))
                    left = right
        return parts[0] if len(parts) == 1 else op.conjunction(parts, decisive=False)

    def membership(self, left: Node, operand: ast.expr, depth: int, *, inside: bool) -> Node:
        """Return ``x in [...]``."""
        if not isinstance(operand, ast.List | ast.Tuple) or not operand.elts:
            raise self.error(
                "`in` wants a list of values", operand, guidance="write x in ['a', 'b']; for a part of a text, contains(x, 'a')"
            )
        values = []
        for element in operand.elts:
            member = self.node(element, depth)
            if member.constant is None or member.kind == "flag":
                raise self.error("a list holds numbers, texts or amounts", element)
            left, member = self.pair(left, member, ordered=False)
            values.append(member.constant)
        return op.membership(left, values, inside=inside)

    def call(self, tree: ast.Call, depth: int) -> Node:
        """Return a function of the allow-list, or an amount of money."""
        if not isinstance(tree.func, ast.Name):
            raise self.error("this is not possible here", tree)
        name = tree.func.id
        if name not in _FUNCTIONS and name not in EXPONENTS:
            raise self.error(f"there is no function {name!r}", tree, guidance=nearest(name, _FUNCTIONS))
        if tree.keywords or any(isinstance(argument, ast.Starred) for argument in tree.args):
            raise self.error(f"{name}() takes plain values", tree)
        counts = {"min": range(2, 9), "max": range(2, 9), "startswith": range(2, 3), "contains": range(2, 3)}
        if len(tree.args) not in counts.get(name, range(1, 2)):
            raise self.error(f"{name}() takes another number of values", tree)
        arguments = [self.node(argument, depth) for argument in tree.args]
        if name in EXPONENTS:
            return self.money(name, arguments[0], tree)
        return self.function(name, arguments, tree)

    def money(self, currency: str, amount: Node, tree: ast.Call) -> Node:
        """Return an amount in minor units."""
        if amount.kind != "number" or amount.constant is None:
            raise self.error(f"{currency}() takes a plain number", amount)
        try:
            minor = to_minor(Decimal(repr(amount.constant)), currency)
        except ValueError as error:
            raise self.error(str(error), amount) from None
        return op.literal(minor, f"money:{currency}", tree.col_offset)

    def function(self, name: str, arguments: list[Node], tree: ast.Call) -> Node:
        """Return what a function yields."""
        first, start = arguments[0], tree.col_offset
        match name:
            case "days" | "hours":
                if first.kind != "number" or first.constant is None:
                    raise self.error(f"{name}() takes a plain number", first)
                result = op.literal(round(first.constant * (op.DAY if name == "days" else op.HOUR)), "span", start)
            case "known":
                result = op.is_known(first, start, known=True)
            case "abs":
                result = op.absolute(self.counted(first, "abs()"), start)
            case "sqrt":
                first = self.counted(first, "sqrt()")
                if first.kind not in {"number", "any"}:
                    raise self.error(f"'sqrt()' does not work with {describe(first)}", first)
                result = op.root(first, start)
            case "min" | "max":
                for index in range(1, len(arguments)):
                    arguments[0], arguments[index] = self.pair(arguments[0], arguments[index], ordered=True)
                result = op.extreme(arguments, start, largest=name == "max")
            case "lower":
                result = op.lower(self.text_of(first), start)
            case "startswith":
                result = op.starts_with(self.text_of(first), self.quoted(arguments[1], name), start)
            case _:
                part = first if first.kind == "list" else self.text_of(first)
                result = op.contains(part, self.quoted(arguments[1], name), start)
        return result

    def quoted(self, node: Node, name: str) -> str:
        """Return the text of a literal."""
        if node.kind != "text" or not node.constant:
            raise self.error(f"the second value of {name}() is a quoted text", node)
        return str(node.constant)

    def text_of(self, node: Node) -> Node:
        """Return a node that is a text."""
        node = self.expect(node, "text")
        if node.kind != "text":
            raise self.error(f"{describe(node)} is not a text", node)
        return node


_HANDLERS: dict[type[ast.expr], Callable[[_Parser, Any, int], Node]] = {
    ast.Constant: _Parser.constant,
    ast.Name: _Parser.column,
    ast.Attribute: _Parser.column,
    ast.Subscript: _Parser.column,
    ast.BoolOp: _Parser.logic,
    ast.UnaryOp: _Parser.unary,
    ast.BinOp: _Parser.binary,
    ast.Compare: _Parser.comparison,
    ast.Call: _Parser.call,
}


def _zero(node: Node) -> bool:
    return node.kind == "number" and node.constant == 0
