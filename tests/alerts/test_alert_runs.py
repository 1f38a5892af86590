"""From a vendor that fails to the mail that says so: by the command line, and by the server."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.alerts import folder_plugin

from wellkept.alerts import Watch
from wellkept.cli import main
from wellkept.plugins import discover
from wellkept.runtime import Runtime
from wellkept.serve import Server
from wellkept.testing import FakeClock
from wellkept.testing.distributions import write_distribution
from wellkept.testing.mail import MailSink

if TYPE_CHECKING:
    from tests.alerts.conftest import Receiver

CONFIG = """\
[alerts]
name = "test"
ping = "env:ALERT_PING"
{off}
[alerts.webhook]
url = "env:ALERT_URL"
secret = "env:ALERT_SECRET"
[serve]
port = 0
schedule = "every 1 hour"
[plugins.folder]
folder = "{folder}"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> Iterator[Path]:
    """An installation whose only vendor is a folder."""
    site = tmp_path / "site"
    site.mkdir()
    source = Path(folder_plugin.__file__).read_text()
    write_distribution(site, "wellkept-folder", plugins={"folder": "folder_module:plugin"}, modules={"folder_module": source})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    monkeypatch.setattr(discover, "distributions", lambda: distributions(path=[str(site)]))
    (tmp_path / "plugins.toml").write_text(CONFIG.format(folder=tmp_path, off=""))
    (tmp_path / "mode").write_text("plain")
    yield tmp_path
    sys.modules.pop("folder_module", None)


def test_a_run_by_hand_tells_of_its_failure_and_of_its_end(here: Path, receiver: Receiver) -> None:
    assert main(["run"]) == 0
    assert receiver.pings == ["/ping"]
    (here / "mode").write_text("fails")
    for _ in range(2):
        assert main(["sync"]) == 5
    assert receiver.told == ["opened failed folder"]
    assert receiver.pings == ["/ping"]
    (event,) = receiver.events
    assert event["detail"] == "nothing could be read. accounts: the vendor answered HTTP 400 about ***"
    (here / "mode").write_text("plain")
    assert main(["run"]) == 0
    assert receiver.told == ["opened failed folder", "ended failed folder"]
    assert receiver.pings == ["/ping", "/ping"]


def test_a_refused_credential_is_one_alert(here: Path, receiver: Receiver) -> None:
    (here / "mode").write_text("refuses")
    for _ in range(2):
        assert main(["sync"]) != 0
    assert receiver.told == ["opened breaker folder"]


def test_a_dry_run_tells_nobody(here: Path, receiver: Receiver) -> None:
    (here / "mode").write_text("fails")
    main(["run", "--dry-run"])
    assert (receiver.posts, receiver.pings) == ([], [])


def test_an_estimate_is_no_run(here: Path, receiver: Receiver) -> None:
    main(["sync", "--estimate"])
    assert receiver.pings == []


def test_alerts_that_cannot_be_sent_change_no_exit_code(here: Path, receiver: Receiver) -> None:
    (here / "mode").write_text("fails")
    receiver.status = 500
    assert main(["sync"]) == 5
    (here / "mode").write_text("plain")
    assert main(["sync"]) == 0
    assert receiver.pings == []


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the receiver is in another thread
            await asyncio.sleep(0.01)


def open_(here: Path, **options: Any) -> Runtime:
    return Runtime.open(here / "plugins.toml", extra_plugins={"folder": folder_plugin.plugin}, **options)


async def cycle(here: Path, runtime: Runtime, done: Callable[[], Any]) -> None:
    """Have a server run all instances, until something is the case, and it has noted what it told: else it tells it again."""

    def waiting() -> Any:
        with runtime.store.read() as reader:
            return reader.value("SELECT COUNT(*) FROM alert_notices WHERE sent_at IS NULL")

    runtime.store.write_now(lambda tx: tx.execute("UPDATE schedules SET last_fired = 0"))
    server = Server(runtime, lambda: open_(here, store=runtime.store))
    serving = asyncio.create_task(server.run())
    await until(lambda: done() and not waiting())
    server.stop()
    assert (await serving).parked


async def test_the_server_tells_pings_and_prunes_after_its_runs(here: Path, receiver: Receiver) -> None:
    def value(sql: str) -> Any:
        with runtime.store.read() as reader:
            return reader.value(sql)

    with open_(here) as runtime:
        runtime.store.write_now(
            lambda tx: tx.execute(
                "INSERT INTO runs (id, kind, state, started_at, heartbeat_at, host, pid)"
                " VALUES ('old', 'run', 'done', 0, 0, 'h', 1)"
            )
        )
        await cycle(here, runtime, lambda: receiver.pings and value("SELECT COUNT(*) FROM runs WHERE id = 'old'") == 0)
        (here / "mode").write_text("fails")
        await cycle(here, runtime, lambda: receiver.told == ["opened failed folder"])
        assert receiver.pings == ["/ping"]


EVERYTHING = """\
[alerts]
name = "test"
ping = "env:ALERT_PING"
dead_letters = 1
[alerts.webhook]
url = "env:ALERT_URL"
secret = "env:ALERT_SECRET"
[alerts.mail]
host = "127.0.0.1"
port = {port}
tls = "none"
to = ["ops@example.com"]
from_address = "wellkept@example.com"
[serve]
port = 0
schedule = "every 1 hour"
"""
INSTANCE = """\
[plugins.{name}]
plugin = "folder"
folder = "{folder}"
key = "file:{name}.key"
"""
MODES = {"crm": "fails", "desk": "odd", "bill": "refuses"}
AGED = "UPDATE cursors SET fresh_at = 1 WHERE instance = 'crm'"
WAITS = """
    INSERT INTO outbox
    (key, own_key, run_id, policy, policy_version, capability, kind, payload, reason, state, hold, planned_at)
    VALUES ('k', 'k', 'r', 'p', '1', 'task.create', 'once', '{}', 'r', 'held', 'doubt', 0)
"""


async def test_every_condition_is_told_by_the_server_to_real_receivers_and_so_is_its_end(
    here: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight conditions, two channels: one message each when they begin, one each when they are over."""

    def sql(text: str, *params: Any) -> None:
        runtime.store.write_now(lambda tx: tx.execute(text, params))

    def place(name: str, mode: str, key: str, ends: int | None) -> None:
        folder = here / name
        folder.mkdir(exist_ok=True)
        (folder / "mode").write_text(mode)
        (folder / "ends").unlink(missing_ok=True)
        if ends is not None:
            (folder / "ends").write_text(str(ends))
        (here / f"{name}.key").write_text(key)
        (here / f"{name}.key").chmod(0o600)

    with MailSink() as sink:
        text = EVERYTHING.format(port=sink.port)
        (here / "plugins.toml").write_text(text + "".join(INSTANCE.format(name=name, folder=here / name) for name in MODES))
        for name in MODES:
            place(name, "plain", "key-one-of-it", None)
        with open_(here) as runtime:
            await cycle(here, runtime, lambda: len(receiver.pings) == 1)
            assert (receiver.posts, sink.mails) == ([], [])

            now = runtime.clock.now()
            for name, mode in MODES.items():
                place(name, mode, "key-two-of-it", now + 5 * 86_400_000 if name == "desk" else None)
            spent = {"held": [["", now, 95]], "queue": [], "requests": 100, "per": 86_400_000}
            sql(AGED)
            sql(WAITS)
            sql("INSERT INTO limits (credential, state) VALUES ('folder/desk', ?)", json.dumps(spent))
            await cycle(here, runtime, lambda: len(receiver.events) >= len(TROUBLES) and len(sink.mails) >= 1)
            assert sorted(receiver.told) == [f"opened {trouble}" for trouble in TROUBLES]
            assert len(receiver.posts) == len(sink.mails) == 1

            for name in MODES:
                place(name, "plain", "key-three-of-it", now + 300 * 86_400_000)
            for text in (
                "DELETE FROM limits",
                "UPDATE outbox SET state = 'rejected', hold = NULL",
                "UPDATE dead_letters SET first_at = 1",
            ):
                sql(text)
            await cycle(here, runtime, lambda: len(receiver.pings) == 2)
        assert sorted(receiver.told[len(TROUBLES) :]) == [f"ended {trouble}" for trouble in TROUBLES]
        assert len(receiver.posts) == len(sink.mails) == 2
        begin, end = (received.message.get_content() for received in sink.mails)
    for trouble in TROUBLES:
        assert f"docs/runbook.md#{trouble.split()[0]}" in begin
    assert end.count("It lasted from") == len(TROUBLES)
    for said in (begin, end, *(body.decode() for _, body in receiver.posts)):
        assert not re.search(r"anna|key-(one|two|three)|whsec_|/hook|/ping", said)


TROUBLES = [
    "breaker bill",
    "credential desk",
    "dead-letters desk",
    "failed crm",
    "held doubt",
    "partial desk",
    "quota folder/desk",
    "stale crm",
]


def test_a_refresh_token_that_ends_is_one_alert_until_it_is_renewed(here: Path, receiver: Receiver) -> None:
    """What only the sealed tokens tell: nobody has asked the vendor."""
    clock = FakeClock()
    day = 86_400_000

    def pair(days: int) -> dict[str, Any]:
        now = clock.now()
        return {"access": "a", "refresh": "r", "issued_at": now, "expires_at": now + 1, "refresh_expires_at": now + days * day}

    with open_(here, clock=clock) as runtime:
        tokens = runtime.instances["folder"].ctx.tokens

        def attend(*, days: int = 0, renewed: int | None = None) -> None:
            clock.advance(days * 86_400)
            if renewed is not None:
                asyncio.run(tokens.put("oauth", pair(renewed)))
            asyncio.run(Watch.of(runtime).attend(cycle=False))

        attend(renewed=30)
        attend(days=15)
        assert receiver.told == []
        for _ in range(3):
            attend(days=1)
        assert receiver.told == ["opened credential folder"]
        attend(days=12, renewed=30)
        attend(days=2)
    assert receiver.told == ["opened credential folder", "ended credential folder"]
    assert receiver.events[0]["detail"] == "the credential ends on 2026-12-21 00:00 UTC"
