"""Targets 8: measure and score 100,000 accounts with 10 million rows of usage, all of them and 1 % of them.

    python benchmarks/score.py [--accounts 100000] [--keep FOLDER] [--profile FILE]

Figures of fewer accounts are extrapolated in proportion, and say so. The store is filled by copying a few hundred accounts of
all kinds, each copy with figures of its own, for what is remembered from one account to the next must not look better than it
is; filling is not measured.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

from meter import Cost, Figure, finish, here

from wellkept.cli import GARBAGE
from wellkept.pipeline.measure import Feed, Plan, frame, measure
from wellkept.pipeline.resolve import resolve
from wellkept.pipeline.score import score
from wellkept.records import CANONICAL, Account, Invoice, PaymentMethod, Record, Subscription, SurveyResponse, Ticket, Usage
from wellkept.store import Store, Tx, cursors, frames, open_store
from wellkept.store.cursors import Key
from wellkept.store.records import RecordTables
from wellkept.testing import FakeClock
from wellkept_health.config import HealthConfig
from wellkept_health.measures import columns
from wellkept_health.scorer import HealthScorer

DAY = 86_400_000
NOW = 1_795_219_200_000 + 6 * 3_600_000
"""2026-11-21T06:00Z."""
TODAY = date(2026, 11, 21)
FULL = 100_000
KINDS = 200
"""Accounts that are made one by one; the others are copies of them, with other figures."""
COPIED = ("r_account", "r_subscription", "r_payment_method", "r_invoice", "r_ticket", "r_survey_response", "r_usage")
OWN = dict.fromkeys(("id", "account_ref", "subject", "payment_method_ref"), 't."{0}" || copies.tail') | {
    "mrr": 't."{0}" + 100 * copies.number',
    "quantity": 't."{0}" + copies.number % 50',
    "count": 't."{0}" + (copies.number + t."{0}") % 17',
    "first_reply_minutes": 't."{0}" + copies.number % 101',
    "resolution_minutes": 't."{0}" + copies.number % 1009',
    "created_at": 't."{0}" - 3600000 * (copies.number % 97)',
}
"""What a copy has of its own, by column."""


def customer(number: int) -> Iterator[Record]:
    """Yield what vendors know about one customer: 100 rows of usage, 10 tickets, 10 invoices, 2 answers."""
    id_ = f"c{number:03}"
    mrr = 5_000 + 700 * number
    yield Account(id=id_, version=1, name=f"Customer {number}", created_at=NOW - (30 + 5 * number) * DAY)
    yield Subscription(
        id=f"s-{id_}",
        version=1,
        account_ref=id_,
        status="active" if number % 11 else "past_due",
        currency="usd",
        mrr=mrr,
        quantity=3 + number % 40,
        started_at=NOW - (30 + 5 * number) * DAY,
        period_end_at=NOW + 10 * DAY,
        cancel_at_period_end=number % 17 == 0,
        payment_method_ref=f"p-{id_}",
    )
    yield PaymentMethod(
        id=f"p-{id_}", version=1, account_ref=id_, kind="card", is_default=True, expires_on=f"20{26 + number % 4}-12-31"
    )
    for month in range(10):
        due = month == 0 and number % 7 == 0
        yield Invoice(
            id=f"i-{id_}-{month}",
            version=1,
            account_ref=id_,
            status="open" if due else "paid",
            currency="usd",
            amount_due=mrr,
            amount_paid=0 if due else mrr,
            amount_remaining=mrr if due else 0,
            attempt_count=1,
            created_at=NOW - (30 * month + number % 20) * DAY,
        )
    for turn in range(10):
        yield Ticket(
            id=f"t-{id_}-{turn}",
            version=1,
            account_ref=id_,
            status="open" if turn < number % 3 else "solved",
            created_at=NOW - (1 + turn * (1 + number % 25)) * DAY,
            first_reply_minutes=20 + number % 300,
            resolution_minutes=600 + 30 * turn,
        )
    for turn in range(2):
        yield SurveyResponse(
            id=f"n-{id_}-{turn}",
            version=1,
            account_ref=id_,
            kind="nps" if turn else "csat",
            score=number % 11 if turn else 1 + number % 5,
            scale_min=0 if turn else 1,
            scale_max=10 if turn else 5,
            answered_at=NOW - (3 + number % 60) * DAY,
        )
    for turn in range(100):
        yield Usage.of(
            subject=f"u-{id_}-{turn % (1 + number % 8)}",
            account_ref=id_,
            event=f"event {turn % 5}",
            day=(TODAY - timedelta(days=1 + (turn * (1 + number % 2)) % 110)).isoformat(),
            count=1 + (number + turn) % 30,
            version=1,
        )


def fill(path: Path, accounts: int) -> None:
    """Make a store with so many accounts."""
    tables = RecordTables(CANONICAL)
    with closing(open_store(path, FakeClock(NOW))) as store:
        store.write_now(tables.ensure)

        def first(tx: Tx) -> None:
            records = [record for number in range(KINDS) for record in customer(number)]
            tables.upsert(tx, "vendor", "all", records, NOW)
            cursors.end_read(tx, Key("vendor", "all"), NOW, NOW)

        store.write_now(first)
        resolve(store, tables, now=NOW)
        store.write_now(lambda tx: copy(tx, accounts // KINDS))
        tickets = [
            Ticket(id=f"later-{number}", version=1, account_ref="c000", status="open", created_at=NOW) for number in (0,)
        ]
        store.write_now(lambda tx: tables.upsert(tx, "vendor", "all", tickets, NOW))


def copy(tx: Tx, times: int) -> None:
    """Multiply all accounts with their records; references within a copy stay within it, and each copy has its own figures."""
    tx.execute("CREATE TEMPORARY TABLE copies (tail TEXT PRIMARY KEY, number INTEGER)")
    tx.many("INSERT INTO copies (tail, number) VALUES (?, ?)", [(f"-{number:03}", number) for number in range(1, times)])
    for table in COPIED:
        names = [name for _, name, *_ in tx.rows(f"PRAGMA table_info({table})")]
        values = ", ".join(OWN.get(name, 't."{0}"').format(name) for name in names)
        tx.execute(f"INSERT INTO {table} SELECT {values} FROM {table} t, copies ORDER BY t.id, copies.tail")  # noqa: S608
    tx.execute(
        "INSERT INTO accounts SELECT a.id || copies.tail, a.name, a.state, NULL, a.created_at, a.updated_at"
        " FROM accounts a, copies"
    )
    tx.execute(
        "INSERT INTO links SELECT l.type, l.instance, l.record_id || copies.tail, l.account || copies.tail, l.evidence, l.at"
        " FROM links l, copies"
    )


class House:
    """A store, and the two steps that turn its records into scores."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.tables = RecordTables(CANONICAL)
        store.write_now(self.tables.ensure)
        feed = [Feed(instance="vendor", stream="all", plugin="vendor")]
        config = HealthConfig()
        self.plan = Plan(
            [("health", item) for item in columns(config)],
            tables=self.tables,
            feeds={type_.type: feed for type_ in CANONICAL},
        )
        self.scorers = [("health", HealthScorer(config))]

    def measure(self) -> None:
        """Compute the frame."""
        measure(self.store, self.plan, now=NOW)

    def load(self) -> None:
        """Read the frame, as a run does once for scores and policies together."""
        with self.store.read() as reader:
            self.view, self.basis = frame(reader, self.plan), frames.basis(reader)

    def score(self) -> None:
        """Score what is due."""
        report = score(self.store, self.scorers, self.view, run_id="run", now=NOW, configs={"health": {}}, basis=self.basis)
        assert not report.failures, report.failures
        self.looked_at = len(self.view) - report.same

    def touch(self, count: int) -> None:
        """Change one ticket of each of some accounts."""
        with self.store.read() as reader:
            rows = list(
                reader.rows(
                    "SELECT MIN(id), account_ref, MAX(version) FROM r_ticket GROUP BY account_ref ORDER BY account_ref LIMIT ?",
                    (count,),
                )
            )
        changed = [
            Ticket(id=id_, version=version + 1, account_ref=ref, status="open", created_at=NOW - (30 + version) * DAY)
            for id_, ref, version in rows
        ]
        self.store.write_now(lambda tx: self.tables.upsert(tx, "vendor", "all", changed, NOW))


def whole(house: House, profile: str | None) -> tuple[Cost, Cost]:
    """Measure and score everything; with a profile, write one."""
    profiler = cProfile.Profile() if profile else None
    if profiler:
        profiler.enable()
    found = here(house.measure), here(lambda: (house.load(), house.score()))
    if profiler:
        profiler.disable()
        profiler.dump_stats(str(profile))
    return found


def targets(accounts: int = FULL, *, folder: Path | None = None, profile: str | None = None) -> list[Figure]:
    """Measure; with a folder, keep the filled store there and use it again."""
    with tempfile.TemporaryDirectory() as scratch:
        path = (folder or Path(scratch)) / f"score-{accounts}.db"
        if not path.exists():
            fill(path, accounts)
        with closing(open_store(path, FakeClock(NOW))) as store:
            house = House(store)
            store.write_now(lambda tx: tx.execute("DELETE FROM scores"))
            store.write_now(lambda tx: tx.execute("DELETE FROM meta WHERE key LIKE 'looked:%'"))
            store.write_now(lambda tx: frames.mark_all(tx, NOW))
            house.measure()  # makes the indexes, once in a store's life
            store.write_now(lambda tx: frames.mark_all(tx, NOW))
            measured, scored = whole(house, profile)
            house.touch(accounts // 100)
            resolved = here(lambda: resolve(store, house.tables, now=NOW))
            few, loaded, few_scored = here(house.measure), here(house.load), here(house.score)
            assert house.looked_at == accounts // 100, house.looked_at
    scale = FULL / accounts
    note = "" if accounts == FULL else f" (extrapolated from {accounts:,})"
    total, part = (measured.cpu + scored.cpu) * scale, (few.cpu + few_scored.cpu) * scale
    return [
        Figure(target=8, what=f"measure and score all accounts{note}", value=total, unit="CPU s", gate=12, stretch=9),
        Figure(target=8, what="- measure", value=measured.cpu * scale, unit="CPU s"),
        Figure(target=8, what="- score", value=scored.cpu * scale, unit="CPU s"),
        Figure(target=8, what=f"1 % of the accounts changed{note}", value=part, unit="CPU s", gate=0.5, stretch=0.25),
        Figure(target=8, what="- measure", value=few.cpu * scale, unit="CPU s"),
        Figure(target=8, what="- score", value=few_scored.cpu * scale, unit="CPU s"),
        Figure(target=8, what="- beside it: link what changed", value=resolved.cpu * scale, unit="CPU s"),
        Figure(target=8, what="- beside it: read the whole frame, for the policies", value=loaded.cpu * scale, unit="CPU s"),
    ]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=FULL)
    parser.add_argument("--keep", type=Path, help="keep the filled store in this folder")
    parser.add_argument("--profile", help="write a profile of the whole to this file")
    parser.add_argument("--remember", action="store_true", help="add the figures to the history")
    options = parser.parse_args()
    gc.set_threshold(GARBAGE)  # as the command line does
    found = targets(options.accounts, folder=options.keep, profile=options.profile)
    return finish("score", found, remember=options.remember)


if __name__ == "__main__":
    raise SystemExit(main())
