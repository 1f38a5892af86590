"""What a run did, step by step, and its sync stream by stream: plain figures and redacted texts."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wellkept.errors import CredentialsError, FatalError, WellkeptError
from wellkept.redact import redact_exception
from wellkept.store.runs import RunState, StreamState

if TYPE_CHECKING:
    from wellkept.pipeline.commit import Committed
    from wellkept.pipeline.decide import DecideReport
    from wellkept.pipeline.measure import MeasureReport
    from wellkept.pipeline.outgoing import DeliverReport
    from wellkept.pipeline.resolve import ResolveReport
    from wellkept.pipeline.score import ScoreReport

GRAVITY: Sequence[RunState] = ("done", "partial", "failed")
"""Run states, the gravest last."""

FIGURES = ("read", "inserted", "updated", "unchanged", "deleted", "rejected")

NOT_PERMITTED = "not permitted: "
"""How the text of an error begins that a credential is to blame for."""


@dataclass(kw_only=True)
class StreamResult:
    """How one stream ended.

    Attributes:
        instance: The instance.
        stream: The stream; ``*`` where its source could not even list them.
        state: ``partial`` means read to its end, but rows were rejected, or something was held back.
        read: Rows that came in; inserted + updated + unchanged + deleted + rejected, except that a swapped generation or
            an absence may delete more.
        hints: Webhook hints that were answered.
        error: Why it failed, redacted.
        notes: What a person should know, redacted.
        failure: The error itself, where the plugin or the vendor is to blame for it: the breaker's food.
        held: Something was held back, or waits.
        stopped_by: The error itself, where neither is: the store, or a lost lease.
    """

    instance: str
    stream: str
    state: StreamState = "running"
    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    rejected: int = 0
    hints: int = 0
    error: str | None = None
    notes: list[str] = field(default_factory=list)
    failure: WellkeptError | None = None
    stopped_by: BaseException | None = None
    held: bool = False

    def add(self, done: Committed) -> None:
        """Count what a commit did."""
        for name in FIGURES:
            setattr(self, name, getattr(self, name) + getattr(done, name))

    def end_well(self) -> None:
        """The stream was read to its end."""
        self.state = "partial" if self.rejected or self.held else "done"

    def fail(self, error: BaseException, *, blamed: bool) -> None:
        """The stream failed.

        Args:
            error: Why.
            blamed: The plugin or its vendor is to blame, not the store.
        """
        self.state, self.error = "failed", describe(error)
        if blamed:
            self.failure = blame(error)
        else:
            self.stopped_by = error

    @property
    def counts(self) -> dict[str, int]:
        """The figures by name."""
        return {name: getattr(self, name) for name in FIGURES}

    @property
    def note(self) -> str | None:
        """All notes in one line."""
        return "; ".join(dict.fromkeys(self.notes)) or None

    @property
    def ended_well(self) -> bool:
        """Whether the stream was read to its end, so that others may build on it."""
        return self.state in {"done", "partial"}


@dataclass(frozen=True, kw_only=True)
class SyncReport:
    """How a sync ended.

    Attributes:
        run: The run's id.
        streams: One result per stream, in the order of configuration.
    """

    run: str
    streams: Sequence[StreamResult]

    @property
    def state(self) -> Literal["done", "partial", "failed"]:
        """``done`` if all streams are; ``failed`` if none could be read; else ``partial``: success never hides a failure."""
        if all(result.state == "done" for result in self.streams):
            return "done"
        return "partial" if any(result.ended_well for result in self.streams) else "failed"

    @property
    def summary(self) -> str:
        """One line for the run table."""
        rows = sum(result.read for result in self.streams)
        states = {state: sum(result.state == state for result in self.streams) for state in ("partial", "failed", "skipped")}
        troubles = [f"{count} {state}" for state, count in states.items() if count]
        return ", ".join([f"{rows} rows of {len(self.streams)} streams", *troubles])


@dataclass(kw_only=True)
class RunReport:
    """What a run did, step by step; a step that was not asked for, or not reached, is None.

    Attributes:
        run: The run's id.
        state: The gravest of its steps' states.
        sync: Streams read.
        resolve: Records linked.
        measure: Accounts measured.
        score: Scores computed.
        decide: Effects planned.
        deliver: Effects sent, or shown.
        jobs: How the plugins' own jobs ended.
    """

    run: str
    state: RunState = "done"
    sync: SyncReport | None = None
    resolve: ResolveReport | None = None
    measure: MeasureReport | None = None
    score: ScoreReport | None = None
    decide: DecideReport | None = None
    deliver: DeliverReport | None = None
    jobs: Sequence[StreamResult] | None = None
    summary: list[str] = field(default_factory=list)

    def worsen(self, state: RunState, summary: str) -> None:
        """Add a step's state and its line to the summary."""
        self.state = max(self.state, state, key=GRAVITY.index)
        self.summary.append(summary)


def blame(error: BaseException) -> WellkeptError:
    """Return what left a plugin as one of our errors.

    What is not ours counts as fatal. Its message is left out, because it may quote a customer's row; its place is enough for
    the plugin's author.
    """
    if isinstance(error, WellkeptError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    return FatalError(f"{type(error).__name__}{place}", guidance="this is a bug of the plugin: tell its author")


def describe(error: BaseException) -> str:
    """Return an error in one redacted line that is safe to store; one about credentials begins with `NOT_PERMITTED`."""
    found = blame(error)
    return f"{NOT_PERMITTED if isinstance(found, CredentialsError) else ''}{redact_exception(found)}"
