"""The statements that are sent: a person's query, looked at, and put into one that begins where reading goes on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select

_WORDS = """alter analyze attach begin call commit copy create delete detach do drop exec execute grant insert into load lock
merge pragma refresh rename replace reset revoke rollback set truncate update upsert use vacuum"""

WRITES = frozenset(_WORDS.split())
"""Words that a query which only reads has no need of, outside of quotes; ``replace(...)`` the function is let through."""

_TOKENS = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)|(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[A-Za-z_][^\]]*\]"""
    r"""|(?P<tag>\$[A-Za-z_]*\$).*?(?P=tag))|(?P<word>[A-Za-z_][A-Za-z0-9_$]*)|(?P<end>;)|(?P<other>.)""",
    re.DOTALL,
)


def refuse_writes(query: str) -> str:
    """Return a query without the semicolon at its end.

    A second line of defence: the transaction is read-only where the database can do that, and the query stands in a
    sub-query, where most databases take nothing but a query.

    Raises:
        ValueError: It is no single SELECT, or holds a word of a statement that changes something.
    """
    text = query.strip().removesuffix(";").rstrip()
    words: list[str] = []
    for token in _TOKENS.finditer(text):
        if token["end"]:
            raise ValueError("write one statement, without a semicolon in it")
        if token["word"] and text[max(0, token.start() - 1)] not in ".:":
            word = token["word"].lower()
            if word in WRITES and not _is_function(text, token.end()):
                raise ValueError(f"a query only reads; {word.upper()} is refused (quote it if it is a name)")
            words.append(word)
    if not words or words[0] not in {"select", "with"}:
        raise ValueError("a query begins with SELECT or WITH")
    if re.search(r"\bfor\s+(no\s+key\s+)?(update|share|key\s+share)\b", " ".join(words)):
        raise ValueError("a query only reads; it locks nothing with FOR UPDATE or FOR SHARE")
    return text


def _is_function(text: str, end: int) -> bool:
    return text[end:].lstrip().startswith("(") and text[:end].lower().endswith(("replace", "insert"))


def statement(
    query: str, params: dict[str, Any], columns: Sequence[str], where: Sequence[ColumnElement[bool]], order: Sequence[str]
) -> Select[Any]:
    """Return ``SELECT columns FROM (query) WHERE ... ORDER BY ...``; every value is bound.

    Raises:
        ValueError: A parameter has no value, or a value no parameter.
    """
    import sqlalchemy as sa

    inner = sa.text(query)
    wanted = set(inner.compile().params)
    if wanted != params.keys():
        odd = ", ".join(sorted(wanted ^ params.keys()))
        raise ValueError(f"the query's :names and `params` differ in {odd} (write \\: for a colon that begins no name)")
    rows = inner.bindparams(**params).columns(*(sa.column(name) for name in columns)).subquery("wellkept_query")
    return sa.select(*(rows.c[name] for name in columns)).where(*where).order_by(*(sa.column(name) for name in order))


def after(cursor: str, value: Any, keys: Sequence[str], place: Sequence[Any]) -> ColumnElement[bool]:
    """Return the condition for rows behind a place: a greater cursor, or the same one and a greater key."""
    import sqlalchemy as sa

    alternatives = []
    names, values = [cursor, *keys], [value, *place]
    for depth, (name, bound) in enumerate(zip(names, values, strict=True)):
        same = [sa.column(names[at]) == values[at] for at in range(depth)]
        alternatives.append(sa.and_(*same, sa.column(name) > bound))
    return sa.or_(*alternatives)


def not_before(cursor: str, value: Any) -> ColumnElement[bool]:
    """Return the condition for rows whose cursor is a value or greater."""
    import sqlalchemy as sa

    condition: ColumnElement[bool] = sa.column(cursor) >= value
    return condition


def without_cursor(cursor: str) -> ColumnElement[bool]:
    """Return the condition for rows that have no cursor."""
    import sqlalchemy as sa

    return sa.column(cursor).is_(None)
