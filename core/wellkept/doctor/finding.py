"""What the doctor finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from wellkept.redact import redact_text

Grade = Literal["ok", "note", "warn", "bad"]
"""``note`` is worth knowing, ``warn`` will become trouble, ``bad`` is trouble."""

GRADES: tuple[Grade, ...] = get_args(Grade)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: ``machine``, ``plugins``, ``configuration``, ``store``, ``work``, ``alerts``, or ``instance NAME``.
        name: What it is.
        grade: How it is.
        message: What was found.
        mend: What to do, with the command where there is one; None where there is nothing to do.
    """

    area: str
    name: str
    grade: Grade
    message: str
    mend: str | None = None

    def document(self) -> dict[str, Any]:
        """Return it as plain data, redacted."""
        return {key: redact_text(value) if isinstance(value, str) else value for key, value in asdict(self).items()}


def worst(findings: Iterable[Finding]) -> Grade:
    """Return the gravest grade; ``ok`` when there is nothing."""
    return max((finding.grade for finding in findings), key=GRADES.index, default="ok")
