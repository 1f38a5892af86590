"""``wellkept check``: try everything, change nothing outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit

if TYPE_CHECKING:
    from wellkept.admission import Checked
    from wellkept.cli.output import Cell, Tone
    from wellkept.instance import Instance
    from wellkept.runtime import Runtime


@click.command(cls=Verb)
@click.argument("names", nargs=-1, metavar="[INSTANCE]...")
@pass_app
def check(app: App, names: tuple[str, ...]) -> Exit:
    """Try every instance, or those named: configuration, credentials, permissions, and whether it is test or live.

    Reads only. The vendor account behind each instance is remembered; another one is refused from then on.
    """
    from wellkept.config.explain import suggest
    from wellkept.errors import ConfigError

    with app.runtime() as runtime:
        tables = runtime.config.tables
        for name in names:
            if name not in tables:
                raise ConfigError(
                    f"there is no instance {name!r}", path=app.config_path, guidance=suggest(name, tables, kind="instances")
                )
        wanted = [instance for instance in runtime.instances.values() if not names or instance.name in names]
        with app.out.progress("checking", len(wanted)) as advance:
            results = runtime.run(_check_all(runtime, wanted, advance))
        runtime.collect()
        document = [_document(runtime, runtime.instances[result.instance], result) for result in results]
        broken = sorted({problem.instance or "" for problem in runtime.problems if not names or problem.instance in names})
        failed = sum(not result.ok or result.instance in broken for result in results)
        code = _code(checked=len(results), failed=failed, broken=bool(broken), refused=any(not result.ok for result in results))
        app.tell(runtime.problems)
        _print(app, document)
        app.out.document(
            {
                "ok": code is Exit.OK,
                "instances": document,
                "problems": [problem.document() for problem in runtime.problems],
            }
        )
    return code


async def _check_all(runtime: Runtime, wanted: list[Instance], advance: Any) -> list[Checked]:
    import asyncio

    from wellkept.admission import check as check_one

    async def one(instance: Instance) -> Checked:
        result = await check_one(runtime, instance)
        advance(1)
        return result

    return list(await asyncio.gather(*(one(instance) for instance in wanted)))


def _code(*, checked: int, failed: int, broken: bool, refused: bool) -> Exit:
    """Return the exit code: all well, some of it, or nothing; and if nothing, whether the configuration is to blame."""
    if not failed and not broken:
        return Exit.OK
    if failed < checked:
        return Exit.PARTIAL
    return Exit.FAILED if refused else Exit.CONFIG


def _document(runtime: Runtime, instance: Instance, result: Checked) -> dict[str, Any]:
    from wellkept.store import instances

    with runtime.store.read() as reader:
        row = instances.load(reader, instance.name)
    return {
        "instance": instance.name,
        "plugin": instance.plugin,
        "distribution": instance.distribution,
        "ok": result.ok,
        "vendor_account": result.vendor_account,
        "mode": result.mode,
        "live": instance.head.live,
        "state": row.state if row else "ok",
        "reason": row.reason if row else None,
        "findings": [
            {"name": item.name, "ok": item.ok, "message": item.message, "mend": item.mend} for item in result.findings
        ],
    }


def _print(app: App, document: list[dict[str, Any]]) -> None:
    rows: list[list[Cell]] = []
    tones: list[Tone | None] = []
    for item in document:
        about = " ".join(part for part in (item["vendor_account"], f"({item['mode']} mode)" if item["mode"] else None) if part)
        state = "" if item["state"] == "ok" else f"{item['state']}: {item['reason']}"
        rows.append([item["instance"], "ok" if item["ok"] else "failed", about or "configuration is valid", state])
        tones.append("good" if item["ok"] else "bad")
        for finding in item["findings"]:
            rows.append(
                [
                    f"  {finding['name']}",
                    "ok" if finding["ok"] else "missing",
                    finding["message"],
                    f"-> {finding['mend']}" if finding["mend"] else "",
                ]
            )
            tones.append(None if finding["ok"] else "bad")
    if rows:
        app.out.table(["instance", "result", "found", "to do"], rows, tones=tones)
    else:
        app.out.line("No instance is enabled and loaded; `wellkept init` or `[plugins.NAME]` adds one.")
