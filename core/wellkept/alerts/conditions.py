"""What is wrong now: read from the store alone, so that every process comes to the same answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from wellkept.redact import redact_text
from wellkept.store import approvals, dead_letters, instances, limits, runs
from wellkept.store.alerts import Trouble
from wellkept.store.cursors import LIVE
from wellkept.store.runs import RunRow, StreamRow

if TYPE_CHECKING:
    from wellkept.settings import Alerts, Condition
    from wellkept.store.connection import Reader
    from wellkept.store.outbox import Hold

RUNBOOK: Mapping[Condition, str] = MappingProxyType(
    {
        "failed": "failed",
        "partial": "partial",
        "stale": "stale",
        "held": "held",
        "breaker": "breaker",
        "credential": "credential",
        "quota": "quota",
        "dead-letters": "dead-letters",
    }
)
"""The section of `docs/runbook.md` for each condition, as its anchor."""

DAY_MS = 86_400_000

QUOTA_MS = 3_600_000
"""The shortest period whose budget is a quota: one of seconds is used up all the time, and meant to be."""

QUOTA_SLACK = 0.1
"""A quota that was nearly used is so until this much less is used, so that one around the limit is one episode."""

LONGEST = 300
"""Characters of a reason that are told."""

SHOWN = 5
"""Names that are listed; the rest is counted."""

_FOLLOWS = frozenset({"failed", "partial", "stale"})
"""What follows by itself when an instance was stopped: not told beside that."""

_HELD: Mapping[Hold, str] = MappingProxyType(
    {
        "approval": "wait for approval",
        "restored": "are held since the store came back from a backup",
        "doubt": "are in doubt: nobody knows whether the vendor did them",
        "tries": "were tried too often",
    }
)
"""What holds effects until a person comes; what a person holds himself is told to nobody."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """From when on something is wrong.

    Attributes:
        stale: Age after which a stream's data do not count, by (instance, stream), of all that are configured.
        jobs: Jobs that are configured, by instance and place in the run table.
        credential_days: See ``[alerts]``, as the two below.
        quota_share: The used part of a quota.
        dead_letters: New ones of an instance in a day.
        tokens: Returns when stored tokens end that nobody renews by himself, epoch ms by instance.
    """

    stale: Mapping[tuple[str, str], timedelta]
    jobs: Collection[tuple[str, str]] = ()
    credential_days: int = 14
    quota_share: float = 0.9
    dead_letters: int = 10
    tokens: Callable[[Reader], Mapping[str, int]] = lambda _reader: {}

    @classmethod
    def of(
        cls,
        settings: Alerts,
        stale: Mapping[tuple[str, str], timedelta],
        tokens: Callable[[Reader], Mapping[str, int]] | None = None,
        jobs: Collection[tuple[str, str]] = (),
    ) -> Limits:
        """Take the limits from ``[alerts]``."""
        return cls(
            stale=stale,
            jobs=jobs,
            credential_days=settings.credential_days,
            quota_share=settings.quota_share,
            dead_letters=settings.dead_letters,
            **({} if tokens is None else {"tokens": tokens}),
        )


def troubles(reader: Reader, limits_: Limits, now: int, known: Collection[tuple[str, str]] = ()) -> list[Trouble]:
    """Return all that is wrong.

    Args:
        reader: A snapshot of the store.
        limits_: From when on.
        now: Epoch ms.
        known: Condition and subject of what was wrong the last time.
    """
    found = [
        *_broken(reader),
        *_of_streams(reader, limits_),
        *_of_runs(reader),
        *_stale(reader, limits_, now),
        *_held(reader),
        *_credentials(reader, limits_, now),
        *_quotas(reader, limits_, now, known),
        *_letters(reader, limits_, now),
    ]
    stopped = {trouble.subject for trouble in found if trouble.condition == "breaker"}
    return [
        trouble._replace(detail=_short(trouble.detail))
        for trouble in found
        if not (trouble.condition in _FOLLOWS and trouble.subject in stopped and trouble.key not in known)
    ]


def _broken(reader: Reader) -> Iterator[Trouble]:
    for row in instances.overview(reader):
        if row.state != "ok":
            yield Trouble(
                "breaker", row.instance, "critical", row.since or 0, f"{row.state}: {row.reason or 'no reason is known'}"
            )


def _of_streams(reader: Reader, limits_: Limits) -> Iterator[Trouble]:
    """Judge each instance by the newest read of each of its streams, and by the newest end of each of its jobs."""
    by_instance: dict[str, list[StreamRow]] = {}
    for instance, stream in (*limits_.stale, *limits_.jobs):
        if (row := runs.newest_of_stream(reader, instance, stream)) is not None:
            by_instance.setdefault(instance, []).append(row)
    for instance, rows in by_instance.items():
        bad = [row for row in rows if row.state != "done"]
        if not bad:
            continue
        since = min(row.finished_at or row.started_at for row in bad)
        detail = _listed(
            f"{row.stream}: {row.error or row.note or f'{row.rejected} rows could not be understood'}" for row in bad
        )
        read = [row for row in rows if (instance, row.stream) in limits_.stale]
        if read and all(row.state in {"failed", "skipped"} for row in read):
            yield Trouble("failed", instance, "critical", since, f"nothing could be read. {detail}")
        else:
            yield Trouble("partial", instance, "warning", since, detail)


def _of_runs(reader: Reader) -> Iterator[Trouble]:
    """Judge each kind of run by its newest one, if that ended in a way which its streams do not explain.

    A ``run`` does everything that the other kinds do, so that one which went well ends what was wrong with them.
    """
    newest = {row.kind: row for row in runs.newest_ended(reader)}
    whole = newest.get("run")
    for kind, row in newest.items():
        if kind == "backfill" or row.state not in {"failed", "partial"} or _explained(reader, row):
            continue
        if whole is not None and whole.started_at > row.started_at and whole.state != "failed":
            continue
        since = row.finished_at or row.started_at
        detail = f"run {row.id}: {row.summary or 'no reason is known'}"
        if row.state == "failed":
            yield Trouble("failed", f"run ({kind})", "critical", since, detail)
        else:
            yield Trouble("partial", f"run ({kind})", "warning", since, detail)


def _explained(reader: Reader, run: RunRow) -> bool:
    """Whether a run ended badly because of its streams, which have alerts of their own."""
    return any(
        row.state in {"failed", "partial", "skipped"} and row.error not in runs.CUT_OFF for row in runs.streams(reader, run.id)
    )


def _stale(reader: Reader, limits_: Limits, now: int) -> Iterator[Trouble]:
    known = {
        (instance, stream): (fresh_at, anomaly)
        for instance, stream, fresh_at, anomaly in reader.all(
            "SELECT instance, stream, fresh_at, anomaly FROM cursors WHERE scope = ?", (LIVE,)
        )
    }
    by_instance: dict[str, list[tuple[int, str]]] = {}
    for (instance, stream), limit in limits_.stale.items():
        fresh_at, anomaly = known.get((instance, stream), (None, None))
        begins = fresh_at if fresh_at is not None else runs.first_try(reader, instance, stream)
        if begins is None:  # never tried: a run, or the breaker, has an alert of its own
            continue
        ends = begins + round(limit.total_seconds() * 1000)
        if anomaly is not None:
            by_instance.setdefault(instance, []).append((begins, f"{stream}: not believed: {anomaly}"))
        elif now > ends:
            age = "never read to its end" if fresh_at is None else f"of {_day(fresh_at)}"
            by_instance.setdefault(instance, []).append((ends, f"{stream}: {age}"))
    for instance, found in by_instance.items():
        yield Trouble("stale", instance, "warning", min(at for at, _ in found), _listed(text for _, text in found))


def _held(reader: Reader) -> Iterator[Trouble]:
    """What waits for approval is told by run; what is held otherwise, by reason."""
    others: dict[Hold, list[approvals.HeldRun]] = {}
    for row in approvals.held_runs(reader):
        if row.hold == "approval":
            text = f"{row.effects} effects of {row.accounts} accounts wait for approval: {row.note or 'no reason is known'}"
            yield Trouble("held", f"run {row.run}", "warning", row.since, text)
        elif row.hold in _HELD:
            others.setdefault(row.hold, []).append(row)
    for hold, rows in others.items():
        count, since = sum(row.effects for row in rows), min(row.since for row in rows)
        yield Trouble("held", hold, "warning", since, f"{count} effects {_HELD[hold]}")


def _credentials(reader: Reader, limits_: Limits, now: int) -> Iterator[Trouble]:
    ends = dict(limits_.tokens(reader))
    for row in instances.overview(reader):
        if row.expires_at is not None:
            ends[row.instance] = min(row.expires_at, ends.get(row.instance, row.expires_at))
    notice = limits_.credential_days * DAY_MS
    for instance, at in sorted(ends.items()):
        if now >= at - notice:
            detail = f"the credential {'ended' if now >= at else 'ends'} on {_day(at)}"
            yield Trouble("credential", instance, "warning", at - notice, detail)


def _quotas(reader: Reader, limits_: Limits, now: int, known: Collection[tuple[str, str]]) -> Iterator[Trouble]:
    for credential, share in sorted(limits.used_shares(reader, now, shortest=QUOTA_MS).items()):
        subject = redact_text(credential)
        slack = QUOTA_SLACK if ("quota", subject) in known else 0
        if share >= limits_.quota_share - slack:
            yield Trouble("quota", subject, "warning", now, "the vendor's quota is nearly used; what is left of it comes later")


def _letters(reader: Reader, limits_: Limits, now: int) -> Iterator[Trouble]:
    for instance, count, first_at in dead_letters.since(reader, now - DAY_MS):
        if count >= limits_.dead_letters:
            detail = f"{limits_.dead_letters} rows or more could not be understood within a day"
            yield Trouble("dead-letters", instance, "warning", first_at, detail)


def _listed(texts: Iterable[str]) -> str:
    found = list(texts)
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(found[:SHOWN]) + more


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _short(text: str) -> str:
    text = redact_text(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
