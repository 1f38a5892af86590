"""``wellkept files export``: frame, scores and records as files for Excel, Tableau and whoever else reads tables."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from wellkept import Installation, pass_installation
from wellkept.errors import ConfigError

Format = Literal["csv", "xlsx", "parquet"]


def _options(command: click.decorators.FC) -> click.decorators.FC:
    choice = click.Choice(["csv", "xlsx", "parquet"])
    where = click.Path(path_type=Path, dir_okay=False)
    command = click.option("-o", "--output", type=where, help="The file.  [default: wellkept-WHAT.FORMAT]")(command)
    return click.option("-f", "--format", "format_", type=choice, help="By the ending of --output, else csv.")(command)


@click.group("export")
def export() -> None:
    """Write frame, scores or records as CSV for Excel, XLSX, or Parquet for Tableau."""


@export.command("frame")
@_options
@pass_installation
def frame(installation: Installation, output: Path | None, format_: Format | None) -> None:
    """One row for each account, with all measures and scores."""
    _write(installation, "frame", None, output, format_)


@export.command("scores")
@_options
@pass_installation
def scores(installation: Installation, output: Path | None, format_: Format | None) -> None:
    """One row for each account and scorer, with its reasons."""
    _write(installation, "scores", None, output, format_)


@export.command("records")
@click.argument("type_name", metavar="TYPE")
@_options
@pass_installation
def records(installation: Installation, type_name: str, output: Path | None, format_: Format | None) -> None:
    """All records of one TYPE, such as invoice or stripe.price, with the accounts that they belong to."""
    _write(installation, "records", type_name, output, format_)


def _write(installation: Installation, what: str, record: str | None, output: Path | None, format_: Format | None) -> None:
    from wellkept_files.exports import table_of
    from wellkept_files.writers import WRITERS, write

    path = output or Path(f"wellkept-{record or what}.{format_ or 'csv'}")
    if format_ is not None and path.suffix.lower() != f".{format_}":
        raise click.UsageError(f"--output {path} does not end with .{format_}.")
    if path.suffix.lower() not in WRITERS:
        raise click.UsageError(f"--output must end with {', '.join(WRITERS)}; or give --format.")
    try:
        table = table_of(installation, what, record)
    except ConfigError as error:
        raise click.UsageError(str(error)) from None
    count = write(table, path, installation.zone)
    click.echo(f"{path}: {count} row{'' if count == 1 else 's'}")
