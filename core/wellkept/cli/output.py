"""What commands print: Rich tables and progress on a terminal, aligned plain lines elsewhere, one JSON document on request."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TextIO

Cell = str | int | float | None
Tone = Literal["good", "bad", "warn", "dim", "bold"]

_STYLES: Mapping[Tone, str] = {"good": "green", "bad": "red", "warn": "yellow", "dim": "dim", "bold": "bold"}


class Output:
    """Prints for people or for programs. Results go to stdout; notes, progress and errors to stderr.

    Args:
        as_json: Print nothing to stdout but one JSON document.
        color: Whether colours may be used on a terminal.
        stdout: Where results go.
        stderr: Where everything else goes.
    """

    def __init__(
        self, *, as_json: bool = False, color: bool = True, stdout: TextIO | None = None, stderr: TextIO | None = None
    ) -> None:
        self.as_json = as_json
        self._color = color
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self._printed = False

    @property
    def rich(self) -> bool:
        """Whether stdout is a terminal that a person looks at."""
        return not self.as_json and self._stdout.isatty()

    def document(self, value: Any) -> None:
        """Give the whole result as plain data: printed with ``--json``, else ignored. Once per command."""
        if not self.as_json:
            return
        if self._printed:
            raise RuntimeError("a command prints one JSON document")
        self._printed = True
        self._stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")

    @property
    def has_document(self) -> bool:
        """Whether the JSON document was printed."""
        return self._printed

    def line(self, text: str = "", tone: Tone | None = None) -> None:
        """Print a line for people; nothing with ``--json``."""
        if not self.as_json:
            self._write(self._stdout, text, tone)

    def note(self, text: str, tone: Tone | None = None) -> None:
        """Print a line to stderr, with ``--json`` as well."""
        self._write(self._stderr, text, tone)

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        *,
        title: str | None = None,
        tones: Sequence[Tone | None] | None = None,
    ) -> None:
        """Print a table for people; nothing with ``--json``.

        Args:
            columns: Headings.
            rows: Cells; numbers are aligned to the right, None is shown as ``-``.
            title: A line above it.
            tones: One tone per row.
        """
        if self.as_json:
            return
        if self.rich:
            self._rich_table(columns, rows, title, tones)
            return
        for text in plain_table(columns, rows, title):
            self._stdout.write(text + "\n")

    @contextmanager
    def progress(self, label: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Show how work goes on; yields a function to call with how much was done.

        A bar on a terminal; elsewhere nothing, so that logs stay short.
        """
        if self.as_json or not self._stderr.isatty():
            yield lambda _done: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console(self._stderr), transient=True) as bar:
            task = bar.add_task(clean(label), total=total)
            yield lambda done: bar.advance(task, done)

    def _write(self, stream: TextIO, text: str, tone: Tone | None) -> None:
        text = "\n".join(clean(line) for line in text.split("\n"))
        if tone and self._color and stream.isatty():
            import click

            text = click.style(text, **_click_style(tone))
        stream.write(text + "\n")

    def _console(self, stream: TextIO) -> Any:
        from rich.console import Console

        return Console(file=stream, no_color=not self._color, highlight=False, emoji=False, markup=False)

    def _rich_table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        title: str | None,
        tones: Sequence[Tone | None] | None,
    ) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(clean(title), "bold") if title else None, box=SIMPLE_HEAD, title_justify="left")
        for index, name in enumerate(columns):
            right = any(isinstance(row[index], (int, float)) for row in rows)
            table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
        for index, row in enumerate(rows):
            tone = tones[index] if tones else None
            table.add_row(*(Text(show(cell)) for cell in row), style=_STYLES[tone] if tone else None)
        self._console(self._stdout).print(table)


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], title: str | None = None) -> list[str]:
    """Return a table as lines whose columns stand one below the other, CJK text included."""
    texts = [[show(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(columns, *texts, strict=True)]
    right = [any(isinstance(row[index], (int, float)) for row in rows) for index in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        padded = []
        for cell, wide, to_the_right in zip(cells, widths, right, strict=True):
            blanks = " " * (wide - width(cell))
            padded.append(blanks + cell if to_the_right else cell + blanks)
        return "  ".join(padded).rstrip()

    return [*([clean(title)] if title else []), line(columns), *map(line, texts)]


def show(cell: Cell) -> str:
    """Return a cell's text on one line."""
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, (int, float)):
        return f"{cell:,}"
    return clean(cell)


def clean(text: str) -> str:
    """Return text without control characters: what a vendor sent must not move our cursor or colour our screen."""
    if text.isprintable():
        return text
    return "".join(" " if char in "\n\r\t" else char for char in text if char in "\n\r\t" or not _moves(char))


def _moves(char: str) -> bool:
    """Say whether a character is a control, half of a pair, or changes the direction of writing."""
    return unicodedata.category(char) in {"Cc", "Cs"} or char in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for wide characters, none for combining ones."""
    from rich.cells import cell_len

    return cell_len(text)


def _click_style(tone: Tone) -> dict[str, Any]:
    if tone in {"dim", "bold"}:
        return {tone: True}
    return {"fg": _STYLES[tone]}
