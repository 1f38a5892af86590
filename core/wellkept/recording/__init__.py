"""Recordings: what a connector and its vendor said to each other, with secrets and personal data replaced, as files.

A folder holds ``recording.json`` and one file for each exchange, in their order. The vendor's own address is written as
``{origin}``. `wellkept.testing.Recording` plays it back.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from wellkept.http.tap import Exchange, listening
from wellkept.plugins.acting import Actor, acting
from wellkept.recording.bodies import replaced
from wellkept.recording.scrub import ORIGIN, Scrubber
from wellkept.redact import redact_exception
from wellkept.source import Cursor, ReadRequest

if TYPE_CHECKING:
    from wellkept.instance import Instance
    from wellkept.source import Source, Stream

__all__ = ["FORMAT", "ORIGIN", "Recorded", "Report", "Scrubber", "record_instance"]

FORMAT = 1
HEADERS = re.compile(r"content-type|link|retry-after|.*(?:cursor|page|next|prev|more|total|count).*")
"""Headers of answers that are kept: those that say where reading goes on; others may carry what nobody thinks of."""


@dataclass(kw_only=True)
class Recorded:
    """What was recorded of one stream.

    Attributes:
        stream: The stream.
        requests: How many exchanges.
        records: How many records came of them.
        note: What kept it from being whole.
    """

    stream: str
    requests: int = 0
    records: int = 0
    note: str | None = None


@dataclass(kw_only=True)
class Report:
    """What was recorded.

    Attributes:
        streams: Stream by stream.
        exchanges: How many.
        left_out: How many bodies of a kind were not kept, since nobody would know what in them is personal.
    """

    streams: list[Recorded] = field(default_factory=list)
    exchanges: int = 0
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether everything was recorded whole."""
        return not self.left_out and all(item.note is None for item in self.streams)

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


class _FullError(Exception):
    """Enough of a stream was recorded."""


class Writer:
    """Writes exchanges as they are heard.

    Args:
        folder: Where to; made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.count = 0
        self.left_out: dict[str, int] = {}
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._scrub = Scrubber()

    def hear(self, exchange: Exchange) -> None:
        """Write one exchange down."""
        self.count += 1
        self._scrub.origins.add(exchange.origin)
        name = f"{self.count:04}-{exchange.method}-{_slug(urlsplit(exchange.target).path)}.json"
        text = json.dumps(self._document(exchange), ensure_ascii=False, indent=1)
        (self._folder / name).write_text(text + "\n", encoding="utf-8")

    def _document(self, exchange: Exchange) -> dict[str, Any]:
        scrub, target = self._scrub, urlsplit(exchange.target)
        params = [[name, scrub.text(name, value)] for name, value in parse_qsl(target.query, keep_blank_values=True)]
        answer: dict[str, Any] = {
            "status": exchange.status,
            "headers": {
                name: scrub.free(value) if name in {"content-type", "link"} else scrub.text(name, value)
                for name, value in exchange.headers.items()
                if HEADERS.fullmatch(name)
            },
        }
        request = {"method": exchange.method, "path": scrub.free(target.path), "params": params}
        request |= self._body(exchange.content, exchange.kind)
        return {"request": request, "answer": answer | self._body(exchange.body, exchange.headers.get("content-type", ""))}

    def _body(self, body: bytes, kind: str) -> dict[str, Any]:
        """Return a body as it is kept: as JSON, as JSON lines, as form fields, as CSV or XML, or not at all."""
        scrub = self._scrub
        if not body:
            return {}
        try:
            return {"json": scrub.data(json.loads(body))}
        except ValueError:
            pass
        try:
            return {"lines": [scrub.data(json.loads(line)) for line in body.splitlines() if line.strip()]}
        except ValueError:
            pass
        if "form-urlencoded" in kind:
            fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
            return {"form": [[name, scrub.text(name, value)] for name, value in fields]}
        if (text := replaced(body, kind, scrub.text)) is not None:
            return {"text": text}
        name = kind.partition(";")[0] or "an unknown kind"
        self.left_out[name] = self.left_out.get(name, 0) + 1
        return {"left_out": f"{len(body)} bytes of {name}"}


async def record_instance(instance: Instance, folder: Path, *, limit: int, now: int) -> Report:
    """Record an instance's check, and each stream: in full, and then what is new since. Reads only, stores nothing.

    Args:
        instance: The instance.
        folder: Where the files go.
        limit: Requests for each stream; one that needs more is cut there, and the report says so.
        now: When, epoch ms; a play-back begins there.
    """
    writer, report = Writer(folder), Report()
    with listening(writer.hear):
        for source in instance.sources:
            with acting(Actor(instance.name, "its check")):
                await source.check()
        for name, (source, stream) in instance.streams.items():
            with acting(Actor(instance.name, f"stream {name}", stream=name)):
                report.streams.append(await _record(writer, source, stream, limit))
    report.exchanges, report.left_out = writer.count, writer.left_out
    about = {"format": FORMAT, "plugin": instance.plugin, "distribution": instance.distribution, "recorded_at": now}
    (folder / "recording.json").write_text(json.dumps(about | report.document(), indent=1) + "\n", encoding="utf-8")
    return report


async def _record(writer: Writer, source: Source, stream: Stream, limit: int) -> Recorded:
    recorded, before, cursor = Recorded(stream=stream.name), writer.count, None
    try:
        for _ in range(2):
            cursor = await _read(writer, source, ReadRequest(stream=stream, cursor=cursor), recorded, before + limit)
            if cursor is None:
                break
    except _FullError:
        recorded.note = f"cut off: it needs more than {limit} {'request' if limit == 1 else 'requests'}"
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises: the other streams are recorded
        recorded.note = redact_exception(error)
    recorded.requests = writer.count - before
    return recorded


async def _read(writer: Writer, source: Source, request: ReadRequest, recorded: Recorded, until: int) -> Cursor | None:
    """Read to the end and return the last cursor."""
    cursor, reading = request.cursor, source.read(request)
    try:
        async for batch in reading:
            recorded.records += len(batch.records)
            cursor = batch.cursor if batch.cursor is not None else cursor
            if writer.count >= until:
                raise _FullError
    finally:
        close = getattr(reading, "aclose", None)
        if close is not None:
            await close()
    return cursor


def _slug(path: str) -> str:
    parts = [part for part in path.split("/") if part.replace("_", "").replace(".", "").replace("-", "").isalnum()]
    return "-".join(part for part in parts if len(part) <= 24)[:60] or "root"
