"""Rows of one file, one after the other, each with the place after it, so that reading can go on inside of a file."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from wellkept.errors import ConfigError, FatalError
from wellkept_files.config import FileStream

CHUNK = 256 * 1024
LONGEST_LINE = 16 * 1024 * 1024
"""Bytes. A file without line ends must not fill the memory."""

SHOWN = 64 * 1024
"""Bytes of a bad row that are kept."""


class Place(NamedTuple):
    """Where reading goes on: a byte of a text file or a row of a Parquet file, and how many lines or rows come before it."""

    offset: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands in a file.

    Attributes:
        line: Its line, from 1; in Parquet its row.
        place: The place after it.
        raw: Its bytes, for the dead letters.
        cells: By column; None for a row that cannot be taken apart.
        problem: Why it cannot.
        ended: Whether a line end follows; without one, more may be written to it.
    """

    line: int
    place: Place
    raw: bytes
    cells: Mapping[str, Any] | None
    problem: str | None = None
    ended: bool = True


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    raw: bytes
    place: Place
    ended: bool


def rows(path: Path, stream: FileStream, columns: Sequence[str], start: Place, *, growing: bool = False) -> Generator[Row]:
    """Yield the rows of a file from a place on.

    Args:
        path: The file.
        stream: How it is written.
        columns: The columns that are wanted; all must be there.
        start: The place.
        growing: Somebody is writing at its end: a last line without an end is left for later.

    Raises:
        FatalError: The file as a whole is not what the configuration says.
        ConfigError: Parquet files need a library that is missing.
        OSError: It cannot be read.
    """
    if stream.kind == "parquet":
        yield from _parquet(path, columns, start)
        return
    with path.open("rb") as file:
        if stream.kind == "csv":
            yield from _csv(path, file, stream, columns, start, growing=growing)
        else:
            yield from _json_lines(path, file, stream, start, growing=growing)


# --- text ---


def _lines(path: Path, file: BinaryIO, encoding: str, start: Place) -> Iterator[_Line]:
    """Yield lines with the place after each. Bytes that are no text become lone surrogates, which no cell may hold."""
    codec, mark = _codec(encoding)
    end = "\n".encode(codec)
    width = len(end)
    file.seek(start.offset)
    offset, line, rest = start.offset, start.line, b""
    while piece := file.read(CHUNK):
        rest += piece
        at = begin = 0
        while (at := rest.find(end, at)) >= 0:
            if at % width:  # half of one character and half of the next
                at += 1
                continue
            raw, at = rest[begin : at + width], at + width
            offset, line, begin = offset + len(raw), line + 1, at
            yield _Line(_decode(raw, codec, mark if line == 1 else b""), raw, Place(offset, line), ended=True)
        rest = rest[begin:]
        if len(rest) > LONGEST_LINE:
            raise FatalError(f"{path.name}: line {line + 1} is longer than {LONGEST_LINE >> 20} MiB")
    if rest:
        last = Place(offset + len(rest), line + 1)
        yield _Line(_decode(rest, codec, mark if line == 0 else b""), rest, last, ended=False)


def _codec(encoding: str) -> tuple[str, bytes]:
    """Return the codec of lines, and the mark that may stand before the first one."""
    name = codecs.lookup(encoding).name
    if name in {"utf-8", "utf-8-sig"}:
        return "utf-8", codecs.BOM_UTF8
    return name, "\ufeff".encode(name) if name.startswith("utf-") else b""


def _decode(raw: bytes, codec: str, mark: bytes) -> str:
    if mark:
        raw = raw.removeprefix(mark)
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return raw.decode("ascii", "surrogateescape")


def _csv(
    path: Path, file: BinaryIO, stream: FileStream, columns: Sequence[str], start: Place, *, growing: bool
) -> Iterator[Row]:
    names = stream.columns
    first = start
    if names is None:
        header = next(_records(path, file, stream, Place()), None)
        if header is None or header.cells is None:
            raise FatalError(f"{path.name}: there is no readable first line with the names of the columns")
        names = [name.strip() for name in header.cells]
        first = max(start, header.place)
    _look(path, names, columns)
    for record in _records(path, file, stream, first):
        if growing and not record.ended:
            return
        line, cells = record.line, record.cells
        if cells is None or len(cells) != len(names):
            problem = record.problem or f"{len(cells or ())} cells under {len(names)} columns"
            yield Row(line, record.place, record.raw, None, problem, record.ended)
        else:
            yield Row(line, record.place, record.raw, dict(zip(names, cells, strict=True)), None, record.ended)


@dataclass(frozen=True, slots=True)
class _Record:
    line: int
    cells: list[str] | None
    raw: bytes
    place: Place
    ended: bool
    problem: str | None = None


def _records(path: Path, file: BinaryIO, stream: FileStream, start: Place) -> Iterator[_Record]:
    """Yield CSV records; a quoted cell may go over several lines.

    What is broken costs one line: reading goes on at the line after the one where the broken record began.
    """
    while True:
        held: list[_Line] = []

        def feed(source: Iterator[_Line], held: list[_Line] = held) -> Iterator[str]:
            for line in source:
                held.append(line)
                yield line.text

        reader = csv.reader(feed(_lines(path, file, stream.encoding, start)), delimiter=stream.separator, strict=True)
        broken: _Record | None = None
        while broken is None:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                line = held[0]
                ended = held[-1].ended and "unexpected end" not in str(error)  # else somebody may be writing it just now
                broken = _Record(line.place.line, None, line.raw[:SHOWN], line.place, ended, f"not CSV: {error}")
                continue
            last = held[-1]
            if cells:
                raw = b"".join(line.raw for line in held)[:SHOWN]
                yield _Record(held[0].place.line, cells, raw, last.place, last.ended)
            held.clear()
        yield broken
        start = broken.place


def _json_lines(path: Path, file: BinaryIO, stream: FileStream, start: Place, *, growing: bool) -> Iterator[Row]:
    decoder = msgspec.json.Decoder(float_hook=Decimal)
    for line in _lines(path, file, stream.encoding, start):
        if growing and not line.ended:
            return
        if not line.text.strip():
            continue
        cells, problem = None, None
        try:
            cells = decoder.decode(line.text.encode())
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            problem = "bytes that are not text" if isinstance(error, UnicodeEncodeError) else f"not JSON: {error}"
        if problem is None and not isinstance(cells, dict):
            cells, problem = None, f"a JSON {type(cells).__name__}, not an object"
        yield Row(line.place.line, line.place, line.raw[:SHOWN], cells, problem, line.ended)


def _look(path: Path, names: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse a file whose columns are not those that are wanted."""
    double = sorted({name for name in names if name in wanted and names.count(name) > 1})
    if double:
        raise FatalError(f"{path.name}: several columns are called {', '.join(map(repr, double))}")
    missing = [name for name in wanted if name not in names]
    if missing:
        raise FatalError(
            f"{path.name}: there is no column {', '.join(map(repr, missing))}",
            guidance=f"it has {', '.join(map(repr, names[:40]))}; mend the mapping, or look at `delimiter` and `encoding`",
        )


# --- Parquet ---


def _parquet(path: Path, columns: Sequence[str], start: Place) -> Iterator[Row]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ConfigError("reading Parquet needs pyarrow", guidance="pip install 'wellkept-files[parquet]'") from None
    try:
        with pq.ParquetFile(path) as file:
            tops = list(dict.fromkeys(_top(name, file.schema_arrow.names) for name in columns))
            _look(path, file.schema_arrow.names, tops)
            number = 0
            for group in range(file.metadata.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                if number + count <= start.offset:
                    number += count
                    continue
                for batch in file.iter_batches(batch_size=1000, row_groups=[group], columns=tops):
                    for cells in batch.to_pylist():
                        number += 1
                        if number > start.offset:
                            raw = msgspec.json.encode(cells, enc_hook=str)[:SHOWN]
                            yield Row(number, Place(number, number), raw, cells)
    except pa.ArrowInvalid as error:
        raise FatalError(f"{path.name}: not a Parquet file: {str(error).splitlines()[0]}") from None


def _top(name: str, names: Sequence[str]) -> str:
    """Return the column that a name, perhaps with a path of dots into it, belongs to."""
    return name if name in names else name.partition(".")[0]
