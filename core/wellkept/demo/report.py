"""What the demo did, and whether it is what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wellkept.pipeline.report import RunReport
from wellkept.portrait import Standing
from wellkept.testing.links import LinkReport
from wellkept.testing.simulation import Happening, Receipt


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that must be so.

    Attributes:
        what: What is compared.
        expected: The accounts it should be about; or a number, as text.
        found: The accounts it was about.
    """

    what: str
    expected: frozenset[str]
    found: frozenset[str]

    @property
    def differences(self) -> list[str]:
        """What is not as it should be, in words."""
        return [
            *(f"{self.what}: nothing about {item}" for item in sorted(self.expected - self.found)),
            *(f"{self.what}: unexpectedly about {item}" for item in sorted(self.found - self.expected)),
        ]


@dataclass(kw_only=True)
class DemoReport:
    """What the demo did.

    Attributes:
        runs: The two runs.
        happenings: What happened between them, by instance.
        received: What each instance's vendor received in the second run.
        premature: What was received before anything happened; must be empty.
        names: What people call a vendor's customer, by instance and the vendor's id.
        bystanders: Things that happened to records of nobody who is a customer, as far as the links tell.
        risks: The ten accounts most at risk.
        checks: What was compared.
        links: How good the links are, held against the truth.
        waited: Seconds for which rate limits made the demo's time pass.
        seconds: How long it took.
    """

    runs: list[RunReport] = field(default_factory=list)
    happenings: Mapping[str, Sequence[Happening]] = field(default_factory=dict)
    received: Mapping[str, Sequence[Receipt]] = field(default_factory=dict)
    premature: Sequence[Receipt] = ()
    names: Mapping[tuple[str, str], str] = field(default_factory=dict)
    bystanders: int = 0
    risks: Sequence[Standing] = ()
    checks: Sequence[Check] = ()
    links: LinkReport | None = None
    waited: float = 0.0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether what was pushed, mailed and given to people equals what happened, to the last account."""
        return bool(self.checks) and not self.differences

    @property
    def differences(self) -> list[str]:
        """What is not as it should be, in words."""
        early = [f"before anything happened, {item.subject} got: {item.text}" for item in self.premature]
        return early + [line for check in self.checks for line in check.differences]
