"""What the parts of a delivery share: the world they work in, and the report that they write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import msgspec

from wellkept.clock import Clock
from wellkept.effects import Kind
from wellkept.errors import FatalError, LeaseLostError, StoreError, WellkeptError
from wellkept.events import Event
from wellkept.frame import Row
from wellkept.records import Json, Record
from wellkept.redact import redact_exception
from wellkept.store.engine import Store
from wellkept.store.outbox import FINAL, Change, Entry
from wellkept.store.runs import Run

if TYPE_CHECKING:
    from wellkept.context import Signer
    from wellkept.pipeline.plan import Sources
    from wellkept.pipeline.routing import Routes
    from wellkept.policy import Decider
    from wellkept.settings import General, Messages, Safety
    from wellkept.store.records import RecordTables
    from wellkept.trust import InstallationKey

CALL_SECONDS = 300.0
"""How long one call of an action may take. Then its outcome is unknown."""

CLAIM_SHARE = 0.5
"""A claim that is older than this share of the run's lease when its call is about to leave is given back: the process was
paused, and another may have taken over."""

GIVE_UP_AFTER = 3
"""Calls in a row that failed (no connection, no answer), after which an instance is left alone until the next delivery."""

BUSY_AFTER = 20
"""Calls in a row to which it answered "later", with the same consequence. Greylisting says so to single recipients."""

ROWS_KEPT = 1000
"""Rows that a report holds; all are counted."""

Result = Literal["done", "would send", "held", "postponed", "again later", "unknown", "rejected", "expired", "split"]
"""What a delivery did with an effect."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One effect in a report.

    Attributes:
        key: The effect.
        kind: Its kind.
        instance: Who serves it; None when that is not clear.
        capability: What it asks for.
        account: About whom.
        result: What became of it.
        why: Its own reason, as planned.
        note: What a person should know: why it is held, to which role it goes.
        diff: For ``state``: field to what stands at the vendor and what would.
    """

    key: str
    kind: Kind
    instance: str | None
    capability: str
    account: str | None
    result: Result
    why: str
    note: str | None = None
    diff: Mapping[str, tuple[Json, Json]] = {}


@dataclass(kw_only=True)
class DeliverReport:
    """What a delivery did.

    Attributes:
        run: The run.
        counts: (instance, capability, result) to how many effects.
        rows: The first `ROWS_KEPT` effects.
        failures: Instance to why it was left alone for the rest of this run, redacted.
        errors: Instance to the error itself: the breaker's food.
    """

    run: str
    counts: Counter[tuple[str, str, Result]] = field(default_factory=Counter)
    rows: list[Shown] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    errors: dict[str, WellkeptError] = field(default_factory=dict)

    def total(self, *results: Result) -> int:
        """Return how many effects had one of these results."""
        return sum(count for (_, _, result), count in self.counts.items() if result in results)

    @property
    def state(self) -> Literal["done", "partial"]:
        """``partial`` when anything is not as it was meant to be: success never hides a failure."""
        wrong = self.total("held", "again later", "unknown", "rejected")
        return "partial" if wrong or self.failures else "done"


@dataclass(kw_only=True)
class Outgoing:
    """The world of one delivery; see `wellkept.pipeline.deliver.deliver` for what is what."""

    store: Store
    tables: RecordTables
    routes: Routes
    live: Mapping[str, bool | Sequence[str]]
    deciders: Mapping[str, Decider]
    row: Callable[[str], Row | None]
    feeds: Callable[[str], Collection[type[Record]]]
    messages: Messages
    general: General
    safety: Safety
    run: Run
    clock: Clock
    sources: Sources
    signer: Signer
    key: InstallationKey
    observe: Callable[[Event], None]
    dry_run: bool
    report: DeliverReport
    call_seconds: float = CALL_SECONDS

    def is_live(self, instance: str, capability: str) -> bool:
        """Say whether effects of a capability really leave through an instance."""
        live = self.live.get(instance, False)
        return not self.dry_run and (live if isinstance(live, bool) else capability in live)

    def show(self, entry: Entry, result: Result, note: str | None = None, *, instance: str | None, **more: object) -> None:
        """Write an effect into the report."""
        report = self.report
        report.counts[instance or "", entry.capability, result] += 1
        if len(report.rows) < ROWS_KEPT:
            row = Shown(
                key=entry.key,
                kind=entry.kind,
                instance=instance,
                capability=entry.capability,
                account=entry.account,
                result=result,
                why=entry.reason,
                note=note,
            )
            report.rows.append(msgspec.structs.replace(row, **more) if more else row)

    def tell(self, changes: Iterable[Change]) -> None:
        """Announce moves, after their commit."""
        now = self.clock.now()
        for change in changes:
            if change.after in FINAL or change.after == "held":
                self.observe(
                    Event(
                        kind="effects.held" if change.after == "held" else "effect.settled",
                        at=now,
                        run=self.run.id,
                        instance=change.entry.instance,
                        effect=change.entry.key,
                        state=change.after,
                        reason=change.note,
                    )
                )

    def remember(self, instance: str, error: BaseException) -> None:
        """Keep an instance's first error for the breaker; what is none of ours counts as fatal."""
        known = error if isinstance(error, WellkeptError) else FatalError(redact_exception(error) or type(error).__name__)
        self.report.errors.setdefault(instance, known)

    def blame(self, instance: str, error: BaseException) -> None:
        """Note that an instance failed."""
        self.report.failures[instance] = redact_exception(error)
        self.remember(instance, error)


class Patience:
    """Counts calls of one instance that came to nothing.

    Args:
        run: The run; when it is to stop, nothing more is begun either.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._failed = 0
        self._busy = 0
        self.reason = ""

    def note(self, reason: str = "", *, failed: bool = False, busy: bool = False) -> None:
        """Take note of a call: it failed, or was put off; otherwise it came to something."""
        self._failed = self._failed + 1 if failed else 0
        self._busy = self._busy + 1 if busy or failed else 0
        self.reason = reason

    @property
    def is_over(self) -> bool:
        """Whether the instance should be left alone for now."""
        return self.is_spent or self._run.stopping is not None

    @property
    def is_spent(self) -> bool:
        """Whether that is the instance's own fault."""
        return self._failed >= GIVE_UP_AFTER or self._busy >= BUSY_AFTER


OURS = (LeaseLostError, StoreError)
"""Errors that end the whole run, whoever was at work."""
