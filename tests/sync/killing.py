"""Kills a sync at every point where anything can be half done, restarts it, and compares with an undisturbed run.

Run as a script: ``killing.py TEMPLATE FOLDER``. It imports everything once and forks for each kill, so that a kill costs a
fraction of a second. Prints what ends differently, and which points there were.

Points are: before each batch that the source yields, after the last statement of each job of the writer thread, and after its
commit.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from wellkept.pipeline import reading
from wellkept.pipeline.sync import sync
from wellkept.records import CANONICAL, Account, Ticket, Usage
from wellkept.settings import Freshness
from wellkept.source import (
    Batch,
    CheckResult,
    Deletion,
    FetchingSource,
    Hint,
    ReadRequest,
    Reject,
    Replace,
    Stream,
)
from wellkept.store import Store, Tx, inbox, open_store
from wellkept.store.records import RecordTables
from wellkept.store.runs import running
from wellkept.testing import FakeClock

KILLED = 9
START = 1_795_219_200_000
ACCOUNTS = Stream(name="accounts", records=(Account,), doc="Read in full.", deletes="absence")
TICKETS = Stream(name="tickets", records=(Ticket,), doc="Read from a cursor.", depends_on=("accounts",))
USAGE = Stream(name="usage", records=(Usage,), doc="Read by the day.")


class Countdown:
    """Ends the process at the given point."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.passed = 0

    def point(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            os._exit(KILLED)


class Vendor(FetchingSource):
    """A vendor that has changed between two phases: rows came, went, changed; one cannot be read."""

    def __init__(self, phase: int, countdown: Countdown) -> None:
        self.phase = phase
        self.countdown = countdown

    def streams(self) -> Sequence[Stream]:
        return [ACCOUNTS, TICKETS, USAGE]

    async def check(self) -> CheckResult:
        return CheckResult(findings=[])

    async def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        batches = {"accounts": self.accounts, "tickets": self.tickets, "usage": self.usage}[request.stream.name]
        for batch in batches(request):
            self.countdown.point()
            yield batch

    def accounts(self, request: ReadRequest) -> list[Batch]:
        ids = ["a0", "a1", "a2", "a3", "a4"] if self.phase == 0 else ["a0", "a2", "a3", "a5", "a6"]
        after = (request.cursor or {"after": ""})["after"]
        left = [id_ for id_ in ids if id_ > after]
        pages = [left[start : start + 2] for start in range(0, len(left), 2)] or [[]]
        return [
            Batch(
                records=[self.account(id_) for id_ in page],
                cursor={"after": page[-1]} if page else None,
                rejects=[Reject(raw=b"{a4", reason="broken", id="a4")] if self.phase and "a5" in page else [],
                complete=page is pages[-1],
            )
            for page in pages
        ]

    def account(self, id_: str) -> Account:
        return Account(id=id_, version=self.phase, name=f"{id_} in phase {self.phase}")

    def tickets(self, request: ReadRequest) -> list[Batch]:
        log: list[Ticket | Deletion] = [
            Ticket(id=f"t{n % 3}", version=n, status=f"s{n}", created_at=0) for n in range(6 + 3 * self.phase)
        ]
        log[3] = Deletion(record=Ticket, id="t0", version=3)
        start = (request.cursor or {"seen": 0})["seen"]
        parts = [(n, log[n : n + 3]) for n in range(max(0, start - 3), len(log), 3)]  # with a look-back
        return [
            Batch(
                records=[row for row in part if isinstance(row, Ticket)],
                deletions=[row for row in part if isinstance(row, Deletion)],
                cursor={"seen": n + len(part)},
            )
            for n, part in parts
        ]

    def usage(self, request: ReadRequest) -> list[Batch]:
        done = (request.cursor or {"day": 0})["day"]
        batches = []
        for number in range(max(1, done), 2 + self.phase):  # the last day is read again
            day, next_day = f"2026-01-{number:02}", f"2026-01-{number + 1:02}"
            replaces = Replace(record=Usage, field="day", start=day, end=next_day)
            names = [f"p{n}" for n in range(4) if not (self.phase and n == 3)]
            rows = [Usage.of(subject=name, event="e", day=day, count=self.phase + 1, version=self.phase) for name in names]
            batches += [Batch(records=rows[:2], replaces=replaces, last=False)]
            batches += [Batch(records=rows[2:], replaces=replaces, cursor={"day": number})]
        return batches

    async def fetch(self, stream: Stream, ids: Sequence[str]) -> Batch:
        self.countdown.point()
        return Batch(records=[self.account(id_) for id_ in ids])


def watch_store(store: Store, countdown: Countdown) -> None:
    """Put a point inside and after every job."""
    write = store.write

    async def watched(job: Callable[[Tx], Any], *, durable: bool = False) -> Any:
        def inside(tx: Tx) -> Any:
            result = job(tx)
            countdown.point()
            return result

        result = await write(inside, durable=durable)
        countdown.point()
        return result

    store.write = watched  # type: ignore[method-assign]


async def phases(path: Path, begun: int, countdown: Countdown, start: int) -> None:
    """Do what is left of the two phases; the second begins with a webhook and reads everything again."""
    clock = FakeClock(start)
    store = open_store(path, clock)
    watch_store(store, countdown)
    tables = RecordTables(CANONICAL)
    for phase in range(begun, 2):
        clock.advance(3600)
        path.with_suffix(".phase").write_text(str(phase))
        if phase == 1:
            hints = [Hint(id=f"e{n}", stream="accounts", object_id=f"a{5 + n % 2}", at=0) for n in range(3)]
            await store.write(lambda tx, hints=hints: inbox.add(tx, "one", hints, clock.now()))  # type: ignore[misc]
        async with running(store, "sync") as run:
            await sync(
                store, tables, {"one": Vendor(phase, countdown)}, run=run, clock=clock, full=phase == 1,
                freshness=Freshness(max_deleted_share=1.0),
            )  # fmt: skip
    store.close()


def outcome(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that must not depend on kills; instants of observation do."""
    queries = {
        "accounts": "SELECT id, stream, version, deleted, name FROM r_account ORDER BY id",
        "tickets": "SELECT id, version, deleted, status FROM r_ticket ORDER BY id",
        "usage": "SELECT id, version, deleted, count FROM r_usage ORDER BY id",
        "letters": "SELECT stream, record_id, state FROM dead_letters ORDER BY seq",
        "cursors": "SELECT stream, scope, cursor, full_since, anomaly FROM cursors ORDER BY stream",
        "hints": "SELECT hint_id, object_id, done_at IS NOT NULL FROM inbox ORDER BY seq",
        "leftovers": "SELECT (SELECT COUNT(*) FROM staged), (SELECT COUNT(*) FROM seen)",
        "runs": "SELECT COUNT(*) FROM runs WHERE state = 'running'",
    }
    store = open_store(path, FakeClock())
    with store.read() as reader:
        found = {name: reader.all(sql) for name, sql in queries.items()}
    store.close()
    return found


def in_child(work: Callable[[], None]) -> int:
    """Do something in a child process and return its exit code."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def one(path: Path, begun: int, at: int | None, start: int) -> int:
    """Run what is left of the phases in a child, until the given point."""
    return in_child(lambda: asyncio.run(phases(path, begun, Countdown(at), start)))


def kill_at(template: Path, folder: Path, at: int, wanted: dict[str, list[tuple[Any, ...]]]) -> bool:
    """Kill at one point, restart and compare; False when there is no such point."""
    path = Path(shutil.copy(template, folder / f"{at}.db"))
    code = one(path, 0, at, START)
    if code == 0:
        return False
    assert code == KILLED, code
    phase = path.with_suffix(".phase")
    code = one(path, int(phase.read_text()) if phase.exists() else 0, None, START + 7_200_000)
    found = outcome(path)
    if code or found != wanted:
        different = [name for name in wanted if found[name] != wanted[name]]
        report = [f"point {at}: exit {code}", *(f"{name}: {found[name]}, not {wanted[name]}" for name in different)]
        sys.stdout.write("\n  ".join(report) + "\n")
    for leftover in folder.glob(f"{at}.*"):
        leftover.unlink()
    return True


def main(template: Path, folder: Path) -> None:
    """Kill at every point; two processes share the work."""
    reading.CHUNK_ROWS = 3  # many commits for few rows
    calm = Path(shutil.copy(template, folder / "calm.db"))
    assert one(calm, 0, None, START) == 0
    wanted = outcome(calm)
    assert all(wanted.values()), wanted
    workers = []
    for first in (1, 2):
        if (child := os.fork()) == 0:
            at = first
            while kill_at(template, folder, at, wanted):
                at += 2
            sys.stdout.write(f"up to {at - 2}\n")
            sys.stdout.flush()
            os._exit(0)
        workers.append(child)
    for worker in workers:
        assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
