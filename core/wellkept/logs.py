"""What log lines say beside their text: which run, instance and stream they belong to; and the two forms of a line."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal

from wellkept.redact import REDACTOR, RedactingFormatter, Redactor

LogFormat = Literal["console", "json"]

FIELDS = ("run", "instance", "stream")
"""The fields that a line may carry."""

INSTANCE_LOGGER = "wellkept.instance."
"""Begins the name of the logger that a plugin's instance gets."""

_fields: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default=MappingProxyType({}))


@contextmanager
def log_fields(**fields: str) -> Iterator[None]:
    """Let log lines that are written inside, in this task or thread, carry these fields beside those from outside.

    Args:
        fields: Of `FIELDS`.
    """
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """Return the fields of a line that is written now; those given as ``extra`` go before those of the place."""
    place = _fields.get()
    if record.name.startswith(INSTANCE_LOGGER) and "instance" not in place:
        place = {**place, "instance": record.name.removeprefix(INSTANCE_LOGGER)}
    found = {name: getattr(record, name, None) or place.get(name) for name in FIELDS}
    return {name: str(value) for name, value in found.items() if value}


class ConsoleFormatter(RedactingFormatter):
    """A line for people: level, logger, text, and where it belongs in brackets."""

    def __init__(self, redactor: Redactor = REDACTOR) -> None:
        super().__init__(logging.Formatter("%(levelname)s %(name)s: %(message)s%(place)s"), redactor)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, redacted."""
        found = fields_of(record)
        record.place = f" [{' '.join(f'{name}={value}' for name, value in found.items())}]" if found else ""
        return super().format(record)


class JsonFormatter(RedactingFormatter):
    """A line for machines: one JSON object, with ``at``, ``level``, ``logger``, ``message``, the fields, and ``error``.

    Texts are redacted before they are put into JSON: afterwards it could tear the object apart.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, redacted."""
        line: dict[str, str] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        error = record.exc_text or (self.formatException(record.exc_info) if record.exc_info else "")
        if error:
            line["error"] = error
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps({name: self._redactor.text(text) for name, text in line.items()}, ensure_ascii=False)


FORMATTERS: Mapping[LogFormat, type[ConsoleFormatter | JsonFormatter]] = {"console": ConsoleFormatter, "json": JsonFormatter}
