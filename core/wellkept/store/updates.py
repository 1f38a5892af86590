"""Many rows changed by one statement, each in its own way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wellkept.store.connection import Tx


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
        params += [value for values in zip(seqs, *varying.values(), strict=True) for value in values]
    else:
        which = f" WHERE seq IN ({', '.join('?' * len(seqs))})"
        params += seqs
    # CAST keeps SQLite from going by an index of states, in which very many rows may be alike
    return tx.execute(
        f"UPDATE {table} SET {', '.join(sets)}{which} AND CAST(state AS TEXT) = ?",  # noqa: S608 - our own names
        (*params, state),
    )
