"""What the database itself knows of its tables: the one place that asks for its catalogue."""

from __future__ import annotations

from wellkept.store.connection import Reader

_PG_COLUMNS = """
    SELECT a.attname::text, format_type(a.atttypid, NULL), EXISTS (
        SELECT 1 FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY(i.indkey)
    )
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relname = ? AND c.relnamespace = quote_ident(current_schema())::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
_KINDS = {"bigint": "INTEGER", "double precision": "REAL", "bytea": "BLOB", "text": "TEXT"}
"""The names by which the same types go in SQLite."""


def columns_of(reader: Reader, table: str) -> dict[str, tuple[str, bool]]:
    """Return a table's columns: their SQL types, and whether they are keys. Empty if there is no such table."""
    if reader.dialect == "postgresql":
        return {name: (_KINDS.get(kind, kind), bool(key)) for name, kind, key in reader.rows(_PG_COLUMNS, (table,))}
    unique = (
        'SELECT x.name FROM pragma_index_list(?) AS i JOIN pragma_index_info(i.name) AS x WHERE i."unique" = 1'
        " UNION SELECT name FROM pragma_table_info(?) WHERE pk > 0"
    )
    keys = {name for (name,) in reader.rows(unique, (table, table))}
    return {name: (kind, name in keys) for name, kind in reader.rows("SELECT name, type FROM pragma_table_info(?)", (table,))}


def tables_of(reader: Reader) -> list[str]:
    """Return all tables but the database's own."""
    if reader.dialect == "postgresql":
        return sorted(name for (name,) in reader.rows("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"))
    rows = reader.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'")
    return sorted(name for (name,) in rows)
