"""What a distribution requires and the environment does not have: found before it shows as a crash in the night."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution


@dataclass(frozen=True, slots=True)
class Unmet:
    """One requirement that is not met.

    Attributes:
        requirement: As the distribution states it: ``stripe<17,>=16``.
        installed: The version that is installed instead; None for none.
    """

    requirement: str
    installed: str | None

    def __str__(self) -> str:
        there = f"{self.installed} is installed" if self.installed else "it is not installed"
        return f"it requires {self.requirement}, and {there}"


def unmet(name: str) -> list[Unmet]:
    """Return the requirements of a distribution that are not met here; those of its extras are left to whoever uses them."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        texts = distribution(name).requires or []
    except PackageNotFoundError:
        return []
    found = []
    for text in texts:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            found.append(Unmet(f"{text!r}, which no installer understands", None))
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version: str | None = distribution(requirement.name).version
        except PackageNotFoundError:
            version = None
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            found.append(Unmet(f"{requirement.name}{requirement.specifier}", version))
    return found
