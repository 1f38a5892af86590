"""What the steps that read a frame share: which columns a plugin sees, which accounts are on hold, how failures are told."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from wellkept.frame import Column, Frame, Gap
from wellkept.redact import redact_exception

T = TypeVar("T")

SLICE = 500
"""Accounts that are worked on at a time, so that memory stays flat beside the frame."""

HOLDING: frozenset[Gap] = frozenset({"stale", "anomaly"})
"""Gaps that say that the data are not believed; the others say that there are none."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin's object that did not do its work.

    Attributes:
        instance: The plugin instance.
        name: The scorer, policy or push.
        message: What went wrong, redacted.
        subjects: The accounts or records concerned; empty means all of them.
    """

    instance: str
    name: str
    message: str
    subjects: tuple[str, ...] = ()


def slices(items: Sequence[T], size: int = SLICE) -> Iterator[Sequence[T]]:
    """Cut a sequence into parts of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def held(frame: Frame) -> dict[str, str]:
    """Return the accounts for which any cell is not believed, and why."""
    found: dict[int, list[str]] = {}
    for name in sorted(frame.columns):
        for index, gap in frame.gaps(name).items():
            if gap in HOLDING:
                word = "stale" if gap == "stale" else "anomalous"
                found.setdefault(index, []).append(f"{name} is {word}")
    return {frame.accounts[index]: ", ".join(reasons) for index, reasons in found.items()}


def no_column(name: str, columns: Collection[str]) -> str:
    """Say that a column is missing, and which one may have been meant."""
    near = difflib.get_close_matches(name, list(columns), n=1)
    return f"there is no column {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def unusable(uses: Collection[str], bind: Callable[[Mapping[str, Column]], None], frame: Frame) -> str | None:
    """Say why a plugin's object cannot look at a frame at all: a missing column, or one that it cannot use."""
    missing = sorted(set(uses) - frame.columns.keys())
    if missing:
        return no_column(missing[0], frame.columns)
    try:
        bind({name: frame.columns[name] for name in sorted(uses)})
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is reported by its name
        return redact_exception(error)
    return None
