"""``wellkept plugins``: what is installed, what it offers, and how its instances are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wellkept.cli.app import App, VerbGroup, pass_app
from wellkept.cli.exits import Exit

if TYPE_CHECKING:
    from wellkept.cli.output import Tone
    from wellkept.config import Config
    from wellkept.plugins.examine import Offer
    from wellkept.store.instances import Remembered


FOUND = {"kept": "kept", "missed": "MISSED", "declared": "declared", "none": "does not apply", "unknown": "unknown"}
TONES: Mapping[str, Tone] = {"missed": "bad", "declared": "warn", "unknown": "warn"}


@click.group(cls=VerbGroup, default="list")
def plugins() -> None:
    """List, inspect and re-enable plugins."""


@plugins.command("list")
@pass_app
def list_(app: App) -> Exit:
    """List installed plugins and their instances. Imports none of them."""
    from wellkept.manifest import ManifestCache
    from wellkept.plugins import find

    found = find()
    cache = ManifestCache()
    config = app.config() if app.config_path.exists() else None
    remembered = _remembered(config) if config else {}
    document: list[dict[str, Any]] = []
    for name, item in found.plugins.items():
        manifest = cache.get(item)
        document.append(
            {
                "plugin": name,
                "distribution": item.distribution,
                "version": item.version,
                "summary": manifest.summary if manifest else item.summary,
                "hooks": list(manifest.hooks) if manifest else None,
                "instances": _instances(config, remembered, name),
            }
        )
    wanted = {table.plugin for table in config.enabled} if config else set()
    missing = sorted(wanted - set(found.plugins) - set(found.ambiguous))
    claims = {name: [item.origin for item in items] for name, items in found.ambiguous.items()}
    rows = [
        [entry["plugin"], entry["distribution"], entry["version"], _states(entry["instances"]), entry["summary"]]
        for entry in document
    ]
    app.out.table(["plugin", "distribution", "version", "instances", "summary"], rows)
    for name in missing:
        app.out.note(f"Problem: {app.config_path} names the plugin {name!r}, which is not installed", "warn")
    for name, origins in claims.items():
        app.out.note(f"Problem: several distributions call a plugin {name!r}: {', '.join(origins)}", "warn")
    app.out.document({"plugins": document, "missing": missing, "ambiguous": claims})
    return Exit.CONFIG if missing or claims else Exit.OK


@plugins.command()
@click.argument("instance")
@pass_app
def enable(app: App, instance: str) -> Exit:
    """Let an instance run again that was paused or disabled by its failures."""
    from wellkept.clock import SystemClock
    from wellkept.config.explain import suggest
    from wellkept.errors import ConfigError
    from wellkept.store import instances

    with app.store() as (config, store):
        if instance not in config.tables:
            mend = suggest(instance, config.tables, kind="instances")
            raise ConfigError(f"there is no instance {instance!r}", path=config.path, guidance=mend)
        now = SystemClock().now()
        before = store.write_now(lambda tx: (instances.load(tx, instance), instances.enable(tx, instance, now))[0])
    was = before.state if before else "ok"
    app.out.line(f"{instance} runs again." if was != "ok" else f"There was nothing against {instance}.", "good")
    app.out.document({"ok": True, "instance": instance, "was": was, "state": "ok"})
    return Exit.OK


@plugins.command()
@click.argument("name")
@pass_app
def inspect(app: App, name: str) -> Exit:
    """Show what a plugin offers, and which rules of the quality scale it keeps. Imports it.

    It is opened with the example of its README in a store that is thrown away; no vendor is called.
    """
    from wellkept.manifest import ManifestCache
    from wellkept.plugins import find, load_named, manifest_of

    found = find()
    loaded = load_named([name], found=found)
    if name not in loaded.loaded:
        app.tell(loaded.problems)
        app.out.document({"ok": False, "problems": [problem.document() for problem in loaded.problems]})
        return Exit.CONFIG
    from wellkept.plugins.examine import examine, keys_of
    from wellkept.plugins.quality import level_of, undeclarable, verdicts

    manifest = manifest_of(loaded, name)
    cache = ManifestCache()
    cache.put(found.plugins[name], manifest)
    cache.save()
    plugin = loaded.loaded[name]
    offer = examine(plugin)
    rules, keys = verdicts(offer), keys_of(plugin)
    document = {
        "ok": not loaded.problems,
        "plugin": name,
        "summary": plugin.info.summary,
        "distribution": plugin.distribution,
        "api": plugin.info.api,
        "docs": plugin.info.docs,
        "hooks": list(manifest.hooks),
        "offers": _offers(offer),
        "keys": keys,
        "commands": [{"name": command, "help": text} for command, text in manifest.commands],
        "quality": {
            "level": level_of(rules),
            "rules": [asdict(item) for item in rules],
            "unknown_rules": undeclarable(offer),
        },
        "problems": [problem.document() for problem in loaded.problems],
        "remarks": [remark.document() for remark in dict.fromkeys([*loaded.remarks, *offer.remarks])],
    }
    _print(app, document)
    app.tell([*loaded.problems, *loaded.remarks, *offer.remarks])
    app.out.document(document)
    return Exit.PARTIAL if loaded.problems else Exit.OK


def _print(app: App, document: dict[str, Any]) -> None:
    out, name = app.out, document["plugin"]
    out.line(f"{name}: {document['summary']}", "bold")
    out.line(
        f"from {document['distribution']}, plugin API {document['api']}" + (f", {document['docs']}" if document["docs"] else "")
    )
    out.line(f"hooks: {', '.join(document['hooks'])}")
    for kind, items in document["offers"].items():
        if items:
            out.line()
            out.table([kind, "what"], [[item["name"], item["doc"]] for item in items])
    if document["keys"]:
        out.line()
        rows = [
            [key["key"], key["type"], "required" if key["required"] else key["default"], key["doc"]] for key in document["keys"]
        ]
        out.table(["key", "type", "default", "meaning"], rows, title=f"Keys of [plugins.{name}]")
    if document["commands"]:
        out.line()
        out.table(["command", "does"], [[f"wellkept {name} {item['name']}", item["help"]] for item in document["commands"]])
    out.line()
    quality = document["quality"]
    out.table(
        ["rule", "level", "found", "what it asks for, or what is missing"],
        [[rule["rule"], rule["level"], FOUND[rule["state"]], rule["reason"] or rule["doc"]] for rule in quality["rules"]],
        title=f"Quality: {quality['level'] or 'below bronze'}",
        tones=[TONES.get(rule["state"]) for rule in quality["rules"]],
    )
    for rule in quality["unknown_rules"]:
        out.note(f"Remark: {name} declares the rule {rule!r}, which does not exist", "warn")


def _offers(offer: Offer) -> dict[str, list[dict[str, str]]]:
    """Return what a plugin hands out: names, and what they are."""
    return {
        "streams": [{"name": stream.name, "doc": stream.doc} for stream in offer.streams],
        "actions": [{"name": item.payload.capability, "doc": _first_line(item)} for item in offer.actions],
        "scorers": [{"name": item.name, "doc": _first_line(item)} for item in offer.scorers],
        "policies": [{"name": item.name, "doc": _first_line(item)} for item in offer.deciders],
        "measures": [{"name": item.name, "doc": item.doc} for item in offer.measures],
        "jobs": [{"name": item.name, "doc": item.doc} for item in offer.jobs],
    }


def _first_line(item: object) -> str:
    return (type(item).__doc__ or "").strip().partition("\n")[0].replace("``", "`")


def _remembered(config: Config) -> dict[str, Remembered]:
    """Return what the store remembers of instances; a store that does not exist yet is not made for this."""
    from wellkept.store import instances, open_store

    address = config.store
    if isinstance(address, Path) and not address.exists():
        return {}
    store = open_store(address)
    try:
        with store.read() as reader:
            return {row.instance: row for row in instances.overview(reader)}
    finally:
        store.close()


def _instances(config: Config | None, remembered: dict[str, Remembered], plugin: str) -> list[dict[str, Any]]:
    found = []
    for table in config.tables.values() if config else ():
        if table.plugin == plugin:
            row = remembered.get(table.name)
            state = row.state if row else "ok"
            found.append(
                {
                    "instance": table.name,
                    "state": state if table.head.enabled else "not enabled",
                    "reason": row.reason if row else None,
                    "since": row.since if row else None,
                    "failures": row.failures if row else 0,
                    "vendor_account": row.vendor_account if row else None,
                    "mode": row.mode if row else None,
                }
            )
    return found


def _states(instances: list[dict[str, Any]]) -> str:
    """Return the instances and their states on one line."""
    texts = []
    for item in instances:
        text = item["instance"] if item["state"] == "ok" else f"{item['instance']} ({item['state']})"
        texts.append(f"{text}: {item['reason']}" if item["reason"] else text)
    return "; ".join(texts) or "none"
