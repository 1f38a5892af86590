"""What is told: the notices of one channel as one message, in words and as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from wellkept.alerts.conditions import RUNBOOK
from wellkept.redact import redact_text
from wellkept.store.alerts import Notice

HEADINGS: Mapping[str, str] = {
    "failed": "failed",
    "partial": "works in part",
    "stale": "data are stale",
    "held": "effects are held",
    "breaker": "was stopped",
    "credential": "credential ends",
    "quota": "quota is nearly used",
    "dead-letters": "dead letters are growing",
}
"""What the conditions are called."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What goes over a channel.

    Attributes:
        id: The same for the same notices, so that a receiver can tell a repetition.
        subject: On one line.
        text: For people.
        data: For machines.
    """

    id: str
    subject: str
    text: str
    data: Mapping[str, Any]


def compose(notices: Sequence[Notice], *, name: str, zone: ZoneInfo, now: int) -> Message:
    """Make one message of what a channel is to be told.

    Args:
        notices: At least one.
        name: The installation's.
        zone: For instants in the text.
        now: Epoch ms.
    """
    ordered = sorted(notices, key=lambda notice: (notice.what == "ended", notice.episode.severity != "critical", notice.seq))
    subject = _subject(ordered[0])
    if len(ordered) > 1:
        subject = f"{subject}, and {len(ordered) - 1} more"
    text = "\n\n".join(_paragraph(notice, zone) for notice in ordered)
    identity = ",".join(str(notice.seq) for notice in sorted(notices, key=lambda notice: notice.seq))
    return Message(
        id=f"alert_{sha256(f'{name}:{identity}'.encode()).hexdigest()[:24]}",
        subject=redact_text(f"[{name}] {subject}"),
        text=redact_text(text),
        data={
            "type": "wellkept.alerts",
            "installation": name,
            "at": now,
            "text": redact_text(f"[{name}] {subject}\n\n{text}"),
            "alerts": [_data(notice) for notice in ordered],
        },
    )


def _subject(notice: Notice) -> str:
    episode = notice.episode
    word = "over" if notice.what == "ended" else episode.severity
    return f"{word}: {episode.subject}: {HEADINGS[episode.condition]}"


def _paragraph(notice: Notice, zone: ZoneInfo) -> str:
    episode = notice.episode
    lines = [_subject(notice)]
    if notice.what == "ended":
        lines.append(f"It lasted from {_instant(episode.since, zone)} to {_instant(episode.ended_at or 0, zone)}.")
    else:
        lines += [f"Since {_instant(episode.since, zone)}.", episode.detail, f"What to do: {runbook(episode.condition)}"]
    return "\n".join(lines)


def runbook(condition: str) -> str:
    """Return where the runbook speaks of a condition."""
    anchor = next(anchor for name, anchor in RUNBOOK.items() if name == condition)
    return f"docs/runbook.md#{anchor}"


def _data(notice: Notice) -> dict[str, Any]:
    episode = notice.episode
    return {
        "id": episode.seq,
        "event": notice.what,
        "condition": episode.condition,
        "subject": redact_text(episode.subject),
        "severity": episode.severity,
        "since": episode.since,
        "ended_at": episode.ended_at,
        "detail": redact_text(episode.detail),
        "runbook": runbook(episode.condition),
    }


def _instant(at: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at / 1000, zone).strftime("%Y-%m-%d %H:%M %Z")
