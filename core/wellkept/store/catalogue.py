"""What the database itself knows of its tables: the one place that asks SQLite for its catalogue."""

from __future__ import annotations

from wellkept.store.connection import Reader


def columns_of(reader: Reader, table: str) -> dict[str, tuple[str, bool]]:
    """Return a table's columns: their SQL types, and whether they are keys. Empty if there is no such table."""
    unique = (
        'SELECT x.name FROM pragma_index_list(?) AS i JOIN pragma_index_info(i.name) AS x WHERE i."unique" = 1'
        " UNION SELECT name FROM pragma_table_info(?) WHERE pk > 0"
    )
    keys = {name for (name,) in reader.rows(unique, (table, table))}
    return {name: (kind, name in keys) for name, kind in reader.rows("SELECT name, type FROM pragma_table_info(?)", (table,))}


def tables_of(reader: Reader) -> list[str]:
    """Return all tables but the database's own."""
    rows = reader.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'")
    return sorted(name for (name,) in rows)
