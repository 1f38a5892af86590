"""Evidence: what of a record may be the same in another one, brought to one form.

A key is a kind and a value. Only its digest is stored; who explains a link makes the keys of the records again and compares.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from wellkept.identity.domains import ascii_domain, label
from wellkept.identity.names import fits_domain, fold, is_persons, skeleton
from wellkept.identity.rules import Rules
from wellkept.records import Account, Person
from wellkept.store.accounts import digest

Kind = Literal["external_id", "merged", "tax_id", "email", "phone", "domain", "fits", "name", "user", "person"]
"""What is the same. ``merged``: the vendor merged the record that is named; ``fits``: a domain that may be named after the
company; ``name``: its name, and how it sounds, for suggestions; ``user``: our id of a person;
``person``: nothing is, but it is known for which account a person spoke."""

Role = Literal["own", "verified", "unverified", "several", "site", "mail", "people", "somebody"]
"""Where a key comes from. An address: the account's ``own``, or a person's, ``verified`` or ``unverified``; that of
somebody whom the vendor knows at ``several`` accounts joins nothing. A domain: a
``site`` that the vendor keeps for the account, that of its own ``mail``, that of most of its ``people``, or of ``somebody``
alone."""

PLACEHOLDERS = frozenset(
    {
        "anonymous", "blank", "default", "demo", "dummy", "empty", "false", "free", "guest", "internal", "missing", "n.a",
        "n/a", "n\\a", "na", "nan", "new", "nil", "no", "no account", "no id", "none", "not applicable", "not available",
        "not found", "not set", "null", "pending", "placeholder", "sample", "tba", "tbc", "tbd", "test", "todo", "trial",
        "true", "unassigned", "undefined", "unknown", "unset", "yes",
    }
)  # fmt: skip
"""External ids that stand for none; so does everything that consists of zeros, dashes, x, question marks and the like alone,
and -1."""

NOBODY = frozenset({"noreply", "no-reply", "donotreply", "do-not-reply", "none", "null", "unknown", "nobody", "na", "n/a"})
"""Local parts of addresses that stand for none."""

STAFF = "agent"
"""The role of people on our side; they are nobody's customer."""

_TAX_PREFIX = re.compile(r"[A-Z]{2}(?=[0-9A-Z]*[0-9])")


class Key(NamedTuple):
    """One piece of evidence in plain."""

    kind: Kind
    value: str
    role: Role = "own"

    @property
    def digest(self) -> str:
        """What is stored in its place."""
        return digest("domain" if self.kind == "fits" else self.kind, self.value)


def believable(external_id: str | None) -> str | None:
    """Return an external id, without blanks around it, unless it stands for none."""
    text = (external_id or "").strip()
    bare = " ".join(re.split(r"[\s_-]+", text.lower().strip(" ()[]{}<>#.\"'")))
    if bare in PLACEHOLDERS or not text.lower().strip("0-. _?*#x()[]{}<>") or text == "-1":
        return None
    return text


def email_form(text: str | None) -> str | None:
    """Return an address in the form in which two are compared; None where it is none.

    Lower case, the domain in ASCII. What stands behind a plus stays: it may be somebody else. Dots are left out at Gmail
    alone, which ignores them.
    """
    local, at, domain = (text or "").strip().lower().rpartition("@")
    host = ascii_domain(domain)
    if not at or not local or host is None or local in NOBODY or any(char.isspace() for char in local):
        return None
    if host in {"gmail.com", "googlemail.com"}:
        local, host = local.replace(".", ""), "gmail.com"
    return f"{local}@{host}" if local else None


def phone_form(text: str | None) -> str | None:
    """Return a phone number as E.164; None unless it is in international form, since a national one may be many."""
    number = re.sub(r"\(0\)", "", text or "").strip().lower().removeprefix("tel:")
    number = re.sub("[\u2010-\u2015\u2212]", "-", number)
    number = re.split(r"\s*(?:ext|x|;|,|#)", number)[0]
    if not re.fullmatch(r"(?:\+|00)[\d\s().\-/\u00a0]+", number):
        return None
    digits = re.sub(r"\D", "", number)
    digits = digits.removeprefix("00") if number.startswith("00") else digits
    if not 8 <= len(digits) <= 15 or digits.startswith("0") or len(set(digits[3:])) < 2:
        return None
    return f"+{digits}"


def tax_form(text: str, country: str | None = None) -> str | None:
    """Return a tax number without spaces and marks, the country in front; None for what is too short to be one."""
    number = re.sub(r"(?<=[0-9])(?:MWST|TVA|IVA|MVA|VAT)$", "", re.sub(r"[^0-9A-Z]", "", text.upper()))
    digits = re.sub(r"\D", "", number)
    if len(digits) < 5 or len(set(digits)) < 2:
        return None
    if not _TAX_PREFIX.match(number) and country and len(country.strip()) == 2:
        number = f"{country.strip().upper()}{number}"
    return number


def account_keys(account: Account, people: Sequence[Person], rules: Rules) -> list[Key]:
    """Return the keys of an account record, but for its people's addresses; see `person_keys`.

    Args:
        account: The record; a deleted one as it was last. Whom the vendor has merged with it is for its caller to add.
        people: Who belongs to it by the vendor's word.
        rules: The rules.
    """
    keys: list[Key] = []
    external_id = None if account.merged_into else our_id(account.external_id, rules) or _by_people(people, rules)
    if external_id is not None:
        keys.append(Key("external_id", external_id))
    if is_test(account, rules) is not None:
        return keys
    keys += [Key("tax_id", number) for text in account.tax_ids if (number := tax_form(text, account.country))]
    email, phone = email_form(account.email), phone_form(account.phone)
    if email is not None and rules.believes_address(email):
        keys.append(Key("email", email))
    if phone is not None:
        keys.append(Key("phone", phone))
    domains = domain_keys(account, people, rules)
    keys += domains
    if name := company_name(account, people):
        keys += [Key("name", fold(name)), Key("name", f"~{skeleton(name)}")]
        keys += [Key("fits", key.value) for key in domains if fits_domain(name, label(key.value))]
    return sorted(set(keys))


def domain_keys(account: Account, people: Sequence[Person], rules: Rules) -> list[Key]:
    """Return an account record's domains.

    Those that the vendor keeps for it; where it keeps none, that of its own address; where it has none of its own, that of most
    of its people, which somebody who has moved or works for others is not.
    """
    sites = {domain for text in account.domains if (domain := rules.company_domain(text, site=True))}
    if sites:
        return [Key("domain", domain, "site") for domain in sorted(sites)]
    if account.email:
        domain = rules.company_domain(account.email) if "@" in account.email else None
        return [] if domain is None else [Key("domain", domain, "mail")]
    counts = Counter(
        domain
        for person in people
        if person.email and "@" in person.email and not is_staff(person) and (domain := rules.company_domain(person.email))
    )
    if not counts:
        return []
    (domain, most), *others = counts.most_common(2)
    if others and others[0][1] == most:
        return []
    return [Key("domain", domain, "people" if most > 1 else "somebody")]


def person_keys(person: Person, rules: Rules, *, stray: bool = False) -> list[Key]:
    """Return the keys of a person: addresses and our id of them.

    Args:
        person: The person.
        rules: The rules.
        stray: No account record is named, or one that is unknown: what may tell the account is a key as well.
    """
    if is_staff(person) or person.test:
        return []
    role: Role = "several" if person.other_account_refs else "verified" if person.email_verified else "unverified"
    forms = {form: role for text in (person.email,) if (form := email_form(text))}
    for text in person.other_emails:
        if form := email_form(text):
            forms.setdefault(form, role)
    keys = [Key("email", form, role) for form, role in forms.items() if rules.believes_address(form)]
    if (user := believable(person.external_id)) is not None:
        keys.append(Key("user", user))
    if stray or person.account_ref is None:
        if (external_id := our_id(person.account_external_id, rules)) is not None:
            keys.append(Key("external_id", external_id))
        if person.email and "@" in person.email and (domain := rules.company_domain(person.email)):
            keys.append(Key("domain", domain, "somebody"))
    return sorted(set(keys))


def is_staff(person: Person) -> bool:
    """Say whether a person is one of us."""
    return STAFF in person.roles


def is_test(account: Account, rules: Rules) -> Literal["flag", "pattern"] | None:
    """Say whether an account record is no customer's: because the vendor says so, or because it looks so."""
    if account.test:
        return "flag"
    texts = [text for text in (account.email, *account.domains) if text]
    domains = {domain for text in texts if (domain := ascii_domain(text))}
    parents = {domain.split(".", index)[index] for domain in domains for index in range(domain.count("."))}
    return "pattern" if rules.is_test(account.name, domains | parents) else None


def company_name(account: Account, people: Iterable[Person] = ()) -> str | None:
    """Return what an account record calls the company: None where it has a person's name or address in its place."""
    name = (account.name or "").strip()
    if not name or "@" in name:
        return None
    addresses = [account.email, *(person.email for person in people)]
    if any(is_persons(name, address) for address in addresses if address):
        return None
    return name


def our_id(text: str | None, rules: Rules) -> str | None:
    """Return an external id in the form in which two are compared; None where it is none."""
    found = believable(text)
    return found if found is None or rules.case_sensitive_ids else found.casefold()


def _by_people(people: Sequence[Person], rules: Rules) -> str | None:
    """Return the id of ours for the account that all its people name who name one."""
    found = {our_id(person.account_external_id, rules) for person in people if not is_staff(person)} - {None}
    return found.pop() if len(found) == 1 else None
