"""What goes on in the store: runs, leases, instances that were stopped, and what waits for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wellkept.doctor.finding import Finding, Grade
from wellkept.store import alerts, approvals, dead_letters, inbox, instances, limits, owners
from wellkept.store.outbox import Hold
from wellkept.store.runs import LEASE, LEASE_SECONDS

if TYPE_CHECKING:
    from wellkept.settings import Settings
    from wellkept.store.connection import Reader

HOUR_MS = 3_600_000


def examine_work(reader: Reader, settings: Settings, now: int) -> Iterator[Finding]:
    """Examine what the store tells of the work.

    Args:
        reader: A snapshot.
        settings: The core's tables of the configuration.
        now: Epoch ms.
    """
    yield from _leases(reader, now)
    yield from _breaker(reader)
    yield from _quotas(reader, settings, now)
    yield from _waiting(reader, now)
    yield from _alerts(reader)


def _leases(reader: Reader, now: int) -> Iterator[Finding]:
    held = {name: (str(owner), int(ends)) for name, owner, ends in reader.all("SELECT name, owner, expires_at FROM locks")}
    for name, what in ((LEASE, "a run"), ("serve", "a server")):
        owner, ends = held.get(name, ("", 0))
        if ends == 0:
            continue
        if owners.is_gone(owner) or ends <= now:
            mend = "none is needed: the next one takes it over at once"
            yield Finding("work", f"lease of {what}", "note", f"stale: {owner} is gone without giving it back", mend)
        else:
            yield Finding("work", f"lease of {what}", "ok", f"held by {owner}")
    silent = now - round(2 * LEASE_SECONDS * 1000)
    rows = reader.all("SELECT id, host, pid FROM runs WHERE state = 'running' AND heartbeat_at < ?", (silent,))
    for run, host, pid in rows:
        mend = "none is needed: the next run marks it as interrupted, and goes on from its commits"
        yield Finding("work", "run", "note", f"{run} (process {pid} on {host}) gives no sign of life", mend)


def _breaker(reader: Reader) -> Iterator[Finding]:
    for row in instances.overview(reader):
        if row.state == "ok":
            continue
        mend = f"mend the cause, then: wellkept plugins enable {row.instance}"
        if row.state == "paused":
            mend = f"change the credential, then: wellkept check {row.instance}"
        yield Finding(f"instance {row.instance}", row.state, "bad", row.reason or "no reason is known", mend)


def _quotas(reader: Reader, settings: Settings, now: int) -> Iterator[Finding]:
    for credential, share in sorted(limits.used_shares(reader, now, shortest=HOUR_MS).items()):
        if share >= settings.alerts.quota_share:
            mend = "run less often, or read less: wellkept sync --estimate"
            yield Finding("work", f"quota of {credential}", "warn", f"{share:.0%} is used", mend)
    for credential, until in limits.all_blocks(reader).items():
        if until > now:
            yield Finding("work", f"limit of {credential}", "note", f"the vendor asked us to wait {(until - now) // 1000} s")


_LETTERS = "wellkept dead-letters list, then: wellkept dead-letters retry NO, or: wellkept dead-letters drop NO"
_MENDS: dict[Hold, str] = {
    "approval": "wellkept effects list --state held, then: wellkept effects approve RUN",
    "restored": "compare with the vendors, then: wellkept effects accept-restore, and: wellkept effects approve RUN",
    "doubt": "look at the vendor, then: wellkept effects retry KEY --i-know, or: wellkept effects reject KEY --reason TEXT",
    "tries": "mend the cause, then: wellkept effects retry KEY",
}


def _waiting(reader: Reader, now: int) -> Iterator[Finding]:
    counts: dict[Hold, int] = {}
    for row in approvals.held_runs(reader):
        counts[row.hold] = counts.get(row.hold, 0) + row.effects
    for hold, mend in _MENDS.items():
        if hold in counts:
            yield Finding("work", f"effects ({hold})", "warn", f"{counts[hold]} are held", mend)
    letters = dead_letters.counts(reader)
    if letters:
        names = ", ".join(f"{instance}.{stream}: {count}" for (instance, stream), count in sorted(letters.items())[:5])
        yield Finding("work", "dead letters", "warn", names, _LETTERS)
    oldest = reader.value("SELECT MIN(received_at) FROM inbox WHERE done_at IS NULL")
    if oldest is not None and now - int(oldest) > HOUR_MS:
        open_hints = sum(inbox.waiting(reader).values())
        message = f"{open_hints} webhook hints wait, the oldest for {(now - int(oldest)) // HOUR_MS} h"
        yield Finding("work", "inbox", "warn", message, "is the server up? wellkept serve, or: wellkept run")


def _alerts(reader: Reader) -> Iterator[Finding]:
    for episode in alerts.open_episodes(reader):
        grade: Grade = "bad" if episode.severity == "critical" else "warn"
        mend = f"see docs/runbook.md#{episode.condition}"
        yield Finding("alerts", f"{episode.condition} {episode.subject}", grade, episode.detail, mend)
    for channel, tries, why in alerts.failures(reader):
        mend = f"check [alerts.{channel}]; it is tried again by itself"
        yield Finding("alerts", channel, "bad", f"could not be told, {tries} times: {why}", mend)
