"""The keys of a ``[plugins.sql]`` table."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from wellkept.secrets import Secret
from wellkept_files.mapping import Mapping
from wellkept_sql.statement import refuse_writes


class Query(Mapping):
    """``[[plugins.sql.queries]]``: one query, and what its rows are."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
    """The stream's name."""
    query: str
    """One ``SELECT`` (or ``WITH ... SELECT``), without ``ORDER BY``. Values that vary are written ``:name``, see `params`."""
    params: dict[str, bool | int | float | str] = Field(default={})
    """Values of the query's ``:names``; they are bound, never put into the text."""
    cursor: str | None = None
    """A column that grows with every change of a row, such as ``updated_at``, or a growing number: only rows at or after the
    last one are read. Without it the query is read whole each time, and what it lacks is gone."""
    key: list[str] = Field(default=[])
    """Columns that order rows with one `cursor`; those of `id`, unless they are named."""
    lookback: Annotated[int, Field(ge=0)] = 300
    """How far behind its cursor a read starts, for rows that were committed late: seconds, where the column holds times; else
    in its own unit."""
    reconcile_days: Annotated[int, Field(ge=0, le=365)] = 7
    """How often a query with a cursor is read whole, to find what is gone; 0 for never."""
    deleted: str | None = None
    """A column that says that a row is gone, for tables whose rows are only marked: true, 1, yes, or a time."""

    @field_validator("query")
    @classmethod
    def _only_reads(cls, value: str) -> str:
        return refuse_writes(value)

    @model_validator(mode="after")
    def _ordered(self) -> Query:
        if self.cursor is not None and not self.keys:
            raise ValueError("a query with a `cursor` needs `id` or `key`, to tell rows with one value of it apart")
        return self

    @property
    def keys(self) -> list[str]:
        """The columns that order rows with one cursor."""
        return self.key or ([self.id] if isinstance(self.id, str) else self.id or [])


class SqlConfig(BaseModel):
    """``[plugins.sql]``: one database."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    url: Secret
    """Reference to the database's URL, ``postgresql://USER:PASSWORD@HOST/DATABASE`` or any other that SQLAlchemy takes."""
    queries: Annotated[list[Query], Field(min_length=1)]
    """What is read."""
    batch_rows: Annotated[int, Field(ge=1, le=1000)] = 500
    """Rows that are fetched and handed on together."""
    timeout_seconds: Annotated[int, Field(ge=1, le=86_400)] = 600
    """How long a statement may run, where the database has such a limit (PostgreSQL, MySQL, MariaDB)."""

    @model_validator(mode="after")
    def _one_of_each_name(self) -> SqlConfig:
        names = [query.name for query in self.queries]
        double = {name for name in names if names.count(name) > 1}
        if double:
            raise ValueError(f"two queries are called {', '.join(sorted(double))}")
        return self
