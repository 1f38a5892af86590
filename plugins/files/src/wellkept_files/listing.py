"""Which files there are, and whether they have changed since they were read."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from wellkept.errors import CredentialsError, RetryableError
from wellkept_files.config import FileStream

CHUNK = 1024 * 1024
EDGE = 4096
"""Bytes at the beginning, and before the place where reading goes on, by which a file that has grown is known again."""


class File(NamedTuple):
    """One file as it was when it was looked at; `mtime` is in nanoseconds."""

    name: str
    path: Path
    size: int
    mtime: int

    @property
    def digest(self) -> str:
        """What stands for name, size and time."""
        return file_digest(self.name, self.size, self.mtime)

    @property
    def changed_at(self) -> int:
        """When it was changed last, epoch ms."""
        return self.mtime // 1_000_000


def short_digest(content: bytes) -> str:
    """Return eleven characters that stand for a content."""
    return urlsafe_b64encode(blake2b(content, digest_size=8).digest()).decode().rstrip("=")


def file_digest(name: str, size: int, mtime: int) -> str:
    """Return what stands for a file's name, size and time."""
    return short_digest(f"{name}\0{size}\0{mtime}".encode())


def find(folder: Path, stream: FileStream) -> list[File]:
    """Return the files of a stream, by name; of ``latest`` the last one alone.

    Raises:
        RetryableError: The folder is not there at the moment.
        CredentialsError: We may not look into it.
    """
    try:
        if not folder.is_dir():
            raise RetryableError(f"the folder {folder} is not there", guidance="mount it, or mend `folder`")
        names = sorted(path.relative_to(folder).as_posix() for path in folder.glob(stream.path) if path.is_file())
        wanted = names[-1:] if stream.mode == "latest" else names
        return [_file(folder, name) for name in wanted]
    except PermissionError as error:
        raise refused(error) from None
    except OSError as error:
        raise RetryableError(f"{folder} cannot be read at the moment: {error.strerror}") from None


def refused(error: PermissionError) -> CredentialsError:
    """Return the error for a file or folder that we may not read."""
    path = str(error.filename)
    return CredentialsError(f"no permission to read {path}", missing=(path,), guidance="let the user of Wellkept read it")


def _file(folder: Path, name: str) -> File:
    path = folder / name
    status = path.stat()
    return File(name, path, status.st_size, status.st_mtime_ns)


def unchanged(file: File) -> bool:
    """Say whether a file still is as it was when it was looked at."""
    try:
        status = file.path.stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (file.size, file.mtime)


def listing_digest(files: Sequence[File]) -> str:
    """Return what stands for names, sizes and times of files."""
    return short_digest("\n".join(file.digest for file in files).encode())


def content_digest(files: Sequence[File]) -> str:
    """Return what stands for names and contents of files. Reads all of them."""
    digest = blake2b(digest_size=16)
    for file in files:
        digest.update(f"{file.name}\0{file.size}\0".encode())
        with file.path.open("rb") as content:
            while piece := content.read(CHUNK):
                digest.update(piece)
    return digest.hexdigest()


def edges(path: Path, offset: int) -> str:
    """Return what stands for the beginning of a file and for the end of its part before `offset`."""
    with path.open("rb") as content:
        first = content.read(min(EDGE, offset))
        content.seek(max(0, offset - EDGE))
        return short_digest(first + content.read(min(EDGE, offset)))
