"""What ``[identity]`` says, made ready for use: which domains are evidence, what is a test, and how much may hang together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec

from wellkept.errors import ConfigError
from wellkept.identity.domains import WEB_HOSTS, is_disposable, is_free_mail, registrable
from wellkept.settings import Identity

VERSION = 2
"""Grows with every change of the rules, so that everything is resolved again by the new ones."""

ListName = Literal["free", "shared", "own", "not_shared"]

LIST_NAMES: tuple[ListName, ...] = ("free", "shared", "own", "not_shared")
"""What the file of domains may call a domain."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """The rules of identity.

    Attributes:
        hub_limit: Account records with one e-mail address, phone number, domain or tax number above which it is a hub.
        max_records: Account records that weak evidence may bring together in one account.
        case_sensitive_ids: Whether external ids that differ in case alone are different ones.
        unbelieved: Registrable domains that are no evidence: free mail, shared ones, our own.
        strangers: Of these, the ones at which not even a single address is: shared ones and our own.
        believed: Registrable domains that are evidence, whatever the lists say.
        test_names: Patterns of names of test accounts, in lower case.
        test_domains: Domains of test accounts.
        sources: Instances, the most trusted first.
        fields: The same for single fields.
    """

    hub_limit: int = 20
    max_records: int = 200
    case_sensitive_ids: bool = False
    unbelieved: frozenset[str] = frozenset()
    strangers: frozenset[str] = frozenset()
    believed: frozenset[str] = frozenset()
    test_names: tuple[str, ...] = ()
    test_domains: frozenset[str] = frozenset()
    sources: tuple[str, ...] = ()
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Identity, base: Path = Path()) -> Rules:
        """Return the rules that a person configured.

        Args:
            settings: The table ``[identity]``.
            base: What the file of domains is relative to.

        Raises:
            ConfigError: The file of domains cannot be read, or a line or key of it names no domain.
        """
        lists: dict[ListName, set[str]] = {
            "free": _domains(settings.free_domains, "free_domains"),
            "shared": _domains(settings.shared_domains, "shared_domains"),
            "own": _domains(settings.own_domains, "own_domains"),
            "not_shared": _domains(settings.not_shared, "not_shared"),
        }
        if settings.domains_file is not None:
            for name, domain in read_domains(base / settings.domains_file):
                lists[name].add(domain)
        return cls(
            hub_limit=settings.hub_limit,
            max_records=settings.max_records,
            case_sensitive_ids=settings.case_sensitive_ids,
            unbelieved=frozenset(lists["free"] | lists["shared"] | lists["own"]),
            strangers=frozenset(lists["shared"] | lists["own"]),
            believed=frozenset(lists["not_shared"]),
            test_names=tuple(pattern.casefold() for pattern in settings.test_names),
            test_domains=frozenset(_domains(settings.test_domains, "test_domains")),
            sources=tuple(settings.sources),
            fields={name: tuple(order) for name, order in settings.fields.items()},
        )

    @property
    def fingerprint(self) -> str:
        """What tells these rules from other ones."""
        parts = (VERSION, *((name, _plain(getattr(self, name))) for name in self.__slots__))
        return sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:20]

    def company_domain(self, text: str, *, site: bool = False) -> str | None:
        """Return the registrable domain in a text where it is evidence of a company, else None.

        Args:
            text: An address, a domain or a URL.
            site: It is a web site, and may be a page at somebody else's.
        """
        domain = registrable(text)
        if domain is None or domain in self.believed:
            return domain
        if domain in self.unbelieved or is_free_mail(domain) or (site and domain in WEB_HOSTS):
            return None
        return domain

    def believes_address(self, email: str) -> bool:
        """Say whether an address is evidence: at any domain, but those that are ours, shared, or of throw-away addresses."""
        domain = registrable(email)
        if domain is None:
            return False
        return domain in self.believed or not (domain in self.strangers or is_disposable(domain))

    def is_test(self, name: str | None, domains: Iterable[str]) -> bool:
        """Say whether a name or one of the registrable domains is that of a test account."""
        text = " ".join((name or "").casefold().split())
        if text and any(fnmatchcase(text, pattern) for pattern in self.test_names):
            return True
        return not self.test_domains.isdisjoint(domains)


def read_domains(path: Path) -> list[tuple[ListName, str]]:
    """Read the file of domains: one domain in a line, and behind it what it is; ``#`` begins a remark.

    Raises:
        ConfigError: It cannot be read, or a line is wrong; names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}", guidance="mend `domains_file` of [identity]") from error
    found: list[tuple[ListName, str]] = []
    for number, line in enumerate(lines, start=1):
        parts = line.partition("#")[0].split()
        if not parts:
            continue
        domain = registrable(parts[0])
        kind = next((name for name in LIST_NAMES if parts[1:] == [name]), None)
        if domain is None or kind is None:
            raise ConfigError(
                f"{path}:{number}: {line.strip()!r} is not a domain and what it is",
                guidance=f"write a line such as `agency.example.org shared`; it may be {', '.join(LIST_NAMES)}",
            )
        found.append((kind, domain))
    return found


def _domains(texts: Iterable[str], key: str) -> set[str]:
    found = set()
    for text in texts:
        domain = registrable(text)
        if domain is None:
            raise ConfigError(f"[identity] {key}: {text!r} is no domain", guidance="write one such as 'acme.com'")
        found.add(domain)
    return found


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value
