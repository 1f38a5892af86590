"""From a vendor that fails to the mail that says so: by the command line, and by the server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.alerts import folder_plugin

from wellkept.cli import main
from wellkept.plugins import discover
from wellkept.runtime import Runtime
from wellkept.serve import Server
from wellkept.testing.distributions import write_distribution

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
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the receiver is in another thread
            await asyncio.sleep(0.01)


async def test_the_server_tells_pings_and_prunes_after_its_runs(here: Path, receiver: Receiver) -> None:
    def open_(**options: Any) -> Runtime:
        return Runtime.open(here / "plugins.toml", extra_plugins={"folder": folder_plugin.plugin}, **options)

    def value(sql: str) -> Any:
        with runtime.store.read() as reader:
            return reader.value(sql)

    with open_() as runtime:
        runtime.store.write_now(
            lambda tx: tx.execute(
                "INSERT INTO runs (id, kind, state, started_at, heartbeat_at, host, pid)"
                " VALUES ('old', 'run', 'done', 0, 0, 'h', 1)"
            )
        )
        server = Server(runtime, lambda: open_(store=runtime.store))
        serving = asyncio.create_task(server.run())
        await until(lambda: receiver.pings)
        await until(lambda: value("SELECT COUNT(*) FROM runs WHERE id = 'old'") == 0)
        server.stop()
        assert (await serving).parked
        (here / "mode").write_text("fails")
        runtime.store.write_now(lambda tx: tx.execute("UPDATE schedules SET last_fired = 0"))
        server = Server(runtime, lambda: open_(store=runtime.store))
        serving = asyncio.create_task(server.run())
        await until(lambda: receiver.told == ["opened failed folder"])
        server.stop()
        assert (await serving).parked
        assert receiver.pings == ["/ping"]
