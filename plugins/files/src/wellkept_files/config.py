"""The keys of a ``[plugins.files]`` table."""

from __future__ import annotations

import codecs
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from wellkept import LocalPath
from wellkept_files.mapping import Mapping

Format = Literal["csv", "jsonl", "parquet"]

ENDINGS = (".csv", ".xlsx", ".parquet")
"""What can be written."""

SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}


class FileStream(Mapping):
    """``[[plugins.files.streams]]``: some files of one shape, and what their rows are."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
    """The stream's name."""
    path: Annotated[str, Field(min_length=1)]
    """Files below `folder`: a name, or a pattern such as ``exports/customers-*.csv`` or ``**/*.jsonl``."""
    mode: Literal["snapshot", "latest", "append"]
    """``snapshot``: all matching files together are everything there is, and what they lack is gone. ``latest``: likewise, but
    only the file whose name sorts last counts. ``append``: files are added or grow, and no row ever goes."""
    format: Format | None = None
    """By the file's ending, unless it is named."""
    encoding: str = "utf-8-sig"
    """Of text files; the default is UTF-8, with or without a mark at its beginning."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Between the cells of CSV; a tab for ``.tsv``, else a comma."""
    columns: list[str] | None = None
    """Names of the columns of CSV files whose first line is a row already."""

    @field_validator("path")
    @classmethod
    def _below_the_folder(cls, value: str) -> str:
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("write a path below `folder`, without ..")
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "\n".encode(codecs.lookup(value).name)
        except (LookupError, TypeError, UnicodeError):
            raise ValueError(f"there is no text encoding {value!r}; write utf-8, cp1252, utf-16-le, ...") from None
        if codecs.lookup(value).name in {"utf-16", "utf-32"}:
            raise ValueError(f"say the order of its bytes: {value}-le or {value}-be (files from Windows: -le)")
        return value

    @model_validator(mode="after")
    def _known_format(self) -> FileStream:
        if self.format is None and PurePosixPath(self.path).suffix.lower() not in SUFFIXES:
            raise ValueError('the ending of `path` does not tell the format; add format = "csv", "jsonl" or "parquet"')
        return self

    @property
    def kind(self) -> Format:
        """The format."""
        return self.format or SUFFIXES[PurePosixPath(self.path).suffix.lower()]

    @property
    def separator(self) -> str:
        """The delimiter."""
        return self.delimiter or ("\t" if self.path.lower().endswith(".tsv") else ",")


class Export(BaseModel):
    """``[[plugins.files.exports]]``: a file that is written at the end of each run of this instance."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    what: Literal["frame", "scores", "records"]
    """``frame``: a row for each account with all measures and scores. ``scores``: a row for each account and scorer, with its
    reasons. ``records``: all records of the type `record`."""
    path: LocalPath
    """The file; its ending says the format: ``.csv``, ``.xlsx`` or ``.parquet``. A relative path starts at `plugins.toml`."""
    record: str | None = None
    """The record type of ``records``: ``invoice``, ``stripe.price``, ..."""

    @field_validator("path")
    @classmethod
    def _known_ending(cls, value: Path) -> Path:
        if value.suffix.lower() not in ENDINGS:
            raise ValueError(f"the ending of `path` says the format: {', '.join(ENDINGS)}")
        return value

    @model_validator(mode="after")
    def _type_where_one_is_needed(self) -> Export:
        if (self.what == "records") != (self.record is not None):
            raise ValueError('`record` names the type of what = "records", and stands nowhere else')
        return self


class FilesConfig(BaseModel):
    """``[plugins.files]``: a folder, and what is in it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    folder: LocalPath | None = None
    """Where the files are; a relative path starts at `plugins.toml`. Not needed where only exports are made."""
    streams: list[FileStream] = []
    """What is read."""
    exports: list[Export] = []
    """What is written at the end of each run of this instance."""
    batch_rows: Annotated[int, Field(ge=1, le=1000)] = 500
    """Rows that are handed on together."""
    settle_seconds: Annotated[int, Field(ge=0, le=3600)] = 10
    """A file that was changed so shortly before is still being written: it waits for the next run. Files that grow are read
    to their last whole line."""

    @model_validator(mode="after")
    def _streams_in_order(self) -> FilesConfig:
        names = [stream.name for stream in self.streams]
        double = {name for name in names if names.count(name) > 1}
        if double:
            raise ValueError(f"two streams are called {', '.join(sorted(double))}")
        paths = [export.path for export in self.exports]
        if len(set(paths)) < len(paths):
            raise ValueError("two exports have one path")
        if self.streams and self.folder is None:
            raise ValueError("`folder` is missing")
        return self
