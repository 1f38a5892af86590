"""Names of companies, compared. A name joins no records; it can only speak against weak evidence, or make a suggestion."""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal

Likeness = Literal["same", "like", "unknown", "unlike"]
"""``same`` but for spelling and legal form; ``like``: one may be the other's short form; ``unknown``: nothing to compare."""

LEGAL_FORMS = frozenset(
    {
        "ab", "ag", "aps", "as", "asa", "bhd", "bv", "bvba", "co", "company", "corp", "corporation", "doo", "eood", "eurl",
        "gbr", "gesmbh", "gmbh", "hf", "holding", "holdings", "inc", "incorporated", "international", "kft", "kg", "kgaa", "kk",
        "limited", "limitada", "llc", "llp", "lp", "ltd", "ltda", "mbh", "nv", "oe", "og", "ohg", "oy", "oyj", "plc", "pllc",
        "private", "pt", "pte", "pty", "pvt", "sa", "sab", "sapi", "sarl", "sas", "sasu", "sdn", "se", "sia", "sl", "slu",
        "spa", "spol", "spzoo", "srl", "sro", "ug", "ulc", "vof", "zoo", "zrt",
    }
)  # fmt: skip
"""Words at the end of a name that only say what kind of company it is."""

CJK_FORMS = (
    "股份有限公司", "有限责任公司", "有限公司", "公司", "集团",
    "株式会社", "合同会社", "有限会社",
    "주식회사", "유한회사",
)  # fmt: skip
"""The same where words are not apart; they stand at either end."""

GENERIC = frozenset({"the", "and", "und", "et", "of", "de", "group", "global", "solutions", "services", "team", "www"})
"""Words that distinguish nobody."""

LIKE = 0.84
"""Share of equal letters from which two names are the same one with a typing error: one wrong letter in seven."""

_WORD = re.compile(r"[^\W_]+")


@lru_cache(maxsize=131_072)
def words(name: str) -> tuple[str, ...]:
    """Return a name's words: without accents, case, punctuation and legal form."""
    text = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ø", "o").replace("Ø", "o").replace("ł", "l"))
    text = "".join(char for char in text if not unicodedata.combining(char)).casefold()
    text = unicodedata.normalize("NFC", text).replace("&", " and ").replace("'", "").replace("\u2019", "")
    for form in CJK_FORMS:
        text = text.removesuffix(form).removeprefix(form) if len(text) > len(form) else text
    text = re.sub(r"\b(?:[a-z]\.){2,}", lambda match: match.group().replace(".", ""), text)  # s.r.o., b.v.
    found = [_plain(word) for word in _WORD.findall(text) if word not in {"and", "und", "et"}]
    while len(found) > 1 and (found[-1] in LEGAL_FORMS):
        found.pop()
    while len(found) > 1 and found[0] == "the":
        found.pop(0)
    return tuple(found)


def fold(name: str) -> str:
    """Return a name's words in one: what spelling variants of one name have in common."""
    return "".join(words(name))


def skeleton(name: str) -> str:
    """Return what a name keeps through most typing errors: its first letter, and its other consonants, none doubled."""
    text = fold(name)
    kept = text[:1] + re.sub(r"[aeiouyh]", "", text[1:])
    return re.sub(r"(.)\1+", r"\1", kept)


@lru_cache(maxsize=131_072)
def likeness(a: str, b: str) -> Likeness:
    """Say how alike two names are. The order does not matter."""
    one, two = sorted((words(a), words(b)))
    if not one or not two:
        return "unknown"
    left, right = "".join(one), "".join(two)
    if left == right or sorted(one) == sorted(two) or _typo(left, right):
        return "same"
    if _script(left) != _script(right):
        return "unknown"
    if _contains(one, two) or _contains(two, one) or _is_acronym(one, two) or _is_acronym(two, one):
        return "like"
    short, long = sorted((left, right), key=len)
    if (len(short) >= 4 and long.startswith(short)) or (len(short) >= 3 and _is_unspaced(short) and short in long):
        return "like"
    return "unlike"


def are_siblings(a: str, b: str) -> bool:
    """Say whether two unlike names are those of parts of one house: ``Acme France`` and ``Acme Germany``.

    They have a telling word in common, and each has one that the other lacks.
    """
    if likeness(*sorted((a, b))) != "unlike":
        return False
    mine, theirs = _telling(words(a)), _telling(words(b))
    return bool(mine & theirs and mine - theirs and theirs - mine)


def fits_domain(name: str, label: str) -> bool:
    """Say whether a domain may be named after a company: ``bluesky`` after ``Blue Sky Inc``."""
    text, plain = fold(name), "".join(map(_plain, _WORD.findall(label.casefold())))
    if not text or not plain:
        return False
    return (
        _typo(text, plain)
        or (len(plain) >= 3 and text.startswith(plain))
        or (len(text) >= 3 and plain.startswith(text))
        or _is_acronym((plain,), words(name))
        or any(len(word) >= 5 and word not in GENERIC and plain.startswith(word) for word in words(name)[:1])
    )


def is_persons(name: str, email: str) -> bool:
    """Say whether a record's name is that of the person whose address it has: ``Jane Doe``, ``jane.doe@acme.com``.

    Billing systems often know only who paid; such a name says nothing about the company.
    """
    local = "".join(map(_plain, _WORD.findall(email.partition("@")[0].casefold())))
    parts = words(name)
    if not 2 <= len(parts) <= 4 or not local or not all(part.isalpha() for part in parts):
        return False
    first, last = parts[0], parts[-1]
    initials = {first[0] + last, first + last[0], last + first[0], last[0] + first}
    forms = {first + last, last + first, "".join(parts), first, last} | initials
    return local.rstrip("0123456789") in forms


def _typo(a: str, b: str) -> bool:
    """Say whether two words differ by a typing error at most; short ones must be equal, and numbers never err."""
    if a == b or (len(a) >= 4 and _is_swapped(a, b)):
        return True
    if min(len(a), len(b)) < 5 or abs(len(a) - len(b)) > 2 or _digits(a) != _digits(b):
        return False
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    return matcher.real_quick_ratio() >= LIKE and matcher.quick_ratio() >= LIKE and matcher.ratio() >= LIKE


def _is_swapped(a: str, b: str) -> bool:
    """Say whether two neighbouring letters stand the other way round, and nothing else differs."""
    differ = [place for place, (one, other) in enumerate(zip(a, b, strict=False)) if one != other]
    if len(a) != len(b) or len(differ) != 2 or differ[1] != differ[0] + 1 or _digits(a) != _digits(b):
        return False
    first, second = differ
    return a[first] == b[second] and a[second] == b[first]


def _is_unspaced(text: str) -> bool:
    """Say whether a text is of a script without spaces, where a short name stands within the long one: behind a city, say."""
    return _script(text) in {"CJK", "HIRAGANA", "KATAKANA", "HANGUL"}


def _plain(word: str) -> str:
    """Return a word with ``ue`` as ``u`` and so on, since umlauts are written either way."""
    return word.replace("ae", "a").replace("oe", "o").replace("ue", "u")


def _digits(text: str) -> str:
    return "".join(char for char in text if char.isdigit())


def _contains(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    """Say whether all telling words of one name are in the other."""
    telling = _telling(short)
    return bool(telling) and telling <= set(long)


def _telling(found: tuple[str, ...]) -> set[str]:
    """Return the words that distinguish somebody."""
    return {word for word in found if word not in GENERIC and (len(word) > 1 or word.isdigit())}


def _is_acronym(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    return len(short) == 1 and len(long) >= 3 and len(short[0]) >= 3 and short[0] == "".join(word[0] for word in long)


def _script(text: str) -> str:
    """Return the script of most letters, as far as Unicode's names tell."""
    found: dict[str, int] = {}
    for char in text:
        kind = unicodedata.name(char, "?").partition(" ")[0]
        found[kind] = found.get(kind, 0) + 1
    return max(sorted(found), key=lambda kind: found[kind])
