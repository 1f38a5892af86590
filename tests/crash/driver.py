"""A process that has everything imported, and forks a child for each run that it is asked for.

Reads one JSON command a line from standard input, and answers with the child's exit code. Nothing of it may start a thread.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import instrument

from wellkept.runtime import Runtime
from wellkept.steps import Steps
from wellkept.testing.clock import FakeClock

WARM = (
    "wellkept.store.migrate", "alembic.command", "sqlalchemy", "httpx", "stripe", "aiosmtplib", "cryptography.fernet",
    "wellkept_stripe.source", "wellkept_stripe.actions", "wellkept_zendesk.source", "wellkept_mixpanel.source",
    "wellkept_hubspot.source", "wellkept_smtp.actions", "wellkept_health.scorer", "wellkept_playbooks.rule", "zoneinfo",
    "jinja2", "publicsuffixlist",
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
    for line in sys.stdin:
        print(child(json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
