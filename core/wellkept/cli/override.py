"""``wellkept override``: a person's word on an account's band."""

from __future__ import annotations

import getpass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from wellkept.cli.app import App, VerbGroup, pass_app
from wellkept.cli.exits import Exit
from wellkept.cli.times import Span, instant

if TYPE_CHECKING:
    from wellkept.runtime import Runtime
    from wellkept.scorer import Scorer


@click.group(cls=VerbGroup)
def override() -> None:
    """Set and end a band by hand, with a reason and an end; the computed score is shown beside it."""


@override.command("set")
@click.argument("account")
@click.argument("band")
@click.option("--reason", required=True, help="Why; shown wherever the band is.")
@click.option("--for", "span", type=Span(), default="14d", show_default=True, help="How long, at most 30d.")
@click.option("--author", default=getpass.getuser, show_default="your user name", help="Who says so.")
@click.option("--scorer", "name", default="health", show_default=True, help="Which score.")
@pass_app
def put(app: App, account: str, band: str, *, reason: str, span: timedelta, author: str, name: str) -> Exit:
    """Set the BAND of an ACCOUNT (its id, or its name where that is clear)."""
    from wellkept.store import overrides

    with app.runtime() as runtime:
        chosen, scorer = find_account(runtime, account), find_scorer(runtime, name)
        now = runtime.clock.now()
        until = now + round(span.total_seconds() * 1000)
        runtime.store.write_now(
            lambda tx: overrides.put(
                tx,
                account=chosen,
                scorer=name,
                band=band,
                bands=scorer.bands,
                reason=reason,
                author=author,
                now=now,
                expires_at=until,
            )
        )
        shown = instant(until, ZoneInfo(runtime.settings.wellkept.timezone))
    app.out.line(f"{chosen}: {name} counts as {band} until {shown}.", "good")
    app.out.document({"ok": True, "account": chosen, "scorer": name, "band": band, "expires_at": until})
    return Exit.OK


@override.command()
@click.argument("account")
@click.option("--scorer", "name", default="health", show_default=True, help="Which score.")
@pass_app
def end(app: App, account: str, *, name: str) -> Exit:
    """End an override now; the computed band counts again."""
    from wellkept.errors import ConfigError
    from wellkept.store import overrides

    with app.runtime() as runtime:
        chosen, now = find_account(runtime, account), runtime.clock.now()
        if not runtime.store.write_now(lambda tx: overrides.end(tx, chosen, name, now)):
            raise ConfigError(f"{chosen} has no override of {name}", guidance="`wellkept override list` shows those in force")
    app.out.line(f"{chosen}: the computed {name} counts again.", "good")
    app.out.document({"ok": True, "account": chosen, "scorer": name})
    return Exit.OK


@override.command("list")
@click.option("--scorer", "name", default="health", show_default=True, help="Which score.")
@pass_app
def list_overrides(app: App, *, name: str) -> Exit:
    """List the overrides in force."""
    import msgspec

    from wellkept.store import overrides

    with app.store() as (config, store), store.read() as reader:
        zone = ZoneInfo(config.settings.wellkept.timezone)
        found = list(overrides.active(reader, name, store.clock.now()).values())
    rows = [[item.account, item.band, instant(item.expires_at, zone), item.author, item.reason] for item in found]
    app.out.table(["account", "band", "until", "by", "reason"], rows)
    app.out.document({"overrides": [msgspec.to_builtins(item) for item in found]})
    return Exit.OK


def find_account(runtime: Runtime, text: str) -> str:
    """Return the canonical account that a person means: an id, a vendor's id, or a name that only one account has.

    Raises:
        ConfigError: No account, or several.
    """
    from wellkept.errors import ConfigError
    from wellkept.store import accounts

    with runtime.store.read() as reader:
        found = list(accounts.accounts(reader, text))
        exact = [row for row in found if (row.name or "").casefold() == text.casefold().strip()] or found
        known = accounts.canonical(reader, text)
    if known is not None:
        return known
    if len(exact) == 1:
        return exact[0].id
    if not exact:
        raise ConfigError(f"no account is called {text!r}", guidance="`wellkept accounts` lists them")
    names = ", ".join(row.id for row in exact[:5])
    raise ConfigError(f"{len(exact)} accounts match {text!r}: {names}", guidance="give one of these ids")


def find_scorer(runtime: Runtime, name: str) -> Scorer:
    """Return a scorer by its name. Raises `ConfigError` with the nearest name."""
    from wellkept.config.explain import suggest
    from wellkept.errors import ConfigError

    found: Any = runtime.scorers.get(name)
    if found is None:
        raise ConfigError(f"there is no score {name!r}", guidance=suggest(name, runtime.scorers, kind="scores"))
    scorer: Scorer = found[1]
    return scorer
