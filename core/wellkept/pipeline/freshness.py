"""Which streams may be believed: stale is not zero.

A cell is unknown while a stream that feeds it, at an instance where the account has a record, is older than its limit, was not
credible the last time, or has never been read to its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from wellkept.frame import Gap
from wellkept.pipeline.days import day_of, end_of
from wellkept.pipeline.frame_plan import Plan
from wellkept.pipeline.parts import Feed, Part
from wellkept.store.connection import Reader
from wellkept.store.cursors import LIVE
from wellkept.store.frames import StreamState

_GRAVEST: tuple[tuple[StreamState, Gap], ...] = (("anomaly", "anomaly"), ("stale", "stale"), ("never", "none"))


def key(feed: Feed) -> str:
    """Return the name of a feed's stream, unique in an installation."""
    return f"{feed.instance}.{feed.stream}"


def states(reader: Reader, plan: Plan, as_of: date, now: int) -> dict[str, StreamState]:
    """Return the state of every stream that feeds the plan.

    For a past day it is taken from the runs that had ended by then, so that a frame of that day shows nothing that was not
    known: whether a reading was credible then is not remembered.

    Args:
        reader: Where to read.
        plan: The plan.
        as_of: The day at whose end the figures hold.
        now: The current instant, epoch ms.
    """
    if as_of == day_of(now, plan.zone):
        known = {
            (instance, stream): (complete_at if fresh_at is None else fresh_at, anomaly)
            for instance, stream, complete_at, fresh_at, anomaly in reader.rows(
                "SELECT instance, stream, complete_at, fresh_at, anomaly FROM cursors WHERE scope = ?", (LIVE,)
            )
        }
        at = now
    else:
        at = end_of(as_of, plan.zone) - 1
        known = {
            (instance, stream): (started_at, None)
            for instance, stream, started_at in reader.rows(
                "SELECT s.instance, s.stream, MAX(s.started_at) FROM run_streams s JOIN runs r ON r.id = s.run_id"
                " WHERE s.state IN ('done', 'partial') AND s.finished_at <= ? AND r.kind NOT IN ('backfill', 'hints')"
                " GROUP BY s.instance, s.stream",
                (at,),
            )
        }
    return {key(feed): _state(plan, feed, known.get((feed.instance, feed.stream), (None, None)), at) for feed in plan.feeds}


def _state(plan: Plan, feed: Feed, known: tuple[int | None, str | None], at: int) -> StreamState:
    fresh_at, anomaly = known
    if fresh_at is None:
        return "never"
    if anomaly is not None:
        return "anomaly"
    limit = plan.stale_after if feed.stale_after is None else feed.stale_after
    return "stale" if at - fresh_at > limit.total_seconds() * 1000 else "ok"


def gap(part: Part, instances: frozenset[str], known: Mapping[str, StreamState]) -> Gap | None:
    """Say why a measure is unknown for accounts that have records at these instances; None when it may be believed."""
    if not part.feeds:
        return "none"
    feeding = {known[key(feed)] for feed in part.feeds if feed.instance in instances}
    if not feeding:
        return "unmatched"
    return next((reason for state, reason in _GRAVEST if state in feeding), None)
