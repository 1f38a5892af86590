"""The doctor finds what is wrong and names the command that mends it, whatever else is wrong as well."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from email.utils import formatdate
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import psycopg
import pytest

from wellkept.cli import main
from wellkept.cli.exits import Exit
from wellkept.plugins import discover
from wellkept.store import audit, instances, locks, migrate, open_store, owners
from wellkept.store.catalogue import tables_of
from wellkept.store.copy import Content, compare
from wellkept.store.engine import peek
from wellkept.store.migrate import revisions
from wellkept.store.postgres.database import PgDatabase
from wellkept.store.postgres.migrate import prepare
from wellkept.testing import Server
from wellkept.testing.distributions import write_distribution

pytestmark = pytest.mark.file

DAY = 86_400_000

PLUGIN = """
import os
from pydantic import BaseModel, ConfigDict
from wellkept import Batch, CheckResult, Finding, PluginInfo, Source, Stream, hookimpl
from wellkept.records import Account
from wellkept.secrets import Secret

class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    api_key: Secret
    url: str = ""

class Vendor(Source):
    def __init__(self, ctx):
        self.ctx = ctx
    def streams(self):
        return [Stream(name="invoices", records=(Account,), doc="Invoices.")]
    async def read(self, request):
        yield Batch(records=[], cursor={})
    async def check(self):
        if self.ctx.config.url:
            await self.ctx.http(self.ctx.config.url).get("/account")
        good = self.ctx.config.api_key.reveal() == "good-key-value"
        scope = Finding(name="invoices", ok=good, message="read" if good else "no permission", mend="allow it at the vendor")
        ends = os.environ.get("VENDOR_ENDS")
        return CheckResult(findings=[scope], vendor_account="acct_1", mode="test", expires_at=int(ends) if ends else None)

class Plugin:
    @hookimpl
    def describe(self):
        return PluginInfo(name="vendor", api="1.0", summary="A vendor.", config="doctor_vendor:Options")
    @hookimpl
    def sources(self, ctx):
        return [Vendor(ctx)]

plugin = Plugin()
"""

CONFIG = """\
[alerts.webhook]
url = "env:ALERT_URL"
secret = "env:ALERT_SECRET"
[plugins.vendor]
api_key = "env:VENDOR_API_KEY"
"""


def now() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installation that is well."""
    site, folder = tmp_path / "site", tmp_path / "here"
    site.mkdir()
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    monkeypatch.setattr(discover, "distributions", lambda: distributions(path=[str(site)]))
    for name, value in (
        ("ALERT_URL", "http://127.0.0.1:9"),
        ("ALERT_SECRET", "a secret"),
        ("VENDOR_API_KEY", "good-key-value"),
    ):
        monkeypatch.setenv(name, value)
    write_distribution(site, "wellkept-vendor", plugins={"vendor": "doctor_vendor:plugin"}, modules={"doctor_vendor": PLUGIN})
    (folder / "plugins.toml").write_text(CONFIG)
    yield folder
    sys.modules.pop("doctor_vendor", None)


@pytest.fixture
def used(here: Path) -> Path:
    """The same, after its first run."""
    assert main(["score"]) == 0
    return here


Doctor = Callable[..., tuple[int, dict[tuple[str, str], dict[str, Any]]]]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    def call(*arguments: str) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
        capsys.readouterr()
        code = main(["doctor", "--json", *arguments])
        document = json.loads(capsys.readouterr().out)
        assert document["exit"] == code
        for item in document["findings"]:
            assert item["grade"] in {"ok", "note"} or item["mend"], item
        return code, {(item["area"], item["name"]): item for item in document["findings"]}

    return call


def change(folder: Path, sql: str, *params: Any) -> None:
    with closing(open_store(folder / "wellkept.db")) as store:
        store.write_now(lambda tx: tx.execute(sql, params))


def test_a_house_that_is_well(used: Path, doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = doctor()
    assert code == 0, [item for item in found.values() if item["grade"] in {"warn", "bad"}]
    for place in (("machine", "python"), ("plugins", "vendor"), ("configuration", "key"), ("store", "integrity"),
                  ("store", "schema"), ("store", "audit"), ("store", "disk"), ("instance vendor", "credential")):  # fmt: skip
        assert found[place]["grade"] == "ok", place
    assert main(["doctor"]) == 0
    assert "alerts" in capsys.readouterr().out  # the note that nobody watches from outside


def test_before_the_first_run_nothing_is_made(here: Path, doctor: Doctor) -> None:
    code, found = doctor()
    assert code == 0
    assert found["store", "file"]["mend"] == "wellkept run"
    assert sorted(path.name for path in here.iterdir()) == ["plugins.toml"]


def test_a_configuration_that_cannot_be_read_hides_nothing_else(here: Path, doctor: Doctor) -> None:
    (here / "plugins.toml").write_text("[wellkept]\nstoer = 1\n")
    code, found = doctor()
    assert code == 3
    assert "stoer" in found["configuration", "file"]["message"]
    assert found["plugins", "vendor"]["grade"] == "ok"
    (here / "plugins.toml").unlink()
    assert doctor()[1]["configuration", "file"]["mend"]


def test_a_plugin_that_is_missing_or_does_not_fit(used: Path, doctor: Doctor, tmp_path: Path) -> None:
    with (used / "plugins.toml").open("a") as file:
        file.write("[plugins.nobody]\n")
    metadata = next((tmp_path / "site").glob("*.dist-info")) / "METADATA"
    text = metadata.read_text()
    head, blank, rest = text.partition("\n\n")
    metadata.write_text(f"{head}\nRequires-Dist: wellkept>=7\nRequires-Dist: no-such-thing-at-all\n{blank.lstrip()}\n{rest}")
    code, found = doctor("--offline")
    assert code == 3
    assert "pip install wellkept-nobody" in found["plugins", "nobody"]["mend"]
    assert found["plugins", "vendor"]["mend"] == "pip install --upgrade wellkept wellkept-vendor"


BROKEN = """\
from wellkept import PluginInfo, hookimpl
class Plugin:
    @hookimpl
    def describe(self):
        return PluginInfo(name="broken", api="1.0", summary="Breaks.")
    @hookimpl
    def sources(self, ctx):
        return 1 // 0
plugin = Plugin()
"""


def test_a_plugin_that_raises_comes_with_a_mend(used: Path, doctor: Doctor, tmp_path: Path) -> None:
    write_distribution(
        tmp_path / "site", "wellkept-broken", plugins={"broken": "broken_module:plugin"}, modules={"broken_module": BROKEN}
    )
    with (used / "plugins.toml").open("a") as file:
        file.write("[plugins.broken]\n")
    code, found = doctor()
    assert code == 4
    item = found["instance broken", "collect"]
    assert item["message"].startswith("broken [wellkept-broken 1.0]: the hook 'sources' failed: ZeroDivisionError")
    assert item["mend"].startswith("pip install --upgrade wellkept-broken; ")
    assert found["instance vendor", "credential"]["grade"] == "ok"


def test_a_permission_that_is_missing(used: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDOR_API_KEY", "bad-key-value")
    code, found = doctor()
    assert code == 4
    finding = found["instance vendor", "invoices"]
    assert finding["message"] == "no permission"
    assert finding["mend"] == "allow it at the vendor; then: wellkept check vendor"
    assert ("instance vendor", "invoices") not in doctor("--offline")[1]


def test_a_credential_that_ends_soon(used: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = now() + 5 * DAY + 3_600_000
    monkeypatch.setenv("VENDOR_ENDS", str(ends))
    code, found = doctor()
    assert code == 4
    assert found["instance vendor", "credential"]["message"] == "the credential ends in 5 days"
    assert sqlite3.connect(used / "wellkept.db").execute("SELECT expires_at FROM instances").fetchone()[0] == ends


def test_a_secret_that_is_not_there(used: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALERT_SECRET")
    _, found = doctor("--offline")
    assert found["alerts", "env:ALERT_SECRET"]["mend"] == "set the environment variable ALERT_SECRET"


@pytest.mark.skipif(sys.platform == "win32", reason="no such modes")
def test_a_key_that_others_can_read(used: Path, doctor: Doctor) -> None:
    (used / "wellkept.key").chmod(0o644)
    code, found = doctor("--offline")
    assert code == 4
    assert found["configuration", "key"]["mend"].startswith("chmod 600 ")
    (used / "wellkept.key").write_text("short")
    assert doctor("--offline")[0] == 3


def test_a_damaged_store(used: Path, doctor: Doctor) -> None:
    path = used / "wellkept.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 9] = b"\xff" * (4096 * 6)
    path.write_bytes(content)
    code, found = doctor()
    assert code == 5
    assert any("restore BACKUP" in (item["mend"] or "") for item in found.values())
    path.write_text("no database" * 1000)
    code, found = doctor()
    assert code == 5
    assert found["store", "file"]["mend"] == "wellkept restore BACKUP"


def test_a_store_is_not_migrated_by_asking(used: Path, doctor: Doctor) -> None:
    with closing(sqlite3.connect(used / "wellkept.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_future'")
    code, found = doctor("--offline")
    assert code == 5
    assert found["store", "schema"]["mend"].startswith("upgrade Wellkept")


@pytest.mark.parametrize("more", [(), ("--offline",)])
def test_a_store_of_an_older_schema_stays_so(here: Path, doctor: Doctor, address: Path | str, more: tuple[str, ...]) -> None:
    """Whoever asks how it is after an upgrade may still want to go back."""
    with (here / "plugins.toml").open("a") as file:
        file.write(f'[wellkept]\nstore = "{address}"\n')
    older = revisions()[0]
    if isinstance(address, Path):
        migrate.prepare(address, until=older)
    else:
        with psycopg.connect(address) as connection:
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        prepare(PgDatabase(address), until=older)
    code, found = doctor(*more)
    assert code == 0, [item for item in found.values() if item["grade"] in {"warn", "bad"}]
    assert found["store", "schema"]["grade"] == "note"
    assert "wellkept backup" in found["store", "schema"]["mend"]
    with peek(address) as reader:
        assert migrate.revision_of(reader) == older
        assert reader.all("SELECT key FROM meta WHERE key <> 'origin'") == []


def test_an_empty_database_stays_empty(here: Path, doctor: Doctor, postgres: str) -> None:
    with psycopg.connect(postgres) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    with (here / "plugins.toml").open("a") as file:
        file.write(f'[wellkept]\nstore = "{postgres}"\n')
    code, found = doctor()
    assert code == 0
    assert found["store", "schema"]["mend"] == "wellkept run"
    with peek(postgres) as reader:
        assert tables_of(reader) == []


def test_looking_writes_nothing(here: Path, doctor: Doctor, address: Path | str) -> None:
    """Not even that the store came back from a backup: that is for whoever works with it."""
    with (here / "plugins.toml").open("a") as file:
        file.write(f'[wellkept]\nstore = "{address}"\n')
    assert main(["score"]) == 0
    with closing(open_store(address)) as store:
        store.write_now(lambda tx: tx.execute("INSERT INTO meta (key, value) VALUES ('backup_at', '5')"))

    def content() -> dict[str, Content]:
        with peek(address) as reader:
            return compare(reader, reader, "", "")

    before = content()
    assert doctor("--offline")[0] == 0
    assert content() == before


def test_an_audit_trail_that_was_changed(used: Path, doctor: Doctor) -> None:
    with closing(open_store(used / "wellkept.db")) as store:
        store.write_now(lambda tx: audit.append(tx, "effect.done", "acc", {}, now=0))
        store.write_now(lambda tx: tx.execute("UPDATE audit SET at = 1"))
    code, found = doctor("--offline")
    assert code == 5
    assert found["store", "audit"]["message"] == "the audit chain is broken at entry 1"


def test_an_instance_that_was_stopped(used: Path, doctor: Doctor) -> None:
    change(used, "INSERT INTO instances (instance, plugin, state, reason) VALUES ('crm', 'vendor', 'disabled', 'HTTP 400')")
    code, found = doctor("--offline")
    assert code == 4
    assert found["instance crm", "disabled"]["mend"] == "mend the cause, then: wellkept plugins enable crm"
    with closing(open_store(used / "wellkept.db")) as store, store.read() as reader:
        assert instances.load(reader, "crm") is not None


def test_stale_leases_and_those_that_are_held(used: Path, doctor: Doctor) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host = owners.place()
    with closing(open_store(used / "wellkept.db")) as store:
        store.write_now(lambda tx: locks.acquire(tx, "run", f"{host}:{gone.pid}:0", 600_000, now()))
        store.write_now(lambda tx: locks.acquire(tx, "serve", f"{host}:{os.getpid()}:0", 600_000, now()))
    _, found = doctor("--offline")
    assert "stale" in found["work", "lease of a run"]["message"]
    assert found["work", "lease of a server"]["grade"] == "ok"


def test_what_waits_for_a_person(used: Path, doctor: Doctor) -> None:
    change(
        used,
        "INSERT INTO outbox (key, own_key, run_id, policy, policy_version, capability, kind, payload, reason, state, hold,"
        " planned_at) VALUES ('k', 'k', 'r', 'p', '1', 'c', 'once', '{}', 'r', 'held', 'doubt', 0)",
    )
    change(
        used,
        "INSERT INTO dead_letters (instance, stream, digest, reason, raw, first_at, last_at)"
        " VALUES ('crm', 'deals', 'd', 'r', x'00', 0, 0)",
    )
    change(used, "INSERT INTO inbox (instance, hint_id, stream, object_id, at, received_at) VALUES ('crm', 'h', 's', '', 0, 0)")
    code, found = doctor("--offline")
    assert code == 4
    assert "retry KEY --i-know" in found["work", "effects (doubt)"]["mend"]
    assert found["work", "dead letters"]["message"] == "crm.deals: 1"
    assert "the oldest for" in found["work", "inbox"]["message"]


HELD = (
    "INSERT INTO outbox (key, own_key, run_id, policy, policy_version, capability, kind, payload, reason, state, hold,"
    " planned_at) VALUES ('k', 'k', 'r', 'p', '1', 'task.create', 'once', '{{}}', 'r', 'held', '{hold}', 0)"
)
STOPPED = "INSERT INTO instances (instance, plugin, state, reason) VALUES ('vendor', 'vendor', '{state}', 'HTTP 401')"
LETTER = (
    "INSERT INTO dead_letters (instance, stream, digest, reason, raw, first_at, last_at)"
    " VALUES ('vendor', 'invoices', 'd', 'r', x'00', 0, 0)"
)
HINT = "INSERT INTO inbox (instance, hint_id, stream, object_id, at, received_at) VALUES ('vendor', 'h', 'invoices', '', 0, 0)"


@pytest.mark.parametrize(
    ("trouble", "place"),
    [
        (HELD.format(hold="approval"), ("work", "effects (approval)")),
        (HELD.format(hold="restored"), ("work", "effects (restored)")),
        (HELD.format(hold="doubt"), ("work", "effects (doubt)")),
        (HELD.format(hold="tries"), ("work", "effects (tries)")),
        (LETTER, ("work", "dead letters")),
        (HINT, ("work", "inbox")),
        (STOPPED.format(state="disabled"), ("instance vendor", "disabled")),
        (STOPPED.format(state="paused"), ("instance vendor", "paused")),
    ],
)
def test_what_it_says_mends_it(used: Path, doctor: Doctor, trouble: str, place: tuple[str, str]) -> None:
    """Each command that a finding names is there and takes what is named. After the last one the finding is gone."""
    with closing(sqlite3.connect(used / "wellkept.db")) as connection, connection:
        connection.execute(trouble)
    finding = doctor("--offline")[1][place]
    assert finding["grade"] != "ok"
    given = {"RUN": "r", "KEY": "k", "NO": "1", "TEXT": "so it is"}
    found = [command for command in _commands(finding["mend"]) if command != ["serve"]]
    assert found, finding["mend"]
    for alternative in found:
        assert main([given.get(word, word) for word in alternative]) in {Exit.OK, Exit.PARTIAL}, alternative
        after = doctor("--offline")[1].get(place)
    assert after is None or after["grade"] == "ok", after


def _commands(mend: str) -> list[list[str]]:
    """Return the commands that a text names, each of them up to the next punctuation mark."""
    return [command.split() for command in re.findall(r"wellkept ([a-z][^,;:]*)", mend)]


def test_alerts_that_are_open_or_could_not_be_sent(used: Path, doctor: Doctor) -> None:
    change(used, "INSERT INTO instances (instance, plugin, state, reason) VALUES ('crm', 'vendor', 'paused', 'HTTP 401')")
    from wellkept.alerts import Watch
    from wellkept.runtime import Runtime

    with Runtime.open(used / "plugins.toml") as runtime:
        assert asyncio.run(Watch.of(runtime).attend(cycle=False)) is False
    _, found = doctor("--offline")
    assert found["alerts", "breaker crm"]["mend"] == "see docs/runbook.md#breaker"
    assert found["alerts", "webhook"]["grade"] == "bad"
    assert "1 times" in found["alerts", "webhook"]["message"]


def test_a_clock_that_was_put_back(used: Path, doctor: Doctor) -> None:
    change(used, "UPDATE runs SET heartbeat_at = ?", now() + DAY)
    _, found = doctor("--offline")
    assert found["machine", "clock"]["grade"] == "bad"


@pytest.mark.parametrize(("ahead", "grade"), [(0, "ok"), (600, "bad"), (-600, "bad")])
def test_a_clock_that_vendors_do_not_agree_with(used: Path, doctor: Doctor, ahead: int, grade: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        date = formatdate(time.time() - ahead, usegmt=True).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"date", date)]})
        await send({"type": "http.response.body", "body": b"{}"})

    with Server(app) as server:
        with (used / "plugins.toml").open("a") as file:
            file.write(f'url = "{server.url}"\n')
        _, found = doctor()
    assert found["machine", "clock"]["grade"] == grade


def test_a_store_in_postgresql(here: Path, doctor: Doctor, postgres: str) -> None:
    with (here / "plugins.toml").open("a") as file:
        file.write(f'[wellkept]\nstore = "{postgres}"\n')
    assert main(["score"]) == 0
    code, found = doctor()
    assert code == 0, [item for item in found.values() if item["grade"] in {"warn", "bad"}]
    assert found["store", "database"]["grade"] == found["store", "audit"]["grade"] == "ok"
    assert ("machine", "clock") not in found
    assert main(["backup", "copy.db"]) == main(["restore", "copy.db"]) == 0
    assert 'DROP SCHEMA "public_before_restore_' in doctor("--offline")[1]["store", "copies"]["mend"]
    with closing(open_store(postgres)) as store:
        store.write_now(lambda tx: audit.append(tx, "effect.done", "acc", {}, now=0))
        store.write_now(lambda tx: tx.execute("UPDATE audit SET at = 1"))
    assert doctor("--offline")[0] == 5


def test_a_database_that_is_away(here: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    with (here / "plugins.toml").open("a") as file:
        file.write('[wellkept]\nstore = "env:DATABASE_URL"\n')
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert doctor("--offline")[1]["store", "address"]["mend"] == "set the environment variable DATABASE_URL"
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:secret-word@127.0.0.1:9/none")
    code, found = doctor("--offline")
    assert code == 5
    assert found["store", "database"]["mend"]
    assert "secret-word" not in json.dumps(list(found.values()))
