"""What an opinion about accounts subclasses: `Scorer`, or `AccountScorer` for the simple case.

A scorer is pure in (frame, its own config, the previous score). It reads no clock, no store and no network: that is what
makes every past score reproducible. Higher is always healthier; a *risk* is named risk.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

import msgspec

from wellkept.frame import Column, Frame, Row, Value


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a score.

    Attributes:
        measure: The column it comes from.
        group: The dimension that the measure belongs to, such as ``billing``.
        value: The cell as it was.
        points: What it adds to the score, or takes from it. Exact, at most two decimals.
        text: The reason in words, with the figure: ``2 failed payments in 30 days``.
        weight: Its effective share of the score, 0 to 1, after missing data were left out and old data faded.
    """

    measure: str
    group: str
    value: Value
    points: Decimal
    text: str
    weight: float = 0.0


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One account's score with its explanation.

    Core refuses a score for which ``reference + sum(points) == value`` does not hold exactly, whose value lies outside
    `Scorer.range`, or whose band is not one of `Scorer.bands`.

    Attributes:
        account: The canonical account id.
        value: The score; None means *not scored*, with `note` saying why.
        band: The name of the band, such as ``red``; None when not scored.
        coverage: The share of the scorecard's weight for which there were data, 0 to 1.
        reference: Where the contributions start from.
        contributions: Largest effect first.
        note: What a reader must know beside the figures: ``not scored: coverage 0.35``.
        carry: Plain data that the next call gets back (how long a band has been crossed, say).
    """

    account: str
    value: Decimal | None
    band: str | None
    coverage: float
    reference: Decimal = Decimal(0)
    contributions: Sequence[Contribution] = ()
    note: str | None = None
    carry: Mapping[str, Value] = {}


class Scorer(ABC):
    """Turns a frame into scores. Return instances from the `scorers` hook.

    A scorer named ``health`` adds the columns ``health``, ``health_band``, ``health_band_before`` and
    ``health_coverage`` to the frame that policies and `[[push]]` see.

    Core computes the effect of stale data itself: an account for which a column in `uses` is stale or anomalous keeps
    its previous score, marked held, and is not shown to the scorer. Core applies a person's override after the scorer, and
    shows it beside the computed value.
    """

    name: str
    """Unique among all scorers: an identifier, as its columns are named after it."""
    version: ClassVar[str]
    """Raise it whenever the same inputs may give another score; it is kept in history."""
    range: ClassVar[tuple[Decimal, Decimal]] = (Decimal(0), Decimal(100))
    bands: ClassVar[tuple[str, ...]] = ()
    """Worst first, such as ``("red", "yellow", "green")``."""

    @property
    @abstractmethod
    def uses(self) -> frozenset[str]:
        """The columns that it reads. Core checks that they exist."""

    @abstractmethod
    def score(self, frame: Frame, previous: Mapping[str, Score]) -> Iterable[Score]:
        """Return one score per account of the frame.

        Args:
            frame: The accounts to score, with the columns in `uses` alone. Core hands out a few hundred at a time: look at
                each on its own, or a past score cannot be computed again.
            previous: Each account's last score of an *earlier* day, if there is one; so scoring a day twice changes nothing.
        """

    def bind(self, columns: Mapping[str, Column]) -> None:
        """Look at the columns once, before the first frame, and complain early.

        Raises:
            ConfigError: A column has a unit that the scorer cannot use.
        """
        del columns


class AccountScorer(Scorer):
    """A scorer that looks at one account at a time: implement `score_account` alone."""

    @abstractmethod
    def score_account(self, row: Row, previous: Score | None) -> Score:
        """Return the score of one account."""

    def score(self, frame: Frame, previous: Mapping[str, Score]) -> Iterable[Score]:
        """Call `score_account` for every row."""
        for row in frame.rows():
            yield self.score_account(row, previous.get(row.account))
