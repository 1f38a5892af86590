"""SQLite's SQL in PostgreSQL's words: the one place where the two differ.

Nearly all statements mean the same to both. What does not: the marks of parameters, the types of columns, ``IN ()``, an index
with all that a measure reads (PostgreSQL refuses rows that do not fit it), and JSON, which is read in the two forms that
`wellkept.pipeline.fields.json_value` writes.
"""

from __future__ import annotations

import re
from functools import lru_cache

_TYPES = {"INTEGER": "BIGINT", "REAL": "DOUBLE PRECISION", "BLOB": "BYTEA", "TEXT": 'TEXT COLLATE "C"'}
"""Texts compare by their bytes, as in SQLite and in Python, whatever the database's own collation."""

_TOKEN = re.compile(
    r"""
    '(?:[^']|'')*'                  # a text
    | "(?:[^"]|"")*"                # a name
    | lower\(\?\)                   # a parameter whose letters A to Z count alone
    | \?                            # a parameter
    | \bNOT\ IN\ \(\)               # nothing is in nothing
    | \bIN\ \(\)
    """,
    re.VERBOSE,
)
_TABLE = re.compile(r"\s*(CREATE (TEMPORARY )?TABLE|ALTER TABLE)\b")
_TYPE = re.compile(rf"\"[^\"]*\"|\b(?:{'|'.join(_TYPES)})\b|\) STRICT\s*$")
_MEASURE_INDEX = re.compile(
    r"(CREATE INDEX IF NOT EXISTS measure_\w+ ON \w+ \(instance, (?:\(COALESCE\(.*?\)\)|\w+)).*\)", re.DOTALL
)
_DAY = re.compile(r"CAST\((substr\(.+?, 9, 2\)) AS INTEGER\)")

_MEMBER = r"""(?P<column>[\w."]+), '\$\."(?P<key>(?:[^'"]|'')*)"'"""
_FLAG = re.compile(rf"CASE json_type\({_MEMBER}\) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END")
_VALUE = re.compile(
    rf"CASE WHEN json_type\({_MEMBER}\) IN \((?P<kinds>[^)]*)\) THEN json_extract\((?P=column), '\$\.\"(?P=key)\"'\) END"
)

INSTANT = "\x01"
"""Stands before an instant that a custom field holds in the place of a day, as both must be texts here; see `_value`."""

_BIAS = 2**63


@lru_cache(maxsize=2048)
def translate(sql: str) -> str:
    """Return a statement as PostgreSQL wants it, with ``$1``, ``$2`` ... for parameters."""
    if _TABLE.match(sql):
        return _TYPE.sub(_type, sql)
    sql = _MEASURE_INDEX.sub(r"\1)", sql)
    if "json_" in sql:
        sql = _VALUE.sub(_value, _FLAG.sub(_flag, sql))
    sql = _DAY.sub(r"COALESCE(CAST(substring(\1 from '^[0-9]+') AS INTEGER), 0)", sql)
    number = 0

    def token(match: re.Match[str]) -> str:
        nonlocal number
        text = match[0]
        if text[0] in "'\"":
            return text
        if text.endswith("IN ()"):
            return "<> ALL('{}')" if text.startswith("NOT") else "= ANY('{}')"
        number += 1
        return f"${number}" if text == "?" else f'lower(${number} COLLATE "C")'

    return _TOKEN.sub(token, sql)


@lru_cache(maxsize=256)
def insert_of(sql: str) -> tuple[str, str, str] | None:
    """Take ``INSERT INTO table (columns) VALUES (?, ...) rest`` apart: table, columns, rest; None for anything else."""
    match = re.fullmatch(r"\s*INSERT INTO (\w+) \(([^()]*)\) VALUES \([?, ]+\)(.*)", sql, re.DOTALL)
    return None if match is None else (match[1], match[2], translate(match[3]))


def _type(match: re.Match[str]) -> str:
    text = match[0]
    return text if text[0] == '"' else ")" if text[0] == ")" else _TYPES[text]


def _document(column: str) -> str:
    """Return a column of JSON text as ``jsonb``, which cannot hold the letter NUL: it becomes the replacement letter."""
    mended = rf"regexp_replace({column}, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g')"
    return rf"(CASE WHEN strpos({column}, '\u0000') = 0 THEN {column} ELSE {mended} END)::jsonb"


def _parts(match: re.Match[str]) -> tuple[str, str, str]:
    """Return SQL for a member's type, its value, and its value as text."""
    document, key = _document(match["column"]), match["key"]
    member = f"({document} -> '{key}')"
    return f"jsonb_typeof({member})", member, f"({document} ->> '{key}' COLLATE \"C\")"


def _flag(match: re.Match[str]) -> str:
    kind, _, text = _parts(match)
    return f"CASE WHEN {kind} = 'boolean' THEN CASE {text} WHEN 'true' THEN 1 ELSE 0 END END"


def _value(match: re.Match[str]) -> str:
    """Return a value of one type, where SQLite has one of whatever type is there.

    Numbers are ``numeric``. Where a day is wanted, an instant is a text that sorts before all days, and in its own order; such
    values have a type that nothing else has here, by which they are recognised when they come back. Where only equality
    matters, values are ``jsonb``, with flags as 1 and 0.
    """
    kind, member, text = _parts(match)
    kinds = match["kinds"]
    if kinds == "'text'":
        return f"CASE WHEN {kind} = 'string' THEN {text} END"
    if kinds == "'integer', 'real'":
        return f"CASE WHEN {kind} = 'number' THEN CAST({text} AS NUMERIC) END"
    if kinds == "'text', 'integer'":
        whole = rf"{kind} = 'number' AND {text} ~ '^-?[0-9]{{1,19}}$'"
        instant = f"chr(1) || lpad(CAST(CAST({text} AS NUMERIC) + {_BIAS} AS TEXT), 20, '0') COLLATE \"C\""
        return f"CAST(CASE WHEN {kind} = 'string' THEN {text} WHEN {whole} THEN {instant} END AS BPCHAR) COLLATE \"C\""
    flag = f"CASE {text} WHEN 'true' THEN CAST('1' AS JSONB) ELSE CAST('0' AS JSONB) END"
    return f"CASE {kind} WHEN 'boolean' THEN {flag} WHEN 'string' THEN {member} WHEN 'number' THEN {member} END"


def instant_of(text: str) -> int:
    """Return the instant behind a text that begins with `INSTANT`."""
    return int(text[1:]) - _BIAS
