"""What a plugin's command sees of the installation: the frame, scores and records, read-only.

```python
@click.command()
@pass_installation
def report(installation: Installation) -> None:
    for row in installation.frame().rows():
        ...
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from wellkept.records import Record
from wellkept.scorer import Score

if TYPE_CHECKING:
    from wellkept.frame import Frame
    from wellkept.runtime import Runtime

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound=Record)


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """An account's newest score.

    Attributes:
        account: The canonical account id.
        scorer: The scorer's name.
        as_of: The day that it holds for, ISO.
        at: When it was computed, epoch ms.
        band: The band in force: a person's override while it lasts, else the computed one.
        held: Why the score is an earlier one that was kept; None when it was computed.
        score: The score with its explanation.
    """

    account: str
    scorer: str
    as_of: str
    at: int
    band: str | None
    held: str | None
    score: Score


class Installation:
    """A read-only view of an open installation; commands get one from `pass_installation`.

    Attributes:
        zone: The configured zone, which decides where a day ends.
        record_types: All record types by name, those of plugins included.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.zone = ZoneInfo(runtime.settings.wellkept.timezone)
        self.record_types: Mapping[str, type[Record]] = runtime.record_types

    def names(self) -> Mapping[str, str | None]:
        """Return what people call each account, by canonical id."""
        from wellkept.store import accounts

        with self._runtime.store.read() as reader:
            return {row.id: row.name for row in accounts.accounts(reader)}

    def frame(self) -> Frame:
        """Return the measures and scores of all accounts, as they were computed last.

        Raises:
            StoreError: Nothing was ever measured.
        """
        from wellkept.steps import Steps

        return Steps(self._runtime).frame()

    def scores(self) -> Iterator[Scored]:
        """Yield the newest score of each account and scorer, as they were computed last; see `frame` for errors."""
        from wellkept.store import scores

        frame = self.frame()
        for name in self._runtime.scorers:
            for accounts in _slices(frame.accounts):
                with self._runtime.store.read() as reader:
                    found = scores.latest(reader, name, accounts, frame.as_of.isoformat())
                for account in sorted(found):
                    entry = found[account]
                    yield Scored(
                        account=account,
                        scorer=name,
                        as_of=entry.as_of,
                        at=entry.at,
                        band=entry.band,
                        held=entry.held,
                        score=entry.score,
                    )

    def records(self, type_: type[R]) -> Iterator[tuple[str, str | None, R]]:
        """Yield (instance, canonical account or None, record) for all records of a type, deleted ones left out.

        They come as they are read, so that a large table needs no memory.
        """
        tables = self._runtime.tables
        shape = tables.shape(type_)
        with self._runtime.store.read() as reader:
            rows = reader.rows(
                f"SELECT t.instance, {tables.account_sql(type_, 't')}, {shape.select('t')} FROM {shape.table} t"  # noqa: S608
                " WHERE t.deleted = 0 ORDER BY t.instance, t.id"
            )
            for instance, account, *values in rows:
                yield instance, account, shape.record(values)


def pass_installation(command: Callable[Concatenate[Installation, P], T]) -> Callable[P, T]:
    """Give a plugin's command the open `Installation` as its first argument; it is closed when the command ends."""

    @wraps(command)
    def opened(*args: P.args, **kwargs: P.kwargs) -> T:
        import click

        from wellkept.cli.app import App

        with click.get_current_context().ensure_object(App).runtime() as runtime:
            return command(Installation(runtime), *args, **kwargs)

    return opened


def _slices(accounts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (accounts[start : start + 500] for start in range(0, len(accounts), 500))
