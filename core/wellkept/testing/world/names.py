"""Names of companies and people in several scripts, with the ASCII forms that stand in their addresses."""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

_WORDS: Mapping[str, Any] = tomllib.loads(Path(__file__).with_name("names.toml").read_text(encoding="utf-8"))

FIRST: Sequence[str] = _WORDS["first"]
SECOND: Mapping[str, Sequence[str]] = _WORDS["second"]
CITY: Sequence[str] = _WORDS["city"]
CJK_FIRST: Mapping[str, Sequence[tuple[str, str]]] = _WORDS["cjk_first"]
CJK_SECOND: Mapping[str, Sequence[tuple[str, str]]] = _WORDS["cjk_second"]
GIVEN: Mapping[str, Sequence[tuple[str, str]]] = _WORDS["given"]
FAMILY: Mapping[str, Sequence[tuple[str, str]]] = _WORDS["family"]

_LETTERS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "o", "ł": "l", "ð": "d", "þ": "th", "æ": "ae", "Ä": "Ae", "Ö": "Oe",
     "Ü": "Ue", "Ł": "L", "Þ": "Th"}
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a company is.

    Attributes:
        country: ISO 3166.
        weight: Its share of customers, against the other places.
        locale: BCP 47 tag.
        language: Key of `SECOND`, or of the CJK tables.
        currency: What one pays there with.
        forms: Legal forms, with ``{}`` for the name.
        suffix: The ending of domains there.
        phone: How a number there is written, E.164, for the digits of one.
        tax: How a tax id begins; None where there is none.
        mail: Providers of free mail.
    """

    country: str
    weight: int
    locale: str
    language: str
    currency: str
    forms: Sequence[str]
    suffix: str
    phone: str
    mail: Sequence[str]
    tax: str | None = None

    @property
    def script(self) -> str:
        """The key of `GIVEN` and `FAMILY`."""
        return self.language if self.language in CJK_FIRST else "latin"


PLACES = tuple(Place(**place) for place in _WORDS["places"])
"""Names of domains in countries with public suffixes of two parts carry a number, so that none is somebody's."""

FREE_MAIL = frozenset(domain for place in PLACES for domain in place.mail)
"""Providers that the market's people use."""

PLATFORMS = ("myshopify.com", "github.io", "blogspot.com")
"""Where a company may have a sub-domain and nothing else; they are public suffixes, of the private section."""

_COMBINATIONS = len(FIRST) * len(SECOND["en"]) * len(CITY)
_STRIDE = 31_393
"""It shares no factor with the number of combinations: stepping by it meets every name once before any twice."""


def slug(text: str) -> str:
    """Return a name as domains and addresses spell it."""
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS)).encode("ascii", "ignore").decode().lower()
    return "-".join("".join(letter if letter.isalnum() else " " for letter in plain).split())


def company_name(draw: Random, place: Place, number: int, start: int) -> tuple[str, str]:
    """Return a name and what its domain is made of; Latin names are unlike all others of the market.

    Args:
        draw: Chance.
        place: Where the company is.
        number: Its number in the market.
        start: Where the market begins in the list of all names.
    """
    if place.script != "latin":
        first, second = draw.choice(CJK_FIRST[place.language]), draw.choice(CJK_SECOND[place.language])
        return first[0] + second[0], f"{first[1]}-{second[1]}-{number}"
    index = (start + number * _STRIDE) % _COMBINATIONS
    index, first_at = divmod(index, len(FIRST))
    city_at, second_at = divmod(index, len(SECOND["en"]))
    words = (FIRST[first_at], SECOND[place.language][second_at], CITY[city_at])
    name = " ".join(words)
    tail = f"-{number}" if "." in place.suffix or number > _COMBINATIONS else ""
    return name, slug(name) + tail


def human_name(draw: Random, script: str) -> tuple[str, str, str]:
    """Return a name, and the ASCII forms of given and family name."""
    given, family = draw.choice(GIVEN[script]), draw.choice(FAMILY[script])
    full = f"{given[0]} {family[0]}" if script == "latin" else family[0] + given[0]
    return full, given[1], family[1]


def slip(draw: Random, text: str) -> str:
    """Return a text in which two neighbouring letters have changed places, or one has gone."""
    places = [
        at for at in range(1, len(text) - 2) if text[at].isalpha() and text[at + 1].isalpha() and text[at] != text[at + 1]
    ]
    if not places:
        return text
    at = draw.choice(places)
    if draw.random() < 0.6:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + text[at + 1 :]
