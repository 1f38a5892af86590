"""What is known about accounts, gathered for a person to read: standings, timeline, and why data is absent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from wellkept.money import show
from wellkept.pipeline.report import NOT_PERMITTED
from wellkept.records import (
    Account,
    Invoice,
    PaymentAttempt,
    Record,
    Subscription,
    SurveyResponse,
    Task,
    Ticket,
    TimelineEvent,
    Touch,
)
from wellkept.steps import Steps
from wellkept.store import accounts as room
from wellkept.store import outbox, overrides, policy_states, runs, scores
from wellkept.store.cursors import Key, load

if TYPE_CHECKING:
    from wellkept.frame import Column, Frame, Value
    from wellkept.instance import Instance
    from wellkept.runtime import Runtime
    from wellkept.scorer import Score
    from wellkept.store import Reader

R = TypeVar("R", bound=Record)

MRR = "mrr"
"""The column shown beside scores, where a plugin declares it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """One account in a list.

    Attributes:
        account: The canonical id.
        name: What people call it.
        value: The score.
        band: The band in force; None when not scored.
        coverage: The score's coverage, 0 to 1.
        held: Why the score is an earlier one.
        overridden: A person's word is in force.
        mrr: Money in the reporting currency, for people.
        reason: The largest loss, in words.
    """

    account: str
    name: str | None
    value: Decimal | None = None
    band: str | None = None
    coverage: float | None = None
    held: str | None = None
    overridden: bool = False
    mrr: str | None = None
    reason: str | None = None

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {name: float(value) if isinstance(value := getattr(self, name), Decimal) else value for name in self.__slots__}


@dataclass(frozen=True, kw_only=True, slots=True)
class Presence:
    """Why there are data from a source, or are not.

    Attributes:
        instance: The instance.
        records: The vendor's ids of the account's records.
        text: ``12 rows of invoices``, ``unmatched``, ``invoices: not synced``, ``no scope``, ...
    """

    instance: str
    records: str | None
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """One entry of the timeline: when (epoch ms), at which source, and what happened."""

    at: int
    where: str
    text: str


@dataclass(kw_only=True)
class Portrait:
    """Everything about one account.

    Attributes:
        standing: Its row in the list.
        scorer: The score's name.
        score: The score with its contributions.
        columns: The frame's columns.
        presence: One line per source.
        remarks: Overrides, holds, what policies do not look at.
        timeline: Newest first.
    """

    standing: Standing
    scorer: str
    score: Score | None
    columns: Mapping[str, Column]
    presence: list[Presence]
    remarks: list[str] = field(default_factory=list)
    timeline: list[Moment] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            **self.standing.document(),
            "score": msgspec.to_builtins(self.score) if self.score else None,
            "presence": [{"instance": p.instance, "records": p.records, "data": p.text} for p in self.presence],
            "remarks": self.remarks,
            "timeline": [{"at": m.at, "where": m.where, "what": m.text} for m in self.timeline],
        }


def standings(runtime: Runtime, scorer: str, search: str = "") -> list[Standing]:
    """Return accounts, worst score first, among equals those that pay most; those that are not scored come last."""
    frame, now = Steps(runtime).frame(), runtime.clock.now()
    with runtime.store.read() as reader:
        names = {row.id: row.name for row in room.accounts(reader, search)}
        wanted = [account for account in frame.accounts if account in names]
        entries = scores.latest(reader, scorer, wanted, frame.as_of.isoformat())
        words = overrides.active(reader, scorer, now)
    found = [_standing(item, names[item], entries.get(item), words.get(item), frame) for item in wanted]
    money = dict(zip(frame.accounts, frame.column(MRR), strict=True)) if MRR in frame.columns else {}
    return sorted(
        found, key=lambda item: (item.value is None, item.value or 0, -_amount(money.get(item.account)), item.account)
    )


def _amount(cell: Value) -> int:
    return cell if isinstance(cell, int) else 0


def portrait(runtime: Runtime, account: str, scorer: str, *, limit: int) -> Portrait:
    """Gather everything about one account.

    Args:
        runtime: The open installation.
        account: The canonical id.
        scorer: Which score.
        limit: Entries of the timeline.
    """
    frame, now = Steps(runtime).frame([account]), runtime.clock.now()
    with runtime.store.read() as reader:
        row = room.account(reader, account)
        entry = scores.latest(reader, scorer, [account], frame.as_of.isoformat()).get(account)
        word = overrides.active(reader, scorer, now).get(account)
        standing = _standing(account, row.name if row else None, entry, word, frame)
        moments = sorted(_moments(runtime, reader, account, scorer), key=lambda moment: moment.at, reverse=True)
        return Portrait(
            standing=standing,
            scorer=scorer,
            score=entry.score if entry else None,
            columns=frame.columns,
            presence=[_presence(item, runtime, reader, account, frame) for item in runtime.instances.values() if item.streams],
            remarks=list(_remarks(reader, scorer, standing, entry, now=now)),
            timeline=moments[:limit],
        )


def _standing(
    account: str, name: str | None, entry: scores.Entry | None, word: overrides.Override | None, frame: Frame
) -> Standing:
    mrr = frame.row(account).get(MRR) if account in frame.accounts else None
    if entry is None:
        return Standing(account=account, name=name, band=word.band if word else None, overridden=word is not None)
    losses = [part for part in entry.score.contributions if part.points < 0]
    worst = min(losses, key=lambda part: part.points, default=None)
    return Standing(
        account=account,
        name=name,
        value=entry.score.value,
        band=word.band if word else entry.score.band,
        coverage=entry.score.coverage,
        held=entry.held,
        overridden=word is not None,
        mrr=show(mrr, frame.columns[MRR].currency or "usd") if isinstance(mrr, int) else None,
        reason=worst.text if worst else entry.score.note,
    )


def _remarks(reader: Reader, scorer: str, standing: Standing, entry: scores.Entry | None, *, now: int) -> Iterator[str]:
    account = standing.account
    if standing.held:
        yield f"held: {standing.held}"
    if entry is not None and entry.score.note:
        yield entry.score.note
    for word in overrides.history(reader, account, scorer):
        if word.ended_at is None and word.expires_at > now:
            computed = entry.score.band if entry else None
            yield f"counts as {word.band} (computed: {computed or 'not scored'}): {word.reason}, says {word.author}"
    for policy, reason in policy_states.holds(reader, account).items():
        yield f"{policy} does not look at it: {reason}"


# --- presence ----------------------------------------------------------------------------------------------------------------


def _presence(instance: Instance, runtime: Runtime, reader: Reader, account: str, frame: Frame) -> Presence:
    linked = [node.id for node in room.records_of(reader, account) if node.instance == instance.name]
    latest = {row.stream: row for row in runs.latest_of_streams(reader) if row.instance == instance.name}
    texts = []
    for name, (_, stream) in instance.streams.items():
        rows = sum(
            place == instance.name for type_ in stream.records for place, _ in runtime.tables.owned(reader, type_, account)
        )  # fmt: skip
        last = latest.get(name)
        if rows:
            texts.append(f"{name}: {rows}")
        elif last is not None and last.error and last.error.startswith(NOT_PERMITTED):
            texts.append(f"{name}: no scope")
        elif load(reader, Key(instance.name, name)).fresh_at is None:
            texts.append(f"{name}: not synced")
        elif not linked:
            texts.append(f"{name}: unmatched")
        else:
            texts.append(f"{name}: none")
    if linked and account not in frame.accounts:
        texts.insert(0, "filtered by [accounts] where")
    return Presence(instance=instance.name, records=", ".join(linked) or None, text=", ".join(texts))


# --- timeline ----------------------------------------------------------------------------------------------------------------


def _moments(runtime: Runtime, reader: Reader, account: str, scorer: str) -> Iterator[Moment]:
    for type_, tell in _TELLERS.items():
        for instance, record in runtime.tables.owned(reader, type_, account):
            for at, text in tell(record):
                if at is not None:
                    yield Moment(at=at, where=instance, text=text)
    for entry in outbox.find(reader, account=account):
        if entry.settled_at is not None or entry.state in {"planned", "held", "unknown"}:
            where = entry.instance or entry.policy
            yield Moment(
                at=entry.settled_at or entry.planned_at, where=where, text=f"{entry.capability} {entry.state}: {entry.reason}"
            )
    before: str | None = None
    for item in scores.history(reader, account, scorer):
        if item.band != before:
            yield Moment(at=item.at, where=scorer, text=f"{before or 'not scored'} -> {item.band or 'not scored'}")
        before = item.band


Told = Iterable[tuple[int | None, str]]


def _account(item: Account) -> Told:
    return [(item.created_at, "account made")]


def _subscription(item: Subscription) -> Told:
    plan = f" of {item.plan}" if item.plan else ""
    reason = f" ({item.end_reason})" if item.end_reason else ""
    return [
        (item.started_at, f"subscription{plan} began"),
        (item.canceled_at, f"subscription{plan}: wish to cancel"),
        (item.ended_at, f"subscription{plan} ended{reason}"),
    ]


def _invoice(item: Invoice) -> Told:
    amount = show(item.amount_due, item.currency)
    return [(item.finalized_at or item.created_at, f"invoice over {amount}"), (item.paid_at, f"invoice over {amount} paid")]


def _attempt(item: PaymentAttempt) -> Told:
    why = f": {item.decline_code or item.failure_code}" if item.decline_code or item.failure_code else ""
    return [(item.attempted_at, f"payment of {show(item.amount, item.currency)} {item.status}{why}")]


def _ticket(item: Ticket) -> Told:
    return [(item.created_at, f"ticket {item.id} opened"), (item.solved_at, f"ticket {item.id} solved")]


def _survey(item: SurveyResponse) -> Told:
    return [(item.answered_at, f"{item.kind} answer: {item.score:g} of {item.scale_max:g}")]


def _task(item: Task) -> Told:
    return [(item.created_at, "task made"), (item.completed_at, f"task done: {item.outcome or item.status}")]


def _touch(item: Touch) -> Told:
    return [(item.at, " ".join(text for text in (item.kind, item.campaign) if text))]


def _event(item: TimelineEvent) -> Told:
    return [(item.at, f"{item.kind}: {item.text}")]


_TELLERS: dict[type[Record], Callable[[Any], Told]] = {
    Account: _account,
    Subscription: _subscription,
    Invoice: _invoice,
    PaymentAttempt: _attempt,
    Ticket: _ticket,
    SurveyResponse: _survey,
    Task: _task,
    Touch: _touch,
    TimelineEvent: _event,
}
