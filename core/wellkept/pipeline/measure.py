"""Measure: the step that computes the frame, one row per account, one column per measure, as of a day.

A figure is a function of the store and the day. Rows are kept, and computed again when something that they depend on has
changed: a record of the account, the day, the plan, an exchange rate, which days count, or whether a stream may be believed.
All of that ends as a mark on the account, set in the transaction that notes the change, and taken off in the transaction that
keeps the new row; a kill in between leaves the mark.

Limits: for a past day records are taken as they were known then, but links to accounts as they are now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from wellkept.errors import StoreError
from wellkept.frame import Frame
from wellkept.pipeline import freshness, lulls
from wellkept.pipeline.cells import CHUNK, Cells, Driver, build
from wellkept.pipeline.compile import indexes
from wellkept.pipeline.days import day_of
from wellkept.pipeline.frame_plan import Plan
from wellkept.pipeline.parts import Feed
from wellkept.store import frames, rates
from wellkept.store.connection import Reader, Tx
from wellkept.store.engine import Store
from wellkept.store.frames import Basis

__all__ = ["Feed", "MeasureReport", "Plan", "compute", "frame", "measure"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureReport:
    """What was done.

    Attributes:
        as_of: The day at whose end the figures hold.
        measured: Accounts whose row was computed, or removed.
        complete: All accounts were measured: it is a new day, or something changed that all depend on.
    """

    as_of: date
    measured: int
    complete: bool


def measure(store: Store, plan: Plan, *, now: int, all: bool = False) -> MeasureReport:  # noqa: A002 - what the caller says
    """Bring the kept rows up to date.

    On a new day all accounts are measured, within the day those that were touched, and those with a record at an instance of
    which a stream has become stale, or may be believed again.

    Args:
        store: The store.
        plan: What to compute.
        now: The current instant, epoch ms.
        all: Measure all accounts, whatever has changed.
    """
    as_of = day_of(now, plan.zone)
    begun, complete = store.write_now(lambda tx: _begin(tx, plan, as_of, now, everything=all))
    with store.read() as reader:
        known = rates.load(reader)
    cells = Cells(plan, as_of, begun.streams, known, frames.lulls_of(begun), past=False)
    measured, after = 0, ""
    while (done := _measure_chunk(store, cells, after, as_of.isoformat(), begun.at)) is not None:
        after, count = done
        measured += count
    return MeasureReport(as_of=as_of, measured=measured, complete=complete)


def _measure_chunk(store: Store, cells: Cells, after: str, as_of: str, now: int) -> tuple[str, int] | None:
    """Measure the next dirty accounts; return the last one and how many they were, None when there are no more."""
    with store.read() as reader:
        batch = frames.dirty(reader, after, CHUNK)
        if not batch:
            return None
        span = (batch[0][0], batch[-1][0])
        driver = Driver("SELECT account FROM dirty_accounts WHERE account >= ? AND account <= ?", span)
        rows = list(cells.rows(reader, driver, [account for account, _, active in batch if active]))
    marks = [(account, at) for account, at, _ in batch]
    return span[1], store.write_now(lambda tx: frames.save(tx, rows, marks, as_of=as_of, now=now))


def compute(reader: Reader, plan: Plan, as_of: date, now: int, accounts: Sequence[str] | None = None) -> Frame:
    """Compute a frame from the records; nothing is stored.

    Args:
        reader: Where to read.
        plan: What to compute.
        as_of: The day, today or a past one: of a past day only what was known at its end counts.
        now: The current instant, epoch ms.
        accounts: Canonical ids or old ones; None takes all. Those that are no customer's account are left out.

    Raises:
        ValueError: The day has not come yet.
    """
    today = day_of(now, plan.zone)
    if as_of > today:
        raise ValueError(f"{as_of} is in the future of {today}")
    streams = freshness.states(reader, plan, as_of, now)
    cells = Cells(plan, as_of, streams, rates.load(reader), lulls.find(reader, plan, as_of), past=as_of < today)
    rows = cells.everything(reader) if accounts is None else cells.some(reader, accounts)
    return _filtered(plan, build(plan, as_of, rows))


def frame(reader: Reader, plan: Plan, accounts: Sequence[str] | None = None) -> Frame:
    """Return the kept frame; accounts whose row is not of its day yet are left out.

    Args:
        reader: Where to read.
        plan: What it was measured by.
        accounts: Canonical ids; None takes all.

    Raises:
        StoreError: Nothing was ever measured.
    """
    basis = frames.basis(reader)
    if basis is None:
        raise StoreError("there is no frame yet", guidance="run `wellkept score` first")
    return _filtered(plan, build(plan, date.fromisoformat(basis.as_of), frames.rows(reader, basis.as_of, accounts)))


def _begin(tx: Tx, plan: Plan, as_of: date, now: int, *, everything: bool) -> tuple[Basis, bool]:
    """Mark the accounts whose rows depend on what has changed since the last time, and note what holds now."""
    frames.keep_indexes(tx, indexes(plan))
    old = frames.basis(tx)
    new = Basis(
        as_of=as_of.isoformat(),
        plan=plan.digest,
        rates=rates.stored_digest(tx),
        streams=freshness.states(tx, plan, as_of, now),
        lulls={type_: sorted(day.isoformat() for day in days) for type_, days in lulls.find(tx, plan, as_of).items()},
        where="" if plan.where is None else plan.where.text,
        at=now if old is None else max(now, old.at + 1),
    )
    complete = everything or old is None or _general(old) != _general(new)
    if complete or old is None:
        frames.mark_all(tx, now)
    else:
        changed = {
            feed.instance for feed in plan.feeds if old.streams.get(freshness.key(feed)) != new.streams[freshness.key(feed)]
        }
        frames.mark_instances(tx, changed, now)
    frames.set_basis(tx, new)
    return new, complete


def _general(basis: Basis) -> tuple[object, ...]:
    """Return what all rows depend on."""
    return basis.as_of, basis.plan, basis.rates, basis.lulls


def _filtered(plan: Plan, found: Frame) -> Frame:
    """Leave out who is no customer by config; an account of which that is not known is none."""
    if plan.where is None:
        return found
    kept = [row.account for row in found.rows() if plan.where.holds(row)]
    return found if len(kept) == len(found) else found.select(kept)
