"""Kinds of values in expressions: which may be combined, what comes out, and how to say that they do not fit."""

from __future__ import annotations

from wellkept._operators import Node


def result(symbol: str, left: str, right: str) -> str | None:
    """Return the kind of `left symbol right`; None where they cannot be combined."""
    """Return the kind of ``left symbol right``, or None when it has no meaning."""
    if "any" in {left, right}:
        return "any"
    plain, other = left == "number", right == "number"
    if symbol == "*" and (plain or other) and "date" not in {left, right}:
        return right if plain else left
    if symbol == "/" and "date" not in {left, right}:
        return left if other else "number" if left == right else None
    if symbol in "+-" and left == right:
        return ("span" if symbol == "-" else None) if left == "date" else left
    if {left, right} == {"date", "span"} and (symbol == "+" or (symbol == "-" and left == "date")):
        return "date"
    return None


_WORDS = {"number": "number", "text": "text", "flag": "flag", "list": "list", "date": "date", "span": "span of time"}


def describe(node: Node) -> str:
    """Return what a node is, for messages."""
    if node.kind.startswith("money"):
        word = f"{node.kind[6:].upper()} amount" if node.kind[6:] else "money"
    else:
        word = _WORDS.get(node.kind, "value")
    if node.name is not None:
        return f"{node.name!r} ({word})"
    return f"{node.constant!r} ({word})" if word in {"text", "number"} and node.constant is not None else f"this {word}"


def advice(left: str, right: str) -> str | None:
    """Return what to write instead of a comparison of two kinds, where that can be guessed."""
    kinds = {left, right}
    if "number" in kinds and any(kind.startswith("money") for kind in kinds):
        currency = next(kind for kind in kinds if kind.startswith("money"))[6:]
        return f"write an amount as {currency or 'usd'}(500)"
    if "date" in kinds and kinds & {"number", "span"}:
        return "take a difference first: as_of - x < days(30)"
    if kinds == {"number", "span"}:
        return "a column of days or minutes is compared with a plain number"
    if kinds == {"number", "text"}:
        return "a number is written without quotes"
    return None
