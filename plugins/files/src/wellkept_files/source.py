"""Reads files. Cursors hold what has been read of which file, so that only what is new is read again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from wellkept import Batch, CheckResult, Cursor, Estimate, Finding, ReadRequest, Reject, Source, Stream
from wellkept.errors import (
    ConfigError,
    CredentialsError,
    CursorExpiredError,
    FatalError,
    RejectedError,
    RetryableError,
)
from wellkept.records import Record
from wellkept_files.growth import Progress, plan, seen
from wellkept_files.listing import File, content_digest, find, listing_digest, refused, unchanged
from wellkept_files.mapping import Mapper
from wellkept_files.rows import Place, Row, rows

if TYPE_CHECKING:
    from wellkept import Context
    from wellkept_files.config import FilesConfig, FileStream

T = TypeVar("T")


class Snapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """The cursor of a stream whose files together are everything.

    Attributes:
        listing: Stands for names, sizes and times of the files.
        content: Stands for what is in them; looked at where the listing differs.
        done: Everything was read.
        file: The file under way, from 0.
        place: The place in it.
    """

    listing: str
    content: str
    done: bool = False
    file: int = 0
    place: Place = Place()


class Portion(NamedTuple):
    """Some rows of a file, mapped, the place after them, how many they are, and whether they are the last."""

    records: list[Record]
    rejects: list[Reject]
    place: Place
    rows: int
    ended: bool = False


class FilesSource(Source):
    """The source of one folder."""

    def __init__(self, ctx: Context[FilesConfig]) -> None:
        self._ctx = ctx
        self._config = ctx.config
        if ctx.config.folder is None:
            raise ConfigError("the folder is missing", key=f"plugins.{ctx.instance}.folder")
        self._folder = ctx.config.folder
        key = f"plugins.{ctx.instance}.streams"
        self._parts = {
            stream.name: (stream, Mapper(stream, ctx.record_types, key=f"{key}.{stream.name}")) for stream in ctx.config.streams
        }

    def streams(self) -> Sequence[Stream]:
        """Return a stream for each that is configured."""
        return [
            Stream(
                name=name,
                records=(mapper.type,),
                doc=f"Rows of {stream.path} ({stream.mode}).",
                deletes="never" if stream.mode == "append" else "absence",
            )
            for name, (stream, mapper) in self._parts.items()
        ]

    async def check(self) -> CheckResult:
        """Look whether each stream has files, and whether the first of them has the columns that are mapped."""
        findings = [await asyncio.to_thread(self._look, *part) for part in self._parts.values()]
        return CheckResult(findings=findings, vendor_account=str(self._folder))

    async def estimate(self, stream: Stream, cursor: Cursor | None) -> Estimate:
        """Return that reading files calls nobody."""
        del stream, cursor
        return Estimate(calls=0)

    async def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        """Yield the rows of the files that are new or have changed.

        Raises:
            CursorExpiredError: Files that are everything have changed: all of them count anew.
            RetryableError: The folder or its files are not there, or are being written.
            CredentialsError: We may not read them.
            FatalError: A file is not what the configuration says.
        """
        stream, mapper = self._parts[request.stream.name]
        follow = self._growing if stream.mode == "append" else self._snapshot
        try:
            async for batch in follow(stream, mapper, request.cursor):
                yield batch
        except PermissionError as error:
            raise refused(error) from None
        except OSError as error:
            raise RetryableError(f"{stream.path} cannot be read at the moment: {error.strerror}") from None

    # --- files that are everything ---

    async def _snapshot(self, stream: FileStream, mapper: Mapper, cursor: Cursor | None) -> AsyncIterator[Batch]:
        files = await self._settled(stream)
        if not files:
            raise RetryableError(f"no file matches {stream.path}", guidance=f"look into {self._folder}, or mend `path`")
        progress = await self._resumed(files, cursor)
        if progress.done:
            yield Batch(cursor=_cursor(progress))
            return
        version = self._ctx.clock.now()
        for number, file in list(enumerate(files))[progress.file :]:
            place = progress.place if number == progress.file else Place()
            async for portion in self._portions(file, stream, mapper, place, version=version):
                last = portion.ended and number == len(files) - 1
                if portion.ended and not await asyncio.to_thread(unchanged, file):
                    raise RetryableError(f"{file.name} was changed while it was read: the next run reads it again")
                after = (number + 1, Place()) if portion.ended else (number, portion.place)
                progress = Snapshot(progress.listing, progress.content, done=last, file=after[0], place=after[1])
                cursor = _cursor(progress)
                yield Batch(records=portion.records, rejects=portion.rejects, cursor=cursor, complete=last)

    async def _resumed(self, files: Sequence[File], cursor: Cursor | None) -> Snapshot:
        """Return where reading goes on. Raises `CursorExpiredError` where it cannot."""
        listing = listing_digest(files)
        if cursor is None:
            return Snapshot(listing, await asyncio.to_thread(content_digest, files))
        progress = _decode(cursor, Snapshot)
        if progress.listing == listing:
            return progress
        if progress.content != await asyncio.to_thread(content_digest, files):
            raise CursorExpiredError("the files have changed")
        return msgspec.structs.replace(progress, listing=listing)

    # --- files that grow ---

    async def _growing(self, stream: FileStream, mapper: Mapper, cursor: Cursor | None) -> AsyncIterator[Batch]:
        files = await asyncio.to_thread(find, self._folder, stream)
        progress = Progress(first=True) if cursor is None else _decode(cursor, Progress)
        following, todo = await asyncio.to_thread(plan, progress, files, text=stream.kind != "parquet")
        for file, start in todo:
            growing = self._seconds_to_settle([file]) > 0
            async for portion in self._portions(file, stream, mapper, start, version=file.changed_at, growing=growing):
                whole = portion.ended and not growing
                following = await asyncio.to_thread(seen, following, file, portion.place, whole=whole)
                cursor = _cursor(following)
                yield Batch(records=portion.records, rejects=portion.rejects, cursor=cursor)
        ended = msgspec.structs.replace(following, first=False)
        yield Batch(cursor=_cursor(ended), complete=following.first)

    # --- both ---

    async def _portions(
        self,
        file: File,
        stream: FileStream,
        mapper: Mapper,
        start: Place,
        *,
        version: int,
        growing: bool = False,
    ) -> AsyncIterator[Portion]:
        """Yield a file's rows in portions, the last of which says so. Reading and mapping happen in a thread."""
        found = rows(file.path, stream, mapper.columns if stream.kind != "jsonl" else (), start, growing=growing)
        limit, place = self._config.batch_rows, start
        try:
            while True:
                portion = await asyncio.to_thread(_portion, islice(found, limit), mapper, file.name, place, version)
                place, ended = portion.place, portion.rows < limit
                yield portion._replace(ended=ended)
                if ended:
                    return
        finally:
            with contextlib.suppress(ValueError):  # a thread that nobody waits for any more is still in it
                found.close()

    async def _settled(self, stream: FileStream) -> list[File]:
        """Return the files once nobody has written to them for a while. Raises `RetryableError` where that does not come."""
        files = await asyncio.to_thread(find, self._folder, stream)
        if (wait := self._seconds_to_settle(files)) > 0:
            await self._ctx.clock.sleep(wait)
            before, files = files, await asyncio.to_thread(find, self._folder, stream)
            if files != before:
                raise RetryableError(f"files of {stream.path} are being written: the next run reads them")
        return files

    def _seconds_to_settle(self, files: Sequence[File]) -> float:
        """Return how long the newest file has to be left alone yet. A time in the future says nothing."""
        now = self._ctx.clock.now()
        ages = [age for file in files if (age := now - file.changed_at) >= 0]
        return self._config.settle_seconds - min(ages) / 1000 if ages else 0

    def _look(self, stream: FileStream, mapper: Mapper) -> Finding:
        mend = f"look into {self._folder}, and at `path` and the mapping of {stream.name!r}"
        try:
            files = find(self._folder, stream)
            if files:
                wanted = mapper.columns if stream.kind != "jsonl" else ()
                next(rows(files[-1].path, stream, wanted, Place()), None)
        except PermissionError as error:
            return Finding(
                name=stream.name, ok=False, message=str(refused(error).message), mend="let the user of Wellkept read it"
            )
        except (ConfigError, CredentialsError, FatalError, RetryableError) as error:
            return Finding(name=stream.name, ok=False, message=error.message, mend=error.guidance or mend)
        except OSError as error:
            return Finding(name=stream.name, ok=False, message=f"{stream.path}: {error.strerror}", mend=mend)
        if not files and stream.mode != "append":
            return Finding(name=stream.name, ok=False, message=f"no file matches {stream.path}", mend=mend)
        return Finding(name=stream.name, ok=True, message=f"{len(files)} file{'' if len(files) == 1 else 's'}")


def _portion(found: Iterator[Row], mapper: Mapper, name: str, start: Place, version: int) -> Portion:
    """Map some rows."""
    records: list[Record] = []
    rejects: list[Reject] = []
    place, count = start, 0
    for row in found:
        count += 1
        place = row.place if row.ended else place
        if row.cells is None:
            rejects.append(Reject(raw=row.raw, reason=f"{name}, line {row.line}: {row.problem}"))
            continue
        try:
            records.append(mapper.record(row.cells, version=version))
        except RejectedError as error:
            reason = f"{name}, line {row.line}: {error.message}"
            rejects.append(Reject(raw=row.raw, reason=reason, id=_id(mapper, row.cells)))
    return Portion(records, rejects, place, count)


def _id(mapper: Mapper, cells: Mapping[str, object]) -> str | None:
    try:
        return mapper.id_of(cells)
    except RejectedError:
        return None


def _cursor(progress: Snapshot | Progress) -> Cursor:
    cursor: Cursor = msgspec.to_builtins(progress)
    return cursor


def _decode(cursor: Mapping[str, object], type_: type[T]) -> T:
    try:
        return msgspec.convert(cursor, type_)
    except msgspec.ValidationError as error:
        raise CursorExpiredError(f"the cursor is not understood: {error}") from None
