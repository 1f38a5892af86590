"""Who is meant by a role, found just before sending: the outbox holds no address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wellkept.action import Recipient
from wellkept.effects import Target
from wellkept.identity.keys import Key, email_form
from wellkept.pipeline.outgoing import Outgoing
from wellkept.records import Account, Person
from wellkept.store import accounts as room
from wellkept.store import evidence, messages
from wellkept.store.engine import Reader
from wellkept.trust import address_form

TEAM = "team"


class Found(NamedTuple):
    """A recipient, or why there is none.

    Attributes:
        recipient: Who it is.
        time_zone: Theirs, where it is known.
        problem: Why there is nobody, and what to do about it.
    """

    recipient: Recipient | None
    time_zone: str | None = None
    problem: str = ""


def team_parts(out: Outgoing) -> list[str]:
    """Return one role per address behind ``team``: ``team:DIGEST``, so that each is an effect of its own."""
    return [f"{TEAM}:{name}" for name in _team(out)]


def _team(out: Outgoing) -> dict[str, str]:
    """Return the team's addresses by a part of their digest; two spellings of one address are one."""
    found: dict[str, str] = {}
    for address in out.messages.team:
        found.setdefault(messages.digest(out.key, address)[:32], address)
    return found


def find(out: Outgoing, reader: Reader, who: str, account: str, locale: str | None) -> Found:
    """Find the person behind a role.

    Args:
        out: The delivery.
        reader: Where to read.
        who: ``billing``, ``owner`` (the first of the team where nobody owns the account), ``team:DIGEST`` or
            ``person:INSTANCE:ID``.
        account: The canonical account id.
        locale: The language that the message asks for.
    """
    kind, _, rest = who.partition(":")
    accounts = sorted(out.tables.owned(reader, Account, account), key=lambda item: (item[0], item[1].id))
    spoken = next((record.locale for _, record in accounts if record.locale), None) or out.general.locale
    if who == "billing":
        found = _billing(out, reader, account, accounts)
        problem = "the account has no billing contact with an address; add one at the vendor that bills it"
    elif who == "owner":
        found = _owner(out, reader, accounts) or next(map(_plain, out.messages.team), None)
        problem = "nobody on our side owns the account; set an owner at the vendor that keeps accounts, or `team` of [messages]"
    elif kind == TEAM and rest:
        found = _plain(_team(out).get(rest))
        problem = "the address is not in `team` of [messages] any more"
    elif kind == "person":
        instance, _, id_ = rest.partition(":")
        found = _person(instance, out.tables.get(reader, Person, instance, id_))
        problem = "the person is gone, or has no address"
    else:
        return Found(None, problem=f"{who!r} is no role; use billing, owner, team or person:INSTANCE:ID")
    if found is None:
        return Found(None, problem=problem)
    address, instance, person = found
    recipient = Recipient(
        address=address,
        name=person.name if person else None,
        locale=locale or (person.locale if person else None) or spoken,
        person=Target(instance=instance, type=Person.type, id=person.id) if person else None,
    )
    return Found(recipient, person.time_zone if person else None)


def is_gone(reader: Reader, account: str) -> bool:
    """Say whether an account is no longer one."""
    return reader.one("SELECT 1 FROM accounts WHERE id = ? AND state = 'active'", (account,)) is None


def account_name(reader: Reader, account: str) -> str | None:
    """Return what to call an account in a text: the name that counts among those of its records."""
    row = room.account(reader, account)
    return None if row is None else row.name


def consents(out: Outgoing, reader: Reader, recipient: Recipient, account: str) -> bool:
    """Say whether a recipient has agreed to marketing: the strictest of all that is known of that human.

    One vendor's no outweighs every yes, also one that was said under another address of the same human; and silence everywhere
    is a no.
    """
    form = address_form(recipient.address)
    known: list[bool | None] = [
        person.marketing_consent
        for person in _namesakes(out, reader, recipient, account)
        if person.email and address_form(person.email) == form
    ]
    known += [person.marketing_consent for person in _same_human(out, reader, recipient)]
    return True in known and False not in known


def _same_human(out: Outgoing, reader: Reader, recipient: Recipient) -> Iterator[Person]:
    """Yield the records of a recipient at all vendors: those with the same address, or the same id of ours."""
    seeds = {("email", Key("email", form).digest) for form in (email_form(recipient.address),) if form}
    if recipient.person is not None:
        node = room.Node(recipient.person.instance, recipient.person.id)
        own = evidence.own_keys(reader, Person.type, [node]).get(node, ())
        seeds |= {(key.kind, key.digest) for key in own if key.kind in {"email", "user"}}
    for node in sorted(evidence.humans(reader, seeds)):
        person = out.tables.get(reader, Person, *node)
        if person is not None:
            yield person


def _namesakes(out: Outgoing, reader: Reader, recipient: Recipient, account: str) -> Iterator[Person]:
    """Yield everybody who may be the recipient: the account's people, and whoever has the address elsewhere."""
    yield from out.tables.of_account(reader, Person, account)
    for _, person in out.tables.rows(reader, Person, "lower(t.email) = lower(?)", (recipient.address,)):
        yield person


def _billing(
    out: Outgoing, reader: Reader, account: str, accounts: Sequence[tuple[str, Account]]
) -> tuple[str, str, Person | None] | None:
    people = [
        (not person.email_verified, instance, person.id, person)
        for instance, person in out.tables.owned(reader, Person, account)
        if "billing" in person.roles and person.email
    ]
    if people:
        _, instance, _, person = min(people, key=lambda item: item[:3])
        return _person(instance, person)
    return next((_plain(record.email) for _, record in accounts if record.email), None)


def _owner(out: Outgoing, reader: Reader, accounts: Sequence[tuple[str, Account]]) -> tuple[str, str, Person | None] | None:
    for instance, record in accounts:
        if record.owner_ref is None:
            continue
        if "@" in record.owner_ref:
            return _plain(record.owner_ref)
        found = _person(instance, out.tables.get(reader, Person, instance, record.owner_ref))
        if found is not None:
            return found
    return None


def _person(instance: str, person: Person | None) -> tuple[str, str, Person | None] | None:
    return None if person is None or not person.email else (person.email, instance, person)


def _plain(address: str | None) -> tuple[str, str, Person | None] | None:
    return None if not address else (address, "", None)
