"""Many rows written by one statement, each in its own way: one for each row takes longer than the rows themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from wellkept.store.connection import Tx

ROWS_AT_ONCE = 100
"""Rows that one statement inserts at most."""


def insert_rows(tx: Tx, into: str, rows: Sequence[Sequence[Any]], then: str = "") -> None:
    """Insert rows.

    Args:
        tx: The transaction.
        into: The table and its columns, ``table (column, ...)``.
        rows: Values in the order of the columns; with ``ON CONFLICT``, no two rows of the same key.
        then: What follows the values.
    """
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        values = ", ".join([f"({', '.join('?' * len(part[0]))})"] * len(part))
        tx.execute(f"INSERT INTO {into} VALUES {values} {then}", list(chain.from_iterable(part)))  # noqa: S608 - ours


def update_rows(tx: Tx, table: str, seqs: Sequence[int], columns: Mapping[str, Sequence[Any]], *, state: str) -> int:
    """Change rows that are in a state, and return how many were.

    Args:
        tx: The transaction.
        table: A table with the columns ``seq`` and ``state``.
        seqs: The rows' numbers, no two the same.
        columns: Name to the new values, in the order of `seqs`.
        state: Rows in another one stay as they are.
    """
    fixed: dict[str, Any] = {}
    varying: dict[str, Sequence[Any]] = {}
    for name, values in columns.items():
        if values.count(values[0]) == len(values):
            fixed[name] = values[0]
        else:
            varying[name] = values
    sets = [f"{name} = ?" for name in fixed] + [f"{name} = one.column{place}" for place, name in enumerate(varying, start=2)]
    params: list[Any] = [*fixed.values()]
    if varying:
        row = f"({', '.join('?' * (1 + len(varying)))})"
        which = f" FROM (VALUES {', '.join([row] * len(seqs))}) AS one WHERE {table}.seq = one.column1"
        params += chain.from_iterable(zip(seqs, *varying.values(), strict=True))
    else:
        which = f" WHERE seq IN ({', '.join('?' * len(seqs))})"
        params += seqs
    # CAST keeps SQLite from going by an index of states, in which very many rows may be alike
    return tx.execute(
        f"UPDATE {table} SET {', '.join(sets)}{which} AND CAST(state AS TEXT) = ?",  # noqa: S608 - our own names
        (*params, state),
    )
