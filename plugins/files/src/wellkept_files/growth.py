"""What has been read of files that are added and grow: the cursor of ``append`` streams."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wellkept.errors import FatalError
from wellkept_files.listing import File, edges, file_digest
from wellkept_files.rows import Place

KNOWN_BYTES = 24 * 1024
"""Room in a cursor for files of which the place is known; of older ones only a digest is."""

DIGEST = 11
MOST_DIGESTS = 3000
"""Cursors have 64 KiB."""


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """What has been read of one file.

    Attributes:
        size: Its size when it was looked at.
        mtime: Its time then, ns.
        offset: How far it was read.
        line: Lines before that.
        whole: All of it was read.
        mark: Its `edges` at that offset.
    """

    size: int
    mtime: int
    offset: int
    line: int
    whole: bool
    mark: str


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """The cursor.

    Attributes:
        files: The files that were changed last, by name.
        older: Digests of the others, one after the other; all of them were read whole.
        first: The read that began without a cursor has not ended yet.
    """

    files: dict[str, Seen] = {}
    older: str = ""
    first: bool = False


def plan(progress: Progress, files: Sequence[File], *, text: bool) -> tuple[Progress, list[tuple[File, Place]]]:
    """Return the cursor without files that are gone, and what is to be read: the oldest first, each from its place.

    Args:
        progress: The cursor.
        files: What is there.
        text: Whether the files can grow at their ends.

    Raises:
        FatalError: There are too many files.
    """
    older = {progress.older[start : start + DIGEST] for start in range(0, len(progress.older), DIGEST)}
    present = {file.name for file in files}
    known = {name: item for name, item in progress.files.items() if name in present}
    todo = []
    for file in sorted(files, key=lambda file: (file.mtime, file.name)):
        item = known.get(file.name)
        if item is None:
            if file.digest not in older:
                todo.append((file, Place()))
            continue
        same = (item.size, item.mtime) == (file.size, file.mtime)
        if same and item.whole:
            continue
        go_on = same or (text and file.size > item.size and edges(file.path, item.offset) == item.mark)
        todo.append((file, Place(item.offset, item.line) if go_on else Place()))
    kept = "".join(file.digest for file in files if file.name not in known and file.digest in older)
    return _bounded(Progress(known, kept, progress.first)), todo


def seen(progress: Progress, file: File, place: Place, *, whole: bool) -> Progress:
    """Return the cursor after some more of a file was read."""
    item = Seen(file.size, file.mtime, place.offset, place.line, whole, edges(file.path, place.offset))
    return _bounded(Progress({**progress.files, file.name: item}, progress.older, progress.first))


def _bounded(progress: Progress) -> Progress:
    """Turn the oldest files into digests where the cursor becomes long. Raises `FatalError` where that is not enough."""
    if len(msgspec.json.encode(progress.files)) <= KNOWN_BYTES:
        return progress
    by_age = sorted(progress.files, key=lambda name: (progress.files[name].mtime, name))
    known, older = dict(progress.files), progress.older
    for name in by_age[: len(by_age) // 2]:
        if known[name].whole:
            item = known.pop(name)
            older += file_digest(name, item.size, item.mtime)
    if len(older) > MOST_DIGESTS * DIGEST:
        raise FatalError("there are too many files", guidance="move files that were read out of the folder, or narrow `path`")
    return Progress(known, older, progress.first)
