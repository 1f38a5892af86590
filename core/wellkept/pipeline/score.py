"""Score: the step that adds explained scores to the frame, keeps their history, and can compute each of them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from wellkept.errors import ConfigError
from wellkept.frame import Column, Frame, Gap, Value
from wellkept.pipeline.frames import Failure, held, only, slices, unusable
from wellkept.plugins.acting import Actor, acting
from wellkept.records import Json
from wellkept.redact import redact_exception
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
                known = history.latest(reader, scorer.name, accounts, frame.as_of.isoformat())
            new = [item for item in entries if item.account not in known or not item.same(known[item.account])]
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
    results, problems = _ask(scorer, frame, dict(zip([account], previous.values(), strict=False)))
    if problems:
        raise ConfigError(f"score {seq} cannot be computed again: {problems[account]}")
    return results[account]


class _Assessor:
    """Asks one scorer about slices of a frame, and remembers what went wrong."""

    def __init__(self, instance: str, scorer: Scorer, frame: Frame, *, now: int, run_id: str, digest: str) -> None:
        self._instance = instance
        self._scorer = scorer
        self._now = now
        self._run_id = run_id
        self._digest = digest
        self._problems: dict[str, list[str]] = {}
        self._frame = only(frame, scorer.uses)
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
            results, problems = _ask(self._scorer, part.select(fresh), previous)
        for account, problem in problems.items():
            self._problems.setdefault(problem, []).append(account)
            reasons[account] = f"{self._instance} failed: {problem}"
        kept = history.latest(reader, self._scorer.name, list(reasons), as_of)
        for account in reasons:
            never = Score(account=account, value=None, band=None, coverage=0.0, note="not scored yet")
            results[account] = kept[account].score if account in kept else never
        columns = {name: part.column(name) for name in sorted(part.columns)}
        found = []
        for index, account in enumerate(part.accounts):
            cells = {name: column[index] for name, column in columns.items()}
            gaps = {name: gap for name, cell in cells.items() if cell is None and (gap := part.gap(name, index)) is not None}
            found.append(self._entry(account, as_of, results[account], Inputs(cells=cells, gaps=gaps), reasons.get(account)))
        return found

    def failures(self) -> list[Failure]:
        """Return what went wrong, once per kind."""
        found = {problem: tuple(accounts) for problem, accounts in self._problems.items()}
        if self._broken:
            found[self._broken] = ()
        return [
            Failure(instance=self._instance, name=self._scorer.name, message=problem, subjects=subjects)
            for problem, subjects in found.items()
        ]

    def _entry(self, account: str, as_of: str, result: Score, inputs: Inputs, held: str | None) -> Entry:
        override = (self._overrides or {}).get(account)
        return Entry(
            account=account,
            scorer=self._scorer.name,
            as_of=as_of,
            at=self._now,
            run_id=self._run_id,
            scorer_version=self._scorer.version,
            config_digest=self._digest,
            band=override.band if override else result.band,
            held=held,
            score=result,
            inputs=inputs,
        )


def _ask(scorer: Scorer, frame: Frame, previous: Mapping[str, Score]) -> tuple[dict[str, Score], dict[str, str]]:
    """Return valid scores, and for the other accounts what is wrong."""
    results: dict[str, Score] = {}
    problems: dict[str, str] = {}
    if not len(frame):
        return results, problems
    try:
        given = list(scorer.score(frame, previous))
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is reported by its name
        if len(frame) == 1:
            return {}, {frame.accounts[0]: redact_exception(error)}
        for row in frame.rows():  # find out which account it is
            one, bad = _ask(scorer, row.frame(), previous)
            results |= one
            problems |= bad
        return results, problems
    wanted = set(frame.accounts)
    for item in given:
        exact = _normal(item)
        if exact is None or exact.account not in wanted:
            return {}, dict.fromkeys(frame.accounts, "it returned something that is no score of an account it was asked for")
        problem = "it returned two scores" if exact.account in results else _violation(scorer, exact)
        if problem:
            problems[exact.account] = problem
        results[exact.account] = exact
    problems |= dict.fromkeys(sorted(wanted - results.keys()), "it returned no score")
    return {account: exact for account, exact in results.items() if account not in problems}, problems


def _normal(item: Score) -> Score | None:
    """Return a score as it will be read back, or None for what cannot be stored as one."""
    try:
        return msgspec.json.decode(msgspec.json.encode(item), type=Score)
    except (msgspec.MsgspecError, TypeError, ValueError):
        return None


def _violation(scorer: Scorer, item: Score) -> str | None:
    """Say which rule of `Score` is broken."""
    if not 0 <= item.coverage <= 1:
        return f"coverage {item.coverage} is not within 0 and 1"
    if item.value is None:
        return None if item.band is None else f"band {item.band!r} without a score"
    low, high = scorer.range
    if not (item.value.is_finite() and low <= item.value <= high):
        return f"score {item.value} is not within {low} and {high}"
    if item.band not in (scorer.bands or (None,)):
        return f"unknown band {item.band!r}"
    total = item.reference
    for part in item.contributions:
        if not part.points.is_finite() or part.points != round(part.points, 2):
            return f"{part.points} points of {part.measure} have more than two decimals"
        total += part.points
    return None if total == item.value else f"contributions end at {total}, not at the score {item.value}"


def _with_scores(reader: Reader, name: str, frame: Frame, entries: Mapping[str, Entry | Standing], now: int) -> Frame:
    """Add one scorer's columns."""
    past = history.standings(reader, name, frame.accounts, frame.as_of.isoformat(), earlier=True)
    overridden = overrides.active(reader, name, now)
    stale: dict[str, dict[int, Gap]] = {suffix: {} for suffix in ("", "_band", "_band_before", "_coverage")}
    cells: dict[str, list[Value]] = {suffix: [] for suffix in stale}
    for index, account in enumerate(frame.accounts):
        entry = entries.get(account)
        override = overridden.get(account)
        held = entry is not None and entry.held is not None
        value = None if entry is None or held else entry.score.value
        computed = None if entry is None or held else entry.score.band
        row: dict[str, Value] = {
            "": None if value is None else _plain(value),
            "_band": override.band if override else computed,
            "_band_before": None if account not in past or (held and not override) else past[account].band,
            "_coverage": None if entry is None or held else entry.score.coverage,
        }
        for suffix, cell in row.items():
            cells[suffix].append(cell)
            if held and cell is None:
                stale[suffix][index] = "stale"
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
