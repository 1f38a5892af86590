"""Bodies, read with a bound: decompressed a piece at a time, so that no bomb ever unfolds."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

PIECE = 64 * 1024
"""Bytes that are decompressed at a time."""

ENCODINGS = "gzip, deflate"
"""What we accept: what the standard library undoes with a bound on the output."""


class BodyError(Exception):
    """A body that cannot be used. `cut`: it ended too early, and another try may bring it whole."""

    def __init__(self, reason: str, *, cut: bool = False) -> None:
        super().__init__(reason)
        self.cut = cut


class Inflater:
    """Undoes ``gzip`` or ``deflate``."""

    def __init__(self, encoding: str) -> None:
        self._wbits = {"gzip": 31, "x-gzip": 31, "deflate": 0}.get(encoding)
        if self._wbits is None:
            raise BodyError("it is compressed in a way that was not asked for")
        self._engine: zlib._Decompress | None = None
        self._begun = False
        self._ended = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` unfolds to, `PIECE` bytes at a time."""
        while data:
            if self._engine is None:
                if self._wbits == 31 and self._begun and not data.startswith(b"\x1f"):
                    return  # padding after the last member
                self._engine = zlib.decompressobj(self._wbits or _deflate_wbits(data[0]))
                self._begun, self._ended = True, False
            try:
                piece = self._engine.decompress(data, PIECE)
            except zlib.error:
                raise BodyError("it cannot be decompressed", cut=True) from None
            if piece:
                yield piece
            if self._engine.eof:
                data, self._engine, self._ended = self._engine.unused_data, None, True
            else:
                data = self._engine.unconsumed_tail

    def finish(self) -> None:
        """Make sure that nothing is missing."""
        if not self._ended:
            raise BodyError("it was cut off", cut=True)


def _deflate_wbits(first: int) -> int:
    """Tell a zlib stream (RFC 1950), which HTTP means by deflate, from the bare one that some servers send."""
    return zlib.MAX_WBITS if first & 0x0F == zlib.DEFLATED and first >> 4 <= 7 else -zlib.MAX_WBITS


async def inflate(chunks: AsyncIterator[bytes], encoding: str) -> AsyncGenerator[bytes, None]:
    """Yield the body without its content encoding.

    Raises:
        BodyError: The encoding is unknown, or the body broken or cut off.
    """
    if encoding in {"", "identity"}:
        async for chunk in chunks:
            yield chunk
        return
    inflater = Inflater(encoding)
    async for chunk in chunks:
        for piece in inflater.feed(chunk):
            yield piece
    inflater.finish()


async def bounded(chunks: AsyncIterator[bytes], limit: int | None) -> AsyncGenerator[bytes, None]:
    """Pass a body on and stop when it has more than `limit` bytes.

    Raises:
        BodyError: It has.
    """
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if limit is not None and size > limit:
            raise BodyError(f"it has more than {limit} bytes")
        yield chunk


class Lines:
    """Cuts chunks into lines. Blank lines are dropped; a line longer than `longest` is cut there and its rest dropped."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._open = bytearray()
        self._dropping = False

    @property
    def rest(self) -> bytes:
        """The bytes after the last newline so far."""
        return bytes(self._open)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that `chunk` completes, without their ends."""
        first, *others = chunk.split(b"\n")
        yield from self._grow(first)
        if not others:
            return
        if line := self.rest.strip():
            yield line
        self._open.clear()
        self._dropping = False
        for piece in others[:-1]:
            if line := piece.strip():
                yield line[: self._longest]
        yield from self._grow(others[-1])

    def _grow(self, piece: bytes) -> Iterator[bytes]:
        """Add to the open line, which is cut as soon as it is too long."""
        if self._dropping:
            return
        self._open += piece
        if len(self._open) > self._longest:
            yield bytes(self._open[: self._longest])
            self._open.clear()
            self._dropping = True
