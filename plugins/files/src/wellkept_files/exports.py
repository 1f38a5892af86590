"""Exports: frame, scores or records as a file, on command or at the end of a run."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wellkept import Installation, Job
from wellkept.errors import ConfigError, RetryableError
from wellkept_files.tables import Table, frame_table, records_table, scores_table
from wellkept_files.writers import write

if TYPE_CHECKING:
    from wellkept_files.config import Export


class ExportJob(Job):
    """Writes one file.

    Args:
        name: The job's name.
        export: What to write, and where.
    """

    def __init__(self, name: str, export: Export) -> None:
        self.name = name
        self.doc = f"Writes {export.record or export.what} to {export.path.name}."
        self._export = export

    def perform(self, installation: Installation) -> int:
        """Write the file, whole or not at all, and return how many rows it has.

        Raises:
            ConfigError: There is no such folder or record type.
            RetryableError: The file cannot be written.
        """
        export = self._export
        try:
            return write(table_of(installation, export.what, export.record), export.path, installation.zone)
        except OSError as error:
            raise RetryableError(f"{export.path.name} cannot be written: {error.strerror}") from error


def named(exports: Sequence[Export]) -> Iterator[tuple[str, Export]]:
    """Yield each export with the name of its job: what it writes, and its number where there are several of that."""
    count: dict[str, int] = {}
    for export in exports:
        count[export.what] = number = count.get(export.what, 0) + 1
        yield (export.what if number == 1 else f"{export.what}-{number}"), export


def table_of(installation: Installation, what: str, record: str | None = None) -> Table:
    """Return what is to be written.

    Args:
        installation: Where it comes from.
        what: ``frame``, ``scores`` or ``records``.
        record: The record type of ``records``.

    Raises:
        ConfigError: There is no such record type; names the nearest.
    """
    if what == "frame":
        return frame_table(installation)
    if what == "scores":
        return scores_table(installation)
    types = installation.record_types
    if record is None or record not in types:
        near = difflib.get_close_matches(str(record), list(types), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(types))}"
        raise ConfigError(f"there is no record type {record!r}", guidance=hint)
    return records_table(installation, types[record])
