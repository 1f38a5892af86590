"""What scorers answer: asked for, held against the rules of `Score`, and written as it will be stored."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from typing import NamedTuple

import msgspec

from wellkept.frame import Frame
from wellkept.redact import redact_exception
from wellkept.scorer import Contribution, Score, Scorer

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Score)
_CENT = Decimal("0.01")
_PLAIN = {int, str, bool, type(None)}
_NUMBER, _TEXT = {Decimal, type(None)}, {str, type(None)}


class Answer(NamedTuple):
    """A score as it is read back, and as JSON."""

    score: Score
    body: str


def ask(scorer: Scorer, frame: Frame, previous: Mapping[str, Score]) -> tuple[dict[str, Answer], dict[str, str]]:
    """Return valid scores, and for the other accounts what is wrong."""
    results: dict[str, Answer] = {}
    problems: dict[str, str] = {}
    if not len(frame):
        return results, problems
    try:
        given = [read_back(item) for item in scorer.score(frame, previous)]
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is reported by its name
        if len(frame) == 1:
            return {}, {frame.accounts[0]: redact_exception(error)}
        for row in frame.rows():  # find out which account it is
            one, bad = ask(scorer, row.frame(), previous)
            results |= one
            problems |= bad
        return results, problems
    wanted = set(frame.accounts)
    for answer in given:
        if answer is None or answer.score.account not in wanted:
            return {}, dict.fromkeys(frame.accounts, "it returned something that is no score of an account it was asked for")
        account = answer.score.account
        problem = "it returned two scores" if account in results else _violation(scorer, answer.score)
        if problem:
            problems[account] = problem
        results[account] = answer
    problems |= dict.fromkeys(sorted(wanted - results.keys()), "it returned no score")
    return {account: answer for account, answer in results.items() if account not in problems}, problems


def read_back(item: Score) -> Answer | None:
    """Return a score as it will be read back, or None for what cannot be stored as one."""
    try:
        body = _ENCODER.encode(item)
        if not _exact(item):
            item = _DECODER.decode(body)
            body = _ENCODER.encode(item)
    except (msgspec.MsgspecError, OverflowError, TypeError, ValueError):
        return None
    return Answer(item, body.decode())


def _exact(item: Score) -> bool:
    """Say whether a score is what reading it back would make of it: nearly all are, and reading takes long."""
    if type(item) is not Score or type(item.contributions) is not list or type(item.carry) is not dict:
        return False
    for part in item.contributions:
        if not (
            type(part) is Contribution
            and type(part.measure) is type(part.group) is type(part.text) is str
            and type(part.points) is Decimal
            and type(part.weight) is float
            and isfinite(part.weight)
            and (type(part.value) in _PLAIN or _exact_value(part.value))
        ):
            return False
    return (
        type(item.account) is str
        and type(item.reference) is Decimal
        and type(item.value) in _NUMBER
        and type(item.band) in _TEXT
        and type(item.note) in _TEXT
        and type(item.coverage) is float
        and isfinite(item.coverage)
        and all(type(name) is str and _exact_value(value) for name, value in item.carry.items())
    )


def _exact_value(value: object) -> bool:
    return type(value) in _PLAIN or (type(value) is float and isfinite(value))


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
    points = [part.points for part in item.contributions]
    if not all(map(_CENT.same_quantum, points)):
        for part in item.contributions:
            if not (part.points.is_finite() and part.points == round(part.points, 2)):
                return f"{part.points} points of {part.measure} have more than two decimals"
    total = sum(points, item.reference)
    return None if total == item.value else f"contributions end at {total}, not at the score {item.value}"
