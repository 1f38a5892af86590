"""``wellkept identity``: which vendors' records are one customer, why, and a person's word about it."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import click

from wellkept.cli.app import App, VerbGroup, pass_app
from wellkept.cli.exits import Exit
from wellkept.cli.override import find_account
from wellkept.cli.times import instant

if TYPE_CHECKING:
    from wellkept.identity.review import Explanation, Open, Review, Side
    from wellkept.runtime import Runtime
    from wellkept.store import Tx
    from wellkept.store.accounts import Node

RULES = {
    "record": "the account was made from it",
    "external_id": "our own id",
    "manual": "a person's word",
    "merged": "merged at the vendor",
    "tax_id": "tax number",
    "email": "address that a person has proven",
    "email_unverified": "address",
    "phone": "phone number",
    "domain": "company domain",
    "people": "the same people",
    "name": "like names",
}
"""What joined a record, in words."""

KINDS = {
    "external_id": "ids of ours disagree",
    "manual": "two people's words disagree",
    "contested": "would join customers that cannot be one",
    "crowded": "would join too many records",
    "shared_id": "one id of ours in too many records",
    "hub": "shared by too many records",
    "name": "like names, a suggestion",
}
"""What waits for a decision, in words."""

SHOWN = 6
"""Sides of one entry of the queue that are listed; ``--json`` has all that are kept."""

reason_option = click.option("--reason", required=True, help="Why; kept with the link.")
author_option = click.option("--author", default=getpass.getuser, show_default="your user name", help="Who says so.")
limit_option = click.option("-n", "--limit", type=click.IntRange(1, 100_000), default=30, show_default=True, help="How many.")


@click.group(cls=VerbGroup)
def identity() -> None:
    """Explain, join and part accounts. A record is named INSTANCE:ID, as in stripe:cus_123."""


@identity.command()
@click.argument("account")
@pass_app
def explain(app: App, account: str) -> Exit:
    """Say why the records of an ACCOUNT (its id, a name, or a record INSTANCE:ID) are one customer."""
    with app.runtime() as runtime, runtime.store.read() as reader:
        found = _review(runtime, reader).explain(_find(runtime, account))
        zone = ZoneInfo(runtime.settings.wellkept.timezone)
    _show_explanation(app, found, zone)
    app.out.document(asdict(found))
    return Exit.OK


@identity.command()
@click.option("--instance", help="Only records of this instance.")
@limit_option
@pass_app
def unmatched(app: App, instance: str | None, limit: int) -> Exit:
    """List records that no other vendor's was linked with, and people who belong to no account."""
    with app.runtime() as runtime, runtime.store.read() as reader:
        if instance is not None:
            _check_instance(runtime, instance)
        found = list(_review(runtime, reader).unmatched(instance))
    rows = [[_text(item.record), item.type, item.name, item.account, ", ".join(item.values)] for item in found[:limit]]
    app.out.table(["record", "type", "name", "account", "known by"], rows)
    if len(found) > limit:
        app.out.line(f"... and {len(found) - limit} more.")
    app.out.document({"unmatched": [asdict(item) for item in found[:limit]], "total": len(found)})
    return Exit.OK


@identity.command()
@limit_option
@pass_app
def queue(app: App, limit: int) -> Exit:
    """List what waits for a decision: evidence that was not believed, words that disagree, like names."""
    with app.runtime() as runtime, runtime.store.read() as reader:
        found = _review(runtime, reader).queue()
    for item in found[:limit]:
        _show_open(app, item)
    if not found:
        app.out.line("Nothing waits for a decision.", "good")
    elif len(found) > limit:
        app.out.line(f"... and {len(found) - limit} more.")
    app.out.document({"queue": [asdict(item) for item in found[:limit]], "total": len(found)})
    return Exit.OK


@identity.command()
@click.argument("record")
@click.argument("other")
@reason_option
@author_option
@click.option("--force", is_flag=True, help="Also where their external ids disagree: after an acquisition, say.")
@pass_app
def link(app: App, record: str, other: str, *, reason: str, author: str, force: bool) -> Exit:
    """Say that RECORD and OTHER (each INSTANCE:ID) are the same customer, whatever the rules say."""
    with app.runtime() as runtime:
        a, b = _record(runtime, record), _record(runtime, other)
        relation: Literal["same", "forced"] = "forced" if force else "same"
        _say(runtime, [(a, b)], relation, reason, author)
        accounts = _accounts(runtime, [a, b])
    joined = len(set(accounts.values())) == 1
    if joined:
        app.out.line(f"{record} and {other} are one customer now: {next(iter(accounts.values()))}.", "good")
    else:
        app.out.line(f"{record} and {other} stay two: ids or another word forbid it.", "warn")
        app.out.line("  -> `wellkept identity queue` shows both sides; --force joins them although their ids disagree.", "dim")
    app.out.document({"ok": joined, "linked": joined, "accounts": accounts})
    return Exit.OK if joined else Exit.PARTIAL


@identity.command()
@click.argument("record")
@click.argument("other")
@click.option("--reason", help="Why; kept with the word.")
@author_option
@click.option("--forget", is_flag=True, help="Only take back what a person said about the two; the rules decide again.")
@pass_app
def unlink(app: App, record: str, other: str, *, reason: str | None, author: str, forget: bool) -> Exit:
    """Say that RECORD and OTHER (each INSTANCE:ID) are two customers, whatever the rules say."""
    if not forget and not reason:
        raise click.UsageError("Give a --reason, or --forget.")
    with app.runtime() as runtime:
        a, b = _record(runtime, record), _record(runtime, other)
        if forget:
            _forget(runtime, a, b)
        else:
            _say(runtime, [(a, b)], "apart", reason or "", author)
        accounts = _accounts(runtime, [a, b])
    apart = len(set(accounts.values())) == 2
    app.out.line(f"{record} and {other} are {'two customers' if apart else 'one customer'} now.", "good")
    app.out.document({"ok": True, "linked": not apart, "accounts": accounts})
    return Exit.OK


@identity.command()
@click.argument("account")
@click.argument("records", nargs=-1, required=True, metavar="RECORD...")
@reason_option
@author_option
@pass_app
def split(app: App, account: str, records: tuple[str, ...], *, reason: str, author: str) -> Exit:
    """Part RECORDs (INSTANCE:ID) from an ACCOUNT: they stay together, and never meet the others again."""
    from wellkept.errors import ConfigError
    from wellkept.store import accounts as room

    with app.runtime() as runtime:
        chosen = _find(runtime, account)
        parted = [_record(runtime, record) for record in dict.fromkeys(records)]
        with runtime.store.read() as reader:
            nodes = room.records_of(reader, chosen)
        strange = [_text(node) for node in parted if node not in nodes]
        left = [node for node in nodes if node not in parted]
        if strange or not left:
            what = f"{', '.join(strange)} is not part of {chosen}" if strange else f"nothing would be left of {chosen}"
            raise ConfigError(what, guidance=f"`wellkept identity explain {chosen}` lists its records")
        together = [(parted[0], node) for node in parted[1:]]
        _say(runtime, [(a, b) for a in parted for b in left], "apart", reason, author, together=together)
        accounts = _accounts(runtime, [*parted, *left])
    app.out.table(["record", "account"], [[name, now] for name, now in accounts.items()])
    app.out.line("Scores and pushed values of both follow with the next `wellkept run`.")
    app.out.document({"ok": True, "accounts": accounts})
    return Exit.OK


# --- saying ------------------------------------------------------------------------------------------------------------------


def _say(
    runtime: Runtime,
    pairs: Sequence[tuple[Node, Node]],
    relation: Literal["same", "forced", "apart"],
    reason: str,
    author: str,
    *,
    together: Sequence[tuple[Node, Node]] = (),
) -> None:
    """Write down a word about pairs of records, and resolve."""
    from wellkept.store import accounts as room

    now = runtime.clock.now()
    said = [(a, b, relation) for a, b in pairs] + [(a, b, "same") for a, b in together]

    def job(tx: Tx) -> None:
        for a, b, what in said:
            known = {(link.a, link.b): link for link in room.manual_links(tx, [a])}.get((min(a, b), max(a, b)))
            if what == "same" and relation == "apart" and known is not None:
                continue
            word = room.Manual(a=a, b=b, relation=what, author=author, reason=reason, at=now)
            room.put_manual(tx, word)
            _note(tx, a, b, what, now)

    _resolve(runtime, job)


def _forget(runtime: Runtime, a: Node, b: Node) -> None:
    from wellkept.errors import ConfigError
    from wellkept.store import accounts as room

    now = runtime.clock.now()
    with runtime.store.read() as reader:
        known = [link for link in room.manual_links(reader, [a]) if {link.a, link.b} == {a, b}]
    if not known:
        raise ConfigError(f"nobody has said anything about {_text(a)} and {_text(b)}")

    def job(tx: Tx) -> None:
        room.remove_manual(tx, a, b, now)
        _note(tx, a, b, "forgotten", now)

    _resolve(runtime, job)


def _note(tx: Tx, a: Node, b: Node, what: str, now: int) -> None:
    from wellkept.store import audit
    from wellkept.store.accounts import account_of

    audit.append(tx, f"identity.{what}", account_of(tx, *a) or _text(a), {"a": list(a), "b": list(b)}, now=now)


def _resolve(runtime: Runtime, job: Callable[[Tx], None]) -> None:
    from wellkept.steps import Steps

    asyncio.run(Steps(runtime).link(job))


# --- finding -----------------------------------------------------------------------------------------------------------------


def _review(runtime: Runtime, reader: Any) -> Review:
    from wellkept.identity.review import Review
    from wellkept.steps import Steps

    return Review(reader, runtime.tables, Steps(runtime).rules)


def _record(runtime: Runtime, text: str) -> Node:
    """Return the account record that a person means. Raises `ConfigError`."""
    from wellkept.errors import ConfigError
    from wellkept.records import Account
    from wellkept.store.accounts import Node

    instance, colon, id_ = text.partition(":")
    if not colon or not instance or not id_:
        raise ConfigError(f"{text!r} names no record", guidance="write INSTANCE:ID, as in stripe:cus_123")
    with runtime.store.read() as reader:
        table = runtime.tables.table(Account)
        known = reader.one(f"SELECT 1 FROM {table} WHERE instance = ? AND id = ?", (instance, id_))  # noqa: S608 - from the type
    if known is None:
        _check_instance(runtime, instance)
        raise ConfigError(f"{instance} has no account record {id_!r}", guidance="`wellkept identity unmatched` lists some")
    return Node(instance, id_)


def _find(runtime: Runtime, text: str) -> str:
    """Return the account that a person means, also by one of its records."""
    from wellkept.store.accounts import account_of

    instance, colon, id_ = text.partition(":")
    if colon:
        with runtime.store.read() as reader:
            found = account_of(reader, instance, id_)
        if found is not None:
            return found
    return find_account(runtime, text)


def _check_instance(runtime: Runtime, instance: str) -> None:
    from wellkept.config.explain import suggest
    from wellkept.errors import ConfigError

    if instance in runtime.instances:
        return
    with runtime.store.read() as reader:
        known = {name for (name,) in reader.rows("SELECT DISTINCT instance FROM links")}
    if instance not in known:
        names = sorted(known | set(runtime.instances))
        raise ConfigError(f"there is no instance {instance!r}", guidance=suggest(instance, names, kind="instances"))


def _accounts(runtime: Runtime, nodes: Sequence[Node]) -> dict[str, str | None]:
    from wellkept.store.accounts import account_of

    with runtime.store.read() as reader:
        return {_text(node): account_of(reader, *node) for node in nodes}


# --- showing -----------------------------------------------------------------------------------------------------------------


def _text(node: Sequence[str]) -> str:
    return ":".join(node)


def _show_explanation(app: App, found: Explanation, zone: ZoneInfo) -> None:
    out = app.out
    name = next((item.value for item in found.fields if item.field == "name"), "(no name)")
    out.line(f"{name}  {found.account}{'' if found.state == 'active' else f'  ({found.state})'}", "bold")
    if found.former:
        out.line(f"  also known as {', '.join(found.former)}", "dim")
    rows = [
        [
            f"{_text(item.record)}{' (deleted)' if item.deleted else ''}",
            item.name,
            RULES.get(item.rule, item.rule),
            item.value,
            instant(item.since, zone),
            item.people,
        ]
        for item in found.records
    ]
    out.table(["record", "name", "joined by", "value", "since", "people"], rows)
    fields = [[item.field, item.value, _text(item.origin), ", ".join(sorted(item.others)) or None] for item in found.fields]
    out.table(["field", "value", "says", "others say"], fields, title="What counts")
    for word in found.said:
        relation = {"same": "one customer", "forced": "one customer, by force", "apart": "two customers"}[word.relation]
        when = instant(word.at, zone)
        out.line(f"{_text(word.a)} and {_text(word.b)}: {relation}, says {word.author} ({when}): {word.reason}")
    for item in found.conflicts:
        _show_open(app, item)


def _show_open(app: App, item: Open) -> None:
    rule = RULES.get(item.rule or "", item.rule or "")
    about = f"{rule} {item.value}" if item.value else rule
    more = f" ({item.records} records)" if item.records else ""
    app.out.line(f"{f'{about}: ' if about else ''}{KINDS.get(item.kind, item.kind)}{more}", "warn")
    rows = [_side_cells(side) for side in item.sides[:SHOWN]]
    if rows:
        app.out.table(["record", "name", "account", "our id", "records"], rows)
    if len(item.sides) > SHOWN:
        app.out.line(f"  ... and {len(item.sides) - SHOWN} more sides.", "dim")


def _side_cells(side: Side) -> list[Any]:
    return [_text(side.record), side.name, side.account, side.external_id, len(side.records)]
