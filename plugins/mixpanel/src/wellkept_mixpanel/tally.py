"""Counting events per (day, subject, event, account) in memory that does not grow with the number of events or of subjects."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from threading import Lock
from typing import NamedTuple

MOST_IN_MEMORY = 50_000
"""Different rows that are counted in memory (some 15 MB); then they are added to those on disk."""


class Row(NamedTuple):
    """What is counted together; `account` is empty where the event names none."""

    day: str
    subject: str
    event: str
    account: str


class Tally:
    """Counts. The counts of a busy window move to a private temporary database on disk, which vanishes when it is closed."""

    def __init__(self, most_in_memory: int | None = None) -> None:
        self._most = most_in_memory or MOST_IN_MEMORY
        self._counts: dict[Row, int] = {}
        self._disk: sqlite3.Connection | None = None
        self._lock = Lock()

    @property
    def full(self) -> bool:
        """Whether it is time to `spill`."""
        return len(self._counts) >= self._most

    def add(self, row: Row) -> None:
        """Count one event."""
        self._counts[row] = self._counts.get(row, 0) + 1

    def spill(self) -> None:
        """Move what is in memory to disk; takes a moment, and may be done in another thread."""
        with self._lock:
            self._spill()

    def _spill(self) -> None:
        if self._disk is None:
            self._disk = sqlite3.connect("", check_same_thread=False)  # no name: a file of its own, removed when it is closed
            self._disk.execute(
                "CREATE TABLE tally (day TEXT, subject TEXT, event TEXT, account TEXT, count INTEGER NOT NULL,"
                " PRIMARY KEY (day, subject, event, account)) WITHOUT ROWID"
            )
        counts, self._counts = self._counts, {}
        with self._disk:
            self._disk.executemany(
                "INSERT INTO tally VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
                ((*row, count) for row, count in sorted(counts.items())),
            )

    def of_day(self, day: str) -> Iterator[tuple[Row, int]]:
        """Yield the rows of one day and their counts, in the order of subject, event and account."""
        if self._disk is None:
            yield from sorted((row, count) for row, count in self._counts.items() if row.day == day)
            return
        if self._counts:
            self.spill()
        query = "SELECT day, subject, event, account, count FROM tally WHERE day = ? ORDER BY subject, event, account"
        with closing(self._disk.execute(query, (day,))) as rows:
            for *names, count in rows:
                yield Row(*names), count

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._counts = {}
            if self._disk is not None:
                self._disk.close()
                self._disk = None
