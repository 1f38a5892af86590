"""The main job does the same outside, and knows the same inside, whichever database the store is in; and it moves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from wellkept.cli import main
from wellkept.cli.exits import Exit
from wellkept.store import audit, open_store, outbox
from wellkept.testing import Server

BANDS = "SELECT account, band FROM scores AS s WHERE seq = (SELECT MAX(seq) FROM scores AS t WHERE t.account = s.account)"
TABLES = ("r_account", "r_invoice", "r_subscription", "h_invoice", "accounts", "links", "pushed", "scores", "audit")


@contextmanager
def opened(build: Any, folder: Path, store: str, *, accounts: int) -> Iterator[Any]:
    """Make an installation with its store where that says, and open it."""
    folder.mkdir()
    house = build(folder, accounts=accounts)
    house.open()
    try:
        house.path.write_text(house.path.read_text().replace("[wellkept]\n", f'[wellkept]\nstore = "{store}"\n'))
        yield house
    finally:
        house.close()


def known(address: Path | str) -> dict[str, Any]:
    with closing(open_store(address)) as store, store.read() as reader:
        assert audit.verify(reader) is None
        return {
            "bands": sorted(reader.all(BANDS)),
            "effects": outbox.counts(reader),
            "rows": {table: reader.value(f"SELECT COUNT(*) FROM {table}") for table in TABLES},
        }


def trouble_and_recovery(house: Any) -> tuple[Any, list[str]]:
    house.run()
    customer = house.active()[0]
    house.vendor.fail_payment(customer)
    report = house.run()
    assert report.state == "done"
    house.vendor.recover(customer)
    house.run(later=2 * 24 * 3600)
    return house.metadata(), sorted(str(mail.message["subject"]) for mail in house.mail.mails)


def test_the_main_job_on_both_databases(
    build: Any, tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WELLKEPT_STORE", postgres)
    outside, inside = [], []
    for store, address in (("wellkept.db", tmp_path / "0" / "wellkept.db"), ("env:WELLKEPT_STORE", postgres)):
        with opened(build, tmp_path / str(len(outside)), store, accounts=8) as house:
            outside.append(trouble_and_recovery(house))
            inside.append(known(address))
    assert outside[0] == outside[1]
    assert any("wellkept_health" in data for data in outside[0][0].values())
    assert inside[0] == inside[1]
    back = tmp_path / "back.db"
    capsys.readouterr()
    assert main(["--json", "store", "copy", "env:WELLKEPT_STORE", str(back)]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["tables"]["audit"]["rows"] == inside[1]["rows"]["audit"]
    assert known(back) == inside[1]


def test_sessions_that_the_server_ends_all_the_time_change_nothing(
    build: Any, tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every third request to the vendor all sessions of the store are ended, whatever they are doing."""
    monkeypatch.setenv("WELLKEPT_STORE", postgres)
    ended: list[int] = []
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

    class Ending:
        def __init__(self, vendor: Any, admin: psycopg.Connection[Any]) -> None:
            self.vendor, self.admin, self.requests = vendor, admin, 0

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.requests += 1
            if self.requests % 3 == 0:
                ended.append(len(self.admin.execute(f"SELECT pg_terminate_backend(pid) {others}").fetchall()))
            await self.vendor(scope, receive, send)

    outside, inside = [], []
    with psycopg.connect(postgres, autocommit=True) as admin, ExitStack() as stack:
        for store, address in (("wellkept.db", tmp_path / "0" / "wellkept.db"), ("env:WELLKEPT_STORE", postgres)):
            with opened(build, tmp_path / str(len(outside)), store, accounts=6) as house:
                if outside:
                    between = Server(Ending(house.vendor, admin))
                    stack.enter_context(between)
                    house.path.write_text(house.path.read_text().replace(house.server.url, between.url))
                outside.append(trouble_and_recovery(house))
                inside.append(known(address))
    assert sum(ended) > 20
    assert outside[0] == outside[1]
    assert inside[0] == inside[1]
