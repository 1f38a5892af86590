"""Score: the step that adds explained scores to the frame, keeps their history, and can compute each of them again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import repeat

import msgspec

from wellkept.errors import ConfigError
from wellkept.frame import Column, Frame, Gap, Value
from wellkept.pipeline.answers import Answer, ask
from wellkept.pipeline.frames import Failure, held, slices, unusable
from wellkept.plugins.acting import Actor, acting
from wellkept.records import Json
from wellkept.scorer import Score, Scorer
from wellkept.store import Reader, Store, looks, overrides
from wellkept.store import scores as history
from wellkept.store.frames import Basis
from wellkept.store.looks import Look
from wellkept.store.overrides import Override
from wellkept.store.scores import Entry, Inputs, Standing
from wellkept.store.succession import move_scores


class ScoreReport(msgspec.Struct, kw_only=True):
    """What the step did, counted in (account, scorer).

    Attributes:
        scored: Those with a score,
        unscored: without one,
        held: and those that keep an earlier one, among those that were looked at.
        changed: New rows of history.
        same: Not looked at, because nothing has changed since they were.
        failures: Scorers that failed, by name; the others ran.
    """

    scored: int = 0
    unscored: int = 0
    changed: int = 0
    held: int = 0
    same: int = 0
    failures: list[Failure] = []


def score(
    store: Store,
    scorers: Sequence[tuple[str, Scorer]],
    frame: Frame,
    *,
    run_id: str,
    now: int,
    configs: Mapping[str, Json],
    basis: Basis | None = None,
) -> ScoreReport:
    """Score the accounts of the frame and append what changed to the history.

    An account with a stale or anomalous cell among a scorer's columns keeps its last score, marked held, and is not shown to
    the scorer: an outage of a source changes no band. So does an account whose score breaks the rules of `Score`.

    Args:
        store: The store.
        scorers: Instance and scorer.
        frame: The measures.
        run_id: The run.
        now: The current instant, epoch ms.
        configs: Each instance's configuration as plain data; kept with the scores, so it must hold no secret.
        basis: Says that this is the kept frame of all accounts, and what it was measured by: then only those accounts are
            looked at that may have another score than at the last look. Without it, all are.

    Returns:
        What was done. A scorer that fails is named there; the others run.
    """
    report = ScoreReport()
    store.write_now(lambda tx: move_scores(tx, now))
    for instance, scorer in scorers:
        body = _config(scorer, frame, configs.get(instance))
        digest = store.write_now(lambda tx, body=body: history.put_config(tx, body, now))  # type: ignore[misc]
        view = frame if basis is None else _due(store, scorer, looks.look(basis, digest), frame)
        report.same += len(frame) - len(view)
        assess = _Assessor(instance, scorer, view, now=now, run_id=run_id, digest=digest)
        for accounts in slices(view.accounts):
            with store.read() as reader:
                entries = assess(reader, accounts)
                known = history.told(reader, scorer.name, accounts, frame.as_of.isoformat())
            new = [item for item in entries if item.told != known.get(item.account)]
            if new:
                store.write_now(lambda tx, new=new: history.append(tx, new))  # type: ignore[misc]
            report.changed += len(new)
            for item in entries:
                report.held += item.held is not None
                report.scored += item.held is None and item.score.value is not None
                report.unscored += item.held is None and item.score.value is None
        failures = assess.failures()
        if basis is not None and not failures:
            done = looks.look(basis, digest)
            store.write_now(lambda tx, name=scorer.name, done=done: looks.note(tx, name, done))  # type: ignore[misc]
        report.failures += failures
    return report


def _due(store: Store, scorer: Scorer, look: Look, frame: Frame) -> Frame:
    """Return the frame of the accounts that a scorer must look at."""
    with store.read() as reader:
        due = looks.due(reader, scorer.name, look)
    return frame if due is None else frame.select([account for account in frame.accounts if account in due])


def score_columns(reader: Reader, scorers: Sequence[tuple[str, Scorer]], frame: Frame, now: int) -> Frame:
    """Return the frame with each scorer's columns as the history has them.

    A scorer named ``health`` adds ``health``, ``health_band`` (an override's while it lasts), ``health_band_before`` (in force
    at the end of the last earlier day) and ``health_coverage``. Held scores are None with the gap ``stale``, so that policies
    hold too; the band of an override stands, because it is a person's word and no figure.
    """
    for _, scorer in scorers:
        stored = history.standings(reader, scorer.name, frame.accounts, frame.as_of.isoformat())
        frame = _with_scores(reader, scorer.name, frame, stored, now)
    return frame


def fresh_columns(reader: Reader, scorers: Sequence[tuple[str, Scorer]], frame: Frame, now: int) -> Frame:
    """Return the frame with scores computed now and stored nowhere, for a recheck with fresh facts."""
    for instance, scorer in scorers:
        assess = _Assessor(instance, scorer, frame, now=now, run_id="", digest="")
        entries = {item.account: item for accounts in slices(frame.accounts) for item in assess(reader, accounts)}
        frame = _with_scores(reader, scorer.name, frame, entries, now)
    return frame


def rescore(reader: Reader, seq: int, scorer: Scorer) -> Score:
    """Compute a stored score again from its inputs; the result encodes to the same bytes.

    Args:
        reader: Where to read.
        seq: The row of history.
        scorer: Built with the configuration that `wellkept.store.scores.config` has for the row.

    Returns:
        The score. A row that was held was not computed: its score is returned as it is.

    Raises:
        ConfigError: There is no such row, or another scorer or version made it.
    """
    entry = history.entry(reader, seq)
    if entry is None:
        raise ConfigError(f"there is no score with number {seq}")
    if (entry.scorer, entry.scorer_version) != (scorer.name, scorer.version):
        raise ConfigError(
            f"score {seq} was made by {entry.scorer} {entry.scorer_version}, not by {scorer.name} {scorer.version}",
            guidance="install the version that made it",
        )
    if entry.held is not None:
        return entry.score
    body = history.config(reader, entry.config_digest) or {}
    columns = msgspec.convert(body.get("columns", {}), dict[str, Column])
    scorer.bind(columns)
    frame = Frame(
        date.fromisoformat(entry.as_of),
        [entry.score.account],
        columns,
        {name: [value] for name, value in entry.inputs.cells.items()},
        {name: {0: gap} for name, gap in entry.inputs.gaps.items()},
    )
    account = entry.score.account  # what it was called then
    previous = history.computed_before(reader, scorer.name, [entry.account], entry.as_of, seq=seq)
    results, problems = ask(scorer, frame, dict(zip([account], previous.values(), strict=False)))
    if problems:
        raise ConfigError(f"score {seq} cannot be computed again: {problems[account]}")
    return results[account].score


class _Assessor:
    """Asks one scorer about slices of a frame, and remembers what went wrong."""

    def __init__(self, instance: str, scorer: Scorer, frame: Frame, *, now: int, run_id: str, digest: str) -> None:
        self._instance = instance
        self._scorer = scorer
        self._now = now
        self._run_id = run_id
        self._digest = digest
        self._problems: dict[str, list[str]] = {}
        self._frame = frame.only(scorer.uses)
        self._broken = unusable(scorer.uses, scorer.bind, frame)
        self._overrides: dict[str, Override] | None = None

    def __call__(self, reader: Reader, accounts: Sequence[str]) -> list[Entry]:
        """Return one entry per account, in their order."""
        if self._overrides is None:
            self._overrides = overrides.active(reader, self._scorer.name, self._now)
        part = self._frame.select(accounts)
        as_of = part.as_of.isoformat()
        reasons = held(part)
        if self._broken:
            reasons |= dict.fromkeys(accounts, self._broken)
        fresh = [account for account in accounts if account not in reasons]
        previous = history.computed_before(reader, self._scorer.name, fresh, as_of)
        with acting(Actor(self._instance, f"the scorer {self._scorer.name}")):
            results, problems = ask(self._scorer, part.select(fresh), previous)
        for account, problem in problems.items():
            self._problems.setdefault(problem, []).append(account)
            reasons[account] = f"{self._instance} failed: {problem}"
        kept = history.latest(reader, self._scorer.name, list(reasons), as_of)
        for account in reasons:
            results[account] = Answer(kept[account].score, kept[account].body) if account in kept else _never(account)
        return [
            self._entry(account, as_of, results[account], inputs, reasons.get(account))
            for account, inputs in zip(part.accounts, _inputs(part), strict=True)
        ]

    def failures(self) -> list[Failure]:
        """Return what went wrong, once per kind."""
        found = {problem: tuple(accounts) for problem, accounts in self._problems.items()}
        if self._broken:
            found[self._broken] = ()
        return [
            Failure(instance=self._instance, name=self._scorer.name, message=problem, subjects=subjects)
            for problem, subjects in found.items()
        ]

    def _entry(self, account: str, as_of: str, answer: Answer, inputs: Inputs, held: str | None) -> Entry:
        override = (self._overrides or {}).get(account)
        return Entry(
            account=account,
            scorer=self._scorer.name,
            as_of=as_of,
            at=self._now,
            run_id=self._run_id,
            scorer_version=self._scorer.version,
            config_digest=self._digest,
            band=override.band if override else answer.score.band,
            held=held,
            score=answer.score,
            body=answer.body,
            inputs=inputs,
        )


def _never(account: str) -> Answer:
    """Return what stands for the score of an account that was held before it had one."""
    never = Score(account=account, value=None, band=None, coverage=0.0, note="not scored yet")
    return Answer(never, msgspec.json.encode(never).decode())


def _inputs(frame: Frame) -> Iterator[Inputs]:
    """Yield what was seen of each account: the cells by name, and why those that are None are so."""
    names = sorted(frame.columns)
    columns = [frame.column(name) for name in names]
    gaps: dict[int, dict[str, Gap]] = {}
    for name, column in zip(names, columns, strict=True):
        if None in column:
            known = frame.gaps(name)
            for index, cell in enumerate(column):
                if cell is None:
                    gaps.setdefault(index, {})[name] = known.get(index, "none")
    rows = zip(*columns, strict=True) if columns else repeat((), len(frame))
    for index, row in enumerate(rows):
        yield Inputs(cells=dict(zip(names, row, strict=True)), gaps=gaps.get(index, {}))


def _with_scores(reader: Reader, name: str, frame: Frame, entries: Mapping[str, Entry | Standing], now: int) -> Frame:
    """Add one scorer's columns."""
    before = history.bands_before(reader, name, frame.accounts, frame.as_of.isoformat())
    overridden = overrides.active(reader, name, now)
    found = [entries.get(account) for account in frame.accounts]
    held = [index for index, entry in enumerate(found) if entry is not None and entry.held is not None]
    results = [None if entry is None or entry.held is not None else entry.score for entry in found]
    cells: dict[str, list[Value]] = {
        "": [None if result is None or result.value is None else _plain(result.value) for result in results],
        "_band": [None if result is None else result.band for result in results],
        "_band_before": [before.get(account) for account in frame.accounts],
        "_coverage": [None if result is None else result.coverage for result in results],
    }
    for index in held:
        if frame.accounts[index] not in overridden:
            cells["_band_before"][index] = None
    if overridden:
        for index, account in enumerate(frame.accounts):
            if account in overridden:
                cells["_band"][index] = overridden[account].band
    stale: dict[str, dict[int, Gap]] = {
        suffix: {index: "stale" for index in held if column[index] is None} for suffix, column in cells.items()
    }
    columns = (
        Column(name=name, unit="points", doc=f"The score {name}; higher is healthier."),
        Column(name=f"{name}_band", unit="text", doc=f"The band of {name}, or what a person put in its place."),
        Column(name=f"{name}_band_before", unit="text", doc=f"The band of {name} on the last earlier day."),
        Column(name=f"{name}_coverage", unit="ratio", doc=f"The share of {name} for which there were data."),
    )
    return frame.with_columns(
        {column.name: column for column in columns},
        {f"{name}{suffix}": values for suffix, values in cells.items()},
        {f"{name}{suffix}": gaps for suffix, gaps in stale.items()},
    )


def _plain(value: Decimal) -> int | float:
    """Return a score as a cell; two decimals survive a float exactly as written."""
    return int(value) if value == value.to_integral_value() else float(value)


def _config(scorer: Scorer, frame: Frame, config: Json) -> Mapping[str, Json]:
    columns = {name: msgspec.to_builtins(frame.columns[name]) for name in sorted(scorer.uses & frame.columns.keys())}
    return {"scorer": scorer.name, "version": scorer.version, "config": config, "columns": columns}
