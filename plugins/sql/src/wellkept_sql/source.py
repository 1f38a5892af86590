"""Reads a database: each query a stream, its rows in the order of their cursor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from wellkept import Batch, CheckResult, Cursor, Deletion, Estimate, Finding, ReadRequest, Reject, Source, Stream
from wellkept.errors import ConfigError, CredentialsError, CursorExpiredError, FatalError, RejectedError
from wellkept_files.mapping import Mapper
from wellkept_sql.database import connected, parse, place_of
from wellkept_sql.places import Progress, dump, key_of, load, packed, set_back, unpacked
from wellkept_sql.statement import after, not_before, statement, without_cursor

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select

    from wellkept import Context
    from wellkept.records import Record
    from wellkept_sql.config import Query, SqlConfig

DAY_MS = 86_400_000
NO = frozenset({"", "0", "f", "false", "n", "no"})
SHOWN = 64 * 1024


class SqlSource(Source):
    """The source of one database."""

    def __init__(self, ctx: Context[SqlConfig]) -> None:
        self._ctx = ctx
        self._config = ctx.config
        key = f"plugins.{ctx.instance}.queries"
        self._parts: dict[str, tuple[Query, Mapper]] = {}
        for query in ctx.config.queries:
            self._parts[query.name] = query, Mapper(query, ctx.record_types, key=f"{key}.{query.name}")
            try:
                self._select(query, [])
            except ValueError as error:
                raise ConfigError(str(error), key=f"{key}.{query.name}.query") from None

    def streams(self) -> Sequence[Stream]:
        """Return a stream for each query."""
        return [
            Stream(
                name=name,
                records=(mapper.type,),
                doc="Rows of a query, " + (f"in the order of {query.cursor}." if query.cursor else "read whole each time."),
                lookback=timedelta(seconds=query.lookback if query.cursor else 0),
                deletes="rows" if query.deleted else "absence",
            )
            for name, (query, mapper) in self._parts.items()
        ]

    async def check(self) -> CheckResult:
        """Connect, and let the database look at each query without reading a row."""
        import sqlalchemy as sa

        url = parse(self._config.url.reveal())
        mend = "look at the URL behind `url`: user, password, host, database"
        findings = [Finding(name="connection", ok=True, message=f"reads {place_of(url)}, and cannot write")]
        try:
            async with connected(url, self._config.timeout_seconds):
                pass
        except CredentialsError as error:
            refused = Finding(name="connection", ok=False, message=error.message, mend=mend)
            return CheckResult(findings=[refused], vendor_account=place_of(url))
        for query, _ in self._parts.values():
            try:
                async with connected(url, self._config.timeout_seconds) as call:
                    await call.start(self._select(query, [sa.false()]), 1)
                    await call.fetch(1)
            except (CredentialsError, FatalError) as error:
                findings.append(Finding(name=query.name, ok=False, message=error.message, mend=error.guidance or mend))
            else:
                findings.append(Finding(name=query.name, ok=True, message="can be read"))
        return CheckResult(findings=findings, vendor_account=place_of(url))

    async def estimate(self, stream: Stream, cursor: Cursor | None) -> Estimate:
        """Return how many statements are sent; a first read looks for rows without a cursor as well."""
        query, _ = self._parts[stream.name]
        return Estimate(calls=2 if query.cursor and (cursor is None or load(cursor).full) else 1)

    async def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        """Yield the rows of a query.

        Raises:
            CursorExpiredError: It is time to read everything again.
            CredentialsError: The database refuses us.
            RetryableError: It cannot be reached.
            FatalError: The query does not work.
        """
        query, mapper = self._parts[request.stream.name]
        now, cursor = self._ctx.clock.now(), request.cursor
        progress = load(cursor) if cursor else Progress(full=True, full_at=now)
        if cursor and query.reconcile_days and not progress.full and now - progress.full_at >= query.reconcile_days * DAY_MS:
            raise CursorExpiredError(f"the last full read is {query.reconcile_days} days old")
        rows = self._config.batch_rows
        async with connected(parse(self._config.url.reveal()), self._config.timeout_seconds) as call:
            if query.cursor and progress.full:
                await call.start(self._select(query, [without_cursor(query.cursor)]), 1)
                if await call.fetch(1):
                    packed(None, query.cursor)
            await call.start(self._select(query, _behind(query, progress)), rows)
            progress = msgspec.structs.replace(progress, ended=False)
            while True:
                found = await call.fetch(rows)
                last = len(found) < rows
                if found and query.cursor:
                    cells = found[-1]
                    value, key = packed(cells[query.cursor], query.cursor), key_of(cells, query.keys)
                    progress = msgspec.structs.replace(progress, value=value, key=key)
                full = progress.full
                if last:
                    progress = msgspec.structs.replace(progress, ended=True, full=False)
                place = dump(progress) if query.cursor else None
                yield _batch(query, mapper, found, now, place, complete=full and last)
                if last:
                    return

    def _select(self, query: Query, where: Sequence[ColumnElement[bool]]) -> Select[Any]:
        """Return the statement for some rows of a query, in the order in which they are read."""
        mapper = self._parts[query.name][1]
        order = [query.cursor, *query.keys] if query.cursor else []
        columns = [*mapper.columns, *order, *([query.deleted] if query.deleted else [])]
        return statement(query.query, query.params, list(dict.fromkeys(columns)), where, order)


def _behind(query: Query, progress: Progress) -> Sequence[ColumnElement[bool]]:
    """Return the condition for the rows that are to be read."""
    if query.cursor is None or progress.value is None:
        return []
    value = unpacked(progress.value)
    if progress.ended and query.lookback:
        return [not_before(query.cursor, set_back(value, query.lookback))]
    return [after(query.cursor, value, query.keys, [unpacked(part) for part in progress.key])]


def _batch(
    query: Query, mapper: Mapper, found: Sequence[Mapping[str, Any]], now: int, cursor: Cursor | None, *, complete: bool
) -> Batch:
    """Map some rows."""
    records: list[Record] = []
    deletions: list[Deletion] = []
    rejects: list[Reject] = []
    for cells in found:
        try:
            record = mapper.record(cells, version=now)
        except RejectedError as error:
            raw = msgspec.json.encode(dict(cells), enc_hook=str)[:SHOWN]
            rejects.append(Reject(raw=raw, reason=error.message, id=_id(mapper, cells)))
            continue
        if query.deleted and _is_set(cells[query.deleted]):
            deletions.append(Deletion(record=mapper.type, id=record.id, version=record.version))
        else:
            records.append(record)
    return Batch(records=records, deletions=deletions, rejects=rejects, cursor=cursor, complete=complete)


def _is_set(cell: Any) -> bool:
    return cell is not None and str(cell).strip().lower() not in NO


def _id(mapper: Mapper, cells: Mapping[str, Any]) -> str | None:
    try:
        return mapper.id_of(cells)
    except RejectedError:
        return None
