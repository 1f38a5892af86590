"""Redaction: no secret and no personal data leaves through a log, an error or a report.

Two nets, one behind the other. Values that were revealed (see `wellkept.secrets`) are known, and are removed wherever they
appear, in the encodings that programs wrap values in. What is not known is recognised by its shape: keys of common vendors,
authorization headers, ``password=...``, card numbers, e-mail addresses.

Logging is covered at both ends: records are redacted when they are made (`install`), so that handlers and formatters of other
libraries see clean ones, and what our own handlers write is redacted once more (`RedactingFormatter`).
"""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
"""Stands for what was removed. Shorter than the shortest secret, so that removing always ends."""

SHORTEST = 4
"""Characters of the shortest value that can be registered."""

LIMIT = 256
"""Values that are remembered; a line of a log is compared with all of them."""

SHORTEST_LINE = 12
"""Lines of a secret of several lines (a private key) are also removed one by one, from this length on."""

_NAMES = (
    r"[\w-]{0,40}(?:api[_-]?key|secret|passw(?:or)?d|passphrase|private[_-]?key|access[_-]?key|credential|session[_-]?id|token)"
    r"[\w-]{0,40}|pwd"
)
_REFERENCE = r"(?!b?[\"']?(?:env|file):)"
_KEY_LIKE = r"(?=[^\s\"',;]*[0-9+/=_])"
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, flags), replacement)
    for pattern, replacement, flags in (
        (r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", MASK, re.DOTALL),
        # headers, to the end of the line or of the quoted text
        (
            r"((?:\b|[\"'])(?:proxy-)?(?:authorization|cookie|set-cookie)[\"']?\s*[:=,]\s*)b?(?:\"[^\"]*\"|'[^']*'|[^\s\"'][^\n\"']*)",
            rf"\1{MASK}",
            re.IGNORECASE,
        ),
        (rf"\b(Bearer|Basic|Token)(\s+){_KEY_LIKE}[\w.~+/=-]{{8,}}", rf"\1\2{MASK}", re.IGNORECASE),
        (r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)", MASK, 0),  # https://user:password@host
        (r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*", MASK, 0),  # a JSON web token
        (r"\b(?:sk|rk|ek|uk|whsec)_\w{8,}", MASK, 0),
        (r"\b(?:pi|seti|src|cs)_\w+_secret_\w+", MASK, 0),
        (
            r"\b(?:gh[opsur]_|github_pat_|glpat-|xox[abeoprs]-|xapp-|shpat_|shpss_|npm_|pypi-|pat-[a-z]{2}\d-)[\w-]{10,}",
            MASK,
            0,
        ),
        (r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{30,}|SG\.[\w-]{10,}\.[\w-]{10,})", MASK, 0),
        # "name": "value" of JSON and of reprs; name=value of queries and calls; name: value where the value looks like a key
        (
            rf"([\"'](?:{_NAMES})[\"']\s*[:,]\s*){_REFERENCE}b?(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[\w.+/-]+)",
            rf"\1{MASK}",
            re.IGNORECASE,
        ),
        (
            rf"(\b(?:{_NAMES})\s*=\s*){_REFERENCE}b?(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s,;&\"')}}\]]+)",
            rf"\1{MASK}",
            re.IGNORECASE,
        ),
        (rf"(\b(?:{_NAMES}):\s+){_REFERENCE}{_KEY_LIKE}[^\s\"',;]{{8,}}", rf"\1{MASK}", re.IGNORECASE),
        (r"[\w.+%'-]{1,64}(?:@|%40)(?:[\w-]{1,63}\.)+[^\W\d_][\w-]{1,62}", MASK, 0),
    )
)
_NUMBER = re.compile(r"(?<![\w.])(?=([2-6](?:[ -]?[0-9]){12,18}))")


class Redactor:
    """Removes known secrets, and what looks like one, from text. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, set[str]] = {}
        self._forms: tuple[str, ...] = ()

    def register(self, value: str) -> None:
        """Remember a secret value, so that it is removed from now on in all its encodings.

        Values shorter than `SHORTEST` characters are ignored; `wellkept.secrets` refuses them. Of very many (tokens that
        rotate for months) the `LIMIT` that were used last are remembered; the others have expired.
        """
        if len(value) < SHORTEST:
            return
        with self._lock:
            if value in self._values:
                self._values[value] = self._values.pop(value)
                return
            self._values[value] = encodings(value)
            if len(self._values) > LIMIT:
                del self._values[next(iter(self._values))]
            forms = set[str]().union(*self._values.values())
            self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))

    @contextmanager
    def forgetting(self) -> Iterator[None]:
        """Forget at the end what was registered meanwhile: for tests, whose secrets are words of other tests."""
        with self._lock:
            values, forms = dict(self._values), self._forms
        try:
            yield
        finally:
            with self._lock:
                self._values, self._forms = values, forms

    def text(self, text: str) -> str:
        """Return `text` without secrets, card numbers and e-mail addresses."""
        text = self._without_known(text)
        for pattern, replacement in _SHAPES:
            text = pattern.sub(replacement, text)
        text = _without_cards(text)
        return self._without_known(text)

    def exception(self, error: BaseException) -> str:
        """Return an exception in one line: its class, unless it is one of ours, and its redacted message."""
        from wellkept.errors import WellkeptError

        try:
            message = str(error)
        except Exception:  # noqa: BLE001 - a broken __str__ must not hide that something failed
            message = ""
        message = " ".join(self.text(message).split())
        if isinstance(error, WellkeptError):
            return message
        return f"{type(error).__name__}: {message}" if message else type(error).__name__

    def traceback(self, error: BaseException) -> str:
        """Return an exception's traceback, causes included, redacted."""
        return self.text("".join(traceback.format_exception(error)))

    def data(self, value: Any) -> Any:
        """Return plain data (dicts, lists, scalars) with every text in it redacted, keys included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.data(key): self.data(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.data(item) for item in value]
        return value

    def _without_known(self, text: str) -> str:
        """Remove the known forms; again, where the mask and its neighbours happen to form another one."""
        found = True
        while found:
            found = False
            for form in self._forms:
                if form in text:
                    text = text.replace(form, MASK)
                    found = True
        return text


def encodings(value: str) -> set[str]:
    """Return the forms in which a value may appear in text.

    As it is; in JSON (ASCII or not, with ``/`` or ``<`` escaped, twice over); as Python's repr of a str or of bytes; in URLs;
    in HTML; in hexadecimal; in base64 of both alphabets, alone and in the middle of something longer (as in HTTP's Basic
    scheme). Of a value with several lines, each line as well.
    """
    forms = {line for line in map(str.strip, value.splitlines()) if len(line) >= SHORTEST_LINE}
    forms |= {form.replace("/", "\\/") for form in forms} | {quote(form, safe="") for form in forms}
    for part in {value, value.strip()}:
        raw = part.encode("utf-8", "surrogatepass")
        escaped = {part, json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1], *_reprs(part)}
        escaped |= {form.replace("/", "\\/") for form in escaped}
        escaped |= {_html_safe_json(form) for form in escaped}
        escaped |= {json.dumps(form, ensure_ascii=False)[1:-1] for form in escaped}
        escaped |= {form.replace("\\", "\\\\") for form in escaped}
        forms |= escaped
        for safe in ("", "/", "/:@!$&'()*+,;=~"):
            for form in (quote(raw, safe=safe), quote_plus(raw, safe=safe)):
                forms |= {form, re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), form)}
        forms |= {html.escape(part), html.escape(part, quote=False), raw.hex(), raw.hex().upper()}
        forms |= set(_base64_forms(raw))
    return {form for form in forms if len(form) >= SHORTEST}


def _reprs(part: str) -> Iterator[str]:
    """Yield the insides of Python's reprs; which quote is escaped depends on what else stands in the text."""
    raw = part.encode("utf-8", "surrogatepass")
    both = "'\""
    yield repr(part)[1:-1]
    yield repr(both + part)[4:-1]
    yield ascii(part)[1:-1]
    yield ascii(both + part)[4:-1]
    yield repr(raw)[2:-1]
    yield repr(both.encode() + raw)[5:-1]


def _html_safe_json(text: str) -> str:
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").replace("'", "\\u0027")


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Yield base64 of a value alone, and what base64 of *any* text that holds the value is sure to contain.

    Three bytes make four characters; so the value's own characters depend on where it starts, modulo three, and those at
    both ends mix with its neighbours and are left out.
    """
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        whole = encode(raw).decode()
        yield whole
        yield whole.rstrip("=")
        for offset in range(3):
            middle = encode(bytes(offset) + raw).decode()[-(-offset * 8 // 6) :].rstrip("=")
            if (offset + len(raw)) % 3:
                middle = middle[:-1]
            if len(middle) >= 2 * SHORTEST:
                yield middle


def _without_cards(text: str) -> str:
    """Remove card numbers, written with or without blanks and hyphens, whatever figures stand beside them."""
    end, parts = 0, []
    for match in _NUMBER.finditer(text):
        start = match.start()
        if start < end:
            continue
        for length in range(len(match[1]), 12, -1):
            after = text[start + length : start + length + 1]
            digits = re.sub("[ -]", "", match[1][:length])
            if not (after.isalnum() or after == "_") and match[1][length - 1].isdigit() and _issued(digits) and _luhn(digits):
                parts += [text[end:start], MASK]
                end = start + length
                break
    return "".join([*parts, text[end:]])


def _issued(digits: str) -> bool:
    """Say whether a card network uses this length with this first digit, which leaves instants and most ids alone."""
    first, length = digits[0], len(digits)
    if length < 13:
        return False
    if length == 13:
        return first == "4"
    if length in {14, 15}:
        return first == "3"
    return True


def _luhn(digits: str) -> bool:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        figure = int(digit) * (1 + index % 2)
        total += figure - 9 if figure > 9 else figure
    return total % 10 == 0


REDACTOR = Redactor()
"""The process's redactor: values revealed anywhere are removed everywhere."""


def redact_text(text: str) -> str:
    """Return `text` as `REDACTOR` lets it pass."""
    return REDACTOR.text(text)


def redact_exception(error: BaseException) -> str:
    """Return an exception in one redacted line."""
    return REDACTOR.exception(error)


class RedactingFormatter(logging.Formatter):
    """Formats with another formatter and redacts what comes out: message, extra fields, traceback, all of it."""

    def __init__(self, inner: logging.Formatter | None = None, redactor: Redactor = REDACTOR) -> None:
        super().__init__()
        self.inner = inner or logging.Formatter()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line, redacted."""
        return self._redactor.text(self.inner.format(record))


class RedactingFilter(logging.Filter):
    """Redacts records in place, for handlers that read a record's attributes instead of formatting it."""

    def __init__(self, redactor: Redactor = REDACTOR) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record and let it pass."""
        clean(record, self._redactor)
        for name, value in list(vars(record).items()):
            if name not in _OWN and isinstance(value, (str, dict, list, tuple)):
                setattr(record, name, self._redactor.data(value))
        return True


_OWN = frozenset(vars(logging.makeLogRecord({})))


def clean(record: logging.LogRecord, redactor: Redactor) -> None:
    """Make a record safe for any handler: its arguments are merged into the message, its traceback becomes text."""
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - a wrong number of arguments is no reason to lose the line, nor to print them raw
        message = f"{record.msg!s} [arguments do not fit]"
    record.msg, record.args = redactor.text(message), None
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = redactor.traceback(record.exc_info[1]).rstrip("\n")
    elif record.exc_text:
        record.exc_text = redactor.text(record.exc_text)
    record.exc_info = None
    if record.stack_info:
        record.stack_info = redactor.text(record.stack_info)


_install_lock = threading.Lock()
_installed = 0
_previous_factory: Any = None


@contextmanager
def install(redactor: Redactor = REDACTOR) -> Iterator[None]:
    """Redact every log record of the process while the context is open, whichever logger and handler it goes through.

    May be nested; the first one counts. Handlers of the root logger and the handler of last resort are redacted once more,
    because `extra` fields reach a record only after it was made.
    """
    global _installed, _previous_factory  # noqa: PLW0603 - the record factory is the process's own
    with _install_lock:
        _installed += 1
        if _installed == 1:
            previous = _previous_factory = logging.getLogRecordFactory()

            def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
                record: logging.LogRecord = previous(*args, **kwargs)
                clean(record, redactor)
                return record

            logging.setLogRecordFactory(factory)
    fields = RedactingFilter(redactor)
    guarded = [(handler, handler.formatter) for handler in _root_handlers()]
    for handler, formatter in guarded:
        handler.addFilter(fields)
        if not isinstance(formatter, RedactingFormatter):
            handler.setFormatter(RedactingFormatter(formatter, redactor))
    try:
        yield
    finally:
        for handler, formatter in guarded:
            handler.removeFilter(fields)
            handler.setFormatter(formatter)
        with _install_lock:
            _installed -= 1
            if _installed == 0:
                logging.setLogRecordFactory(_previous_factory)


def _root_handlers() -> list[logging.Handler]:
    return [*logging.getLogger().handlers, *([logging.lastResort] if logging.lastResort else [])]
