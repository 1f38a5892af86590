"""The main job does the same outside, and knows the same inside, whichever database the store is in; and it moves."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wellkept.cli import main
from wellkept.cli.exits import Exit
from wellkept.store import audit, open_store, outbox

BANDS = "SELECT account, band FROM scores AS s WHERE seq = (SELECT MAX(seq) FROM scores AS t WHERE t.account = s.account)"
TABLES = ("r_account", "r_invoice", "r_subscription", "h_invoice", "accounts", "links", "pushed", "scores", "audit")


def use(house: Any, store: str) -> None:
    house.path.write_text(house.path.read_text().replace("[wellkept]\n", f'[wellkept]\nstore = "{store}"\n'))


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
        folder = tmp_path / str(len(outside))
        folder.mkdir()
        house = build(folder, accounts=8)
        house.open()
        try:
            use(house, store)
            outside.append(trouble_and_recovery(house))
            inside.append(known(address))
        finally:
            house.close()
    assert outside[0] == outside[1]
    assert any("wellkept_health" in data for data in outside[0][0].values())
    assert inside[0] == inside[1]
    back = tmp_path / "back.db"
    capsys.readouterr()
    assert main(["--json", "store", "copy", "env:WELLKEPT_STORE", str(back)]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["tables"]["audit"]["rows"] == inside[1]["rows"]["audit"]
    assert known(back) == inside[1]
