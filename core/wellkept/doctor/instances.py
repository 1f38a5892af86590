"""Each instance: does it load, do its credentials work, what may it do, does the vendor's clock agree with ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from wellkept.doctor.finding import Finding

if TYPE_CHECKING:
    from wellkept.instance import Instance
    from wellkept.problems import Problem
    from wellkept.runtime import Runtime

SKEW_SECONDS = 60.0
"""Vendors refuse signatures and tokens of clocks that are minutes off; a second is their resolution."""


async def examine_instances(runtime: Runtime, advance: Callable[[int], object] = lambda _: None) -> list[Finding]:
    """Try every instance, read-only, as `wellkept check` does.

    Args:
        runtime: The open installation.
        advance: Told after each instance.
    """

    async def one(instance: Instance) -> list[Finding]:
        found = await _examine(runtime, instance)
        advance(1)
        return found

    results = await asyncio.gather(*(one(instance) for instance in runtime.instances.values()))
    runtime.collect()
    found = [finding for result in results for finding in result]
    known = {str(problem) for problem in runtime.config.problems}
    for problem in runtime.problems:
        if str(problem) not in known:
            area = f"instance {problem.instance}" if problem.instance else "plugins"
            found.append(Finding(area, problem.stage, "bad", str(problem), problem.mend or _mend(problem)))
    found += [Finding("plugins", item.stage, "warn", str(item), item.mend) for item in dict.fromkeys(runtime.plugins.remarks)]
    return found + _skew(runtime)


def _mend(problem: Problem) -> str:
    """Return what to do about a problem that does not say so itself."""
    if problem.stage == "config" or problem.distribution is None:
        return f"correct it, then: wellkept check {problem.instance or ''}".rstrip()
    name = problem.distribution.split()[0]
    return f"pip install --upgrade {name}; where that does not help, tell its author what `wellkept -vv doctor` says"


async def _examine(runtime: Runtime, instance: Instance) -> list[Finding]:
    from wellkept.admission import check

    result = await check(runtime, instance)
    area, mend = f"instance {instance.name}", f"then: wellkept check {instance.name}"
    found = [
        Finding(area, item.name, "ok", item.message)
        if item.ok
        else Finding(area, item.name, "bad", item.message, f"{item.mend}; {mend}" if item.mend else mend)
        for item in result.findings
    ]
    if result.ok:
        who = f"{result.vendor_account or 'works'}{f' ({result.mode} mode)' if result.mode else ''}"
        found.append(Finding(area, "credential", "ok", who))
    if result.expires_at is not None:
        days = (result.expires_at - runtime.clock.now()) // 86_400_000
        if days < runtime.settings.alerts.credential_days:
            renew = f"make a new one at the vendor, behind the same reference; {mend}"
            found.append(Finding(area, "credential", "warn", f"the credential ends in {days} days", renew))
    if instance.head.live is False and instance.actions:
        found.append(
            Finding(
                area, "live", "note", "its effects are only shown", f"`live = true` in [plugins.{instance.name}] sends them"
            )
        )
    return found


def _skew(runtime: Runtime) -> list[Finding]:
    """Compare our clock with what vendors say that it is."""
    skews = runtime.clock_skews()
    off = {name: seconds for name, seconds in skews.items() if abs(seconds) > SKEW_SECONDS}
    if not off:
        return [Finding("machine", "clock", "ok", f"agrees with {', '.join(sorted(skews))}")] if skews else []
    who = ", ".join(f"{name}: {seconds:+.0f} s" for name, seconds in sorted(off.items()))
    if len(off) < len(skews):
        return [Finding("machine", "clock", "warn", f"ahead of some vendors' clocks: {who}", "timedatectl status")]
    return [Finding("machine", "clock", "bad", f"ahead of the vendors' clocks: {who}", "timedatectl set-ntp true")]
