"""Replacing secrets and personal data, the same by the same, so that what belongs together still does.

The rules go by the name of a field and the form of its value. What people write (names, texts, addresses) is replaced; ids,
times, numbers and words of a vendor's vocabulary (``past_due``) stay, since a connector lives on them.
"""

from __future__ import annotations

import re
from typing import Any

from wellkept.redact import MASK, redact_text

ORIGIN = "{origin}"
"""Stands for the vendor's own address."""

_MAIL = re.compile(r"[\w.+%'-]{1,64}@((?:[\w-]{1,63}\.)+[^\W\d_]{2,63})")
_DOMAIN = re.compile(r"(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}", re.IGNORECASE)
_PHONE = re.compile(r"\+?[\d ()/.-]{7,20}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ][\d:.]+(Z|[+-]\d\d:?\d\d)?)?")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_WORD = re.compile(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*|[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_ID = re.compile(r"(?=[^ ]*\d)[\w.:=+/~-]{1,512}")
_SECRET = re.compile(r"secret|password|token|api_?key|signature|cookie|authorization", re.IGNORECASE)
_CURSOR = re.compile(r"cursor|page|after|before|next|prev|continuation", re.IGNORECASE)
_PERSONAL = re.compile(
    r"name|mail|phone|mobile|fax|address|street|city|zip|postal|postcode|title|subject|comment|description|note|body|content|"
    r"message|text|company|contact|author|signature|domain|website|latitude|longitude|birth|tax|vat|(?:^|_)ip(?:_|$)",
    re.IGNORECASE,
)
_VOCABULARY = re.compile(r"^(?:event|type_?name|object_?name|property_?name|content_?type|event_?name)$", re.IGNORECASE)


class Scrubber:
    """Replaces, and remembers by what.

    Attributes:
        origins: The vendor's own addresses.
    """

    def __init__(self) -> None:
        self.origins: set[str] = set()
        self._made: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def data(self, value: Any, key: str = "") -> Any:
        """Return JSON with its texts replaced."""
        if isinstance(value, dict):
            return {self.free(name): self.data(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self.data(item, key) for item in value]
        if isinstance(value, str):
            return self.text(key, value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and re.search("phone|mobile|zip|postal|itude", key):
            return 0
        return value

    def text(self, key: str, value: str) -> str:  # noqa: PLR0911 - one answer per rule
        """Return a text that stands in a field."""
        if not value or value == MASK:
            return value
        if _SECRET.search(key) and not _CURSOR.search(key):
            return MASK
        if value.startswith(("http://", "https://")):
            return self._url(value)
        freed = self.free(value)
        if freed != value:
            return freed if not _PERSONAL.search(key) or _MAIL.fullmatch(value) else self._stand_in("text", value)
        if _TIME.fullmatch(value) or _VOCABULARY.search(key):
            return value
        if re.search("domain|site|homepage|host|web|url", key, re.IGNORECASE) and _DOMAIN.fullmatch(value):
            return self._domain(value)
        if _PERSONAL.search(key):
            return self._phone(value) if _PHONE.fullmatch(value) else self._stand_in("text", value)
        if _CURSOR.search(key) or _NUMBER.fullmatch(value) or _WORD.fullmatch(value) or _ID.fullmatch(value):
            return value
        return self._stand_in("text", value)

    def free(self, value: str) -> str:
        """Return a text with what is recognised by its form alone replaced: known secrets, addresses, our vendor's origin."""
        for origin in self.origins:
            value = value.replace(origin, ORIGIN)
        value = _MAIL.sub(lambda match: f"{self._stand_in('person', match[0].lower())}@{self._domain(match[1])}", value)
        kept = {made: f"\0{number}\0" for number, made in enumerate(sorted(set(_MAIL_MADE.findall(value))))}
        for made, mark in kept.items():
            value = value.replace(made, mark)
        value = redact_text(value)
        for made, mark in kept.items():
            value = value.replace(mark, made)
        return value

    def _url(self, value: str) -> str:
        for origin in self.origins:
            if value == origin or value.startswith((f"{origin}/", f"{origin}?")):
                return self.free(value)
        host = value.split("/")[2].rpartition("@")[2].partition(":")[0]
        return f"https://{self._domain(host)}/{self._stand_in('page', value)}"

    def _domain(self, value: str) -> str:
        return f"{self._stand_in('company', value.lower().removeprefix('www.'))}.example"

    def _phone(self, value: str) -> str:
        return f"+1555{int(self._stand_in('phone', value).removeprefix('phone')):07}"

    def _stand_in(self, kind: str, value: str) -> str:
        made = self._made.get((kind, value))
        if made is None:
            self._counts[kind] = number = self._counts.get(kind, 0) + 1
            made = self._made[kind, value] = f"{kind}{number}"
        return made


_MAIL_MADE = re.compile(r"person\d+@company\d+\.example")
