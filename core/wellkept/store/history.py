"""History on two clocks: what was true when (`valid_from`), and since when we know it (`observed_at`).

The table of a type holds each row's newest version; a type with history has a second table for versions that were
superseded, and for older ones that arrived late. A row stands for a *run* of readings with equal content: it carries the
version of the newest of them, and the two instants of the first, so that reading the same thing again every night writes no
history.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from wellkept.store.columns import Shape, quoted
from wellkept.store.connection import Tx

_VISIBLE = "valid_from <= ? AND observed_at <= ?"


def as_of(shape: Shape[Any], at: int) -> tuple[str, tuple[int, ...]]:
    """Return SQL, and its parameters, for the rows of a type as they were known at an instant: a subquery for a FROM.

    A row counts if it was true *and* known by then; of several versions of a row the newest such one. Deleted rows are
    among them, with ``deleted = 1``. A type without history knows only its newest versions: those that were there by then.

    Args:
        shape: The type.
        at: Epoch ms.
    """
    columns = ", ".join(map(quoted, shape.columns))
    if shape.past is None:
        return f"(SELECT {columns} FROM {shape.table} WHERE observed_at <= ?)", (at,)  # noqa: S608 - names from the type
    newest = f"SELECT {columns} FROM {shape.table} WHERE {_VISIBLE}"  # noqa: S608 - names from the type
    ranked = (
        f"SELECT {columns}, ROW_NUMBER() OVER (PARTITION BY instance, id ORDER BY version DESC, observed_at DESC) AS place"  # noqa: S608
        f" FROM {shape.past} AS old WHERE {_VISIBLE} AND NOT EXISTS (SELECT 1 FROM {shape.table} AS new"
        f" WHERE new.instance = old.instance AND new.id = old.id AND new.valid_from <= ? AND new.observed_at <= ?)"
    )
    return f"({newest} UNION ALL SELECT {columns} FROM ({ranked}) AS ranked WHERE place = 1)", (at,) * 6  # noqa: S608


def back(shape: Shape[Any], columns: Sequence[str], owned: str, *, then: int, known_at: int) -> str:
    """Return SQL for some rows as they were at an instant, each by its own history: ``account`` and the columns.

    Of the versions that were known at the second instant the newest counts that was true at the first; of a row whose history
    begins later, its oldest version. Whose a row is follows from its newest version.

    Args:
        shape: The type.
        columns: What to read; ``deleted`` among them says that the row was deleted.
        owned: A FROM and WHERE that yields the wanted rows as ``r``, with their accounts in ``d``.
        then: What was true at, epoch ms.
        known_at: What was known at, epoch ms.
    """
    names = ", ".join(map(quoted, columns))
    read = dict.fromkeys(("instance", "id", "version", "observed_at", "valid_from", *columns))
    versions = f"SELECT d.account, {_of('r', read)} {owned} AND r.observed_at <= {known_at}"
    if shape.past is not None:
        versions += (
            f" UNION ALL SELECT d.account, {_of('h', read)} {owned.replace(' WHERE ', f' CROSS JOIN {shape.past} h WHERE ', 1)}"
            f" AND (r.valid_from > {then} OR r.observed_at > {known_at})"
            f" AND h.instance = r.instance AND h.id = r.id AND h.observed_at <= {known_at}"
        )
    true = f"valid_from <= {then}"
    order = f"CASE WHEN {true} THEN 1 ELSE 0 END DESC" + "".join(
        f", CASE WHEN {true} THEN {clock} ELSE -{clock} END DESC" for clock in ("version", "observed_at")
    )
    place = f"ROW_NUMBER() OVER (PARTITION BY account, instance, id ORDER BY {order}) AS place"
    return f"SELECT account, {names} FROM (SELECT v.*, {place} FROM ({versions}) AS v) AS ranked WHERE place = 1"  # noqa: S608


def _of(alias: str, columns: Iterable[str]) -> str:
    return ", ".join(f"{alias}.{quoted(name)}" for name in columns)


def keep(tx: Tx, shape: Shape[Any], instance: str, ids: Iterable[str]) -> None:
    """Copy rows that are about to be superseded into the history; a type without history has none."""
    if shape.past is not None:
        columns = ", ".join(map(quoted, shape.columns))
        tx.many(
            f"INSERT INTO {shape.past} ({columns}) SELECT {columns} FROM {shape.table} WHERE instance = ? AND id = ?"  # noqa: S608
            " ON CONFLICT (instance, id, version, observed_at) DO NOTHING",
            [(instance, id_) for id_ in ids],
        )


def keep_where(tx: Tx, shape: Shape[Any], condition: str, params: Sequence[Any]) -> None:
    """Do what `keep` does for all rows of the table, named ``t``, that satisfy a condition."""
    if shape.past is not None:
        columns = ", ".join(map(quoted, shape.columns))
        tx.execute(
            f"INSERT INTO {shape.past} ({columns}) SELECT {columns} FROM {shape.table} AS t WHERE {condition}"  # noqa: S608
            " ON CONFLICT (instance, id, version, observed_at) DO NOTHING",
            params,
        )


def add_late(tx: Tx, shape: Shape[Any], rows: Sequence[tuple[Any, ...]]) -> None:
    """Add versions that arrived after a newer one, as `Shape.written` orders their values.

    The same reading again is not added again: neither to the history, nor when a person repeats a backfill.
    """
    if shape.past is None or not rows:
        return
    columns = ", ".join(map(quoted, shape.written))
    marks = ", ".join("?" * len(shape.written))
    place = {name: index for index, name in enumerate(shape.written)}
    same = ("instance", "id", "version", "observed_at", "digest")
    tx.many(
        f"INSERT INTO {shape.past} ({columns}) SELECT {marks} WHERE NOT EXISTS (SELECT 1 FROM {shape.past}"  # noqa: S608
        " WHERE instance = ? AND id = ? AND version = ? AND observed_at <= ? AND digest = ?)"
        " ON CONFLICT (instance, id, version, observed_at) DO NOTHING",
        [(*row, *(row[place[name]] for name in same)) for row in rows],
    )
