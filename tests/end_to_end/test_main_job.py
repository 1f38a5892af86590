"""The main job from end to end: real plugins, real HTTP and SMTP, and the promises that span all steps."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from wellkept.cli import main
from wellkept.cli.exits import Exit
from wellkept.store import approvals

DAY = 24 * 3600


def test_the_first_run_takes_note_and_touches_nothing(house: Any) -> None:
    house.vendor.fail_payment(house.active()[0])
    before = house.metadata()
    report = house.run()
    assert report.state == "done"
    assert report.score is not None
    assert report.score.scored > 0
    assert house.metadata() == before
    assert not house.mail.mails


def test_what_changed_is_pushed_and_mailed_once(house: Any) -> None:
    house.run()
    customer = house.active()[0]
    house.vendor.fail_payment(customer)
    house.run()
    assert {id_ for id_, data in house.metadata().items() if "wellkept_health" in data} == {customer}
    assert len(house.mail.mails) == 2
    house.run()
    house.run(later=DAY)
    assert len(house.mail.mails) == 2


def test_no_mail_after_recovery(house: Any) -> None:
    """The payment fails, the mail is planned; before it is sent the customer pays."""
    house.run()
    customer = house.active()[0]
    house.vendor.fail_payment(customer)
    house.mail.fail("mail", "451 4.3.0 come again", times=None)
    house.run()
    house.vendor.recover(customer)
    house.mail.mend()
    house.clock.advance(2 * 3600)
    assert main(["-c", str(house.path), "deliver"]) in {Exit.OK, Exit.PARTIAL}
    assert not house.mail.mails
    states = {state for (state,) in house.ask("SELECT state FROM outbox WHERE kind <> 'state' AND parent IS NOT NULL")}
    assert states == {"expired"}


def test_dry_run_writes_nothing_outside_and_decides_the_same(build: Any, tmp_path: Path) -> None:
    effects = []
    for live in (False, True):
        folder = tmp_path / str(live)
        folder.mkdir()
        house = build(folder, live=live)
        house.open()
        try:
            house.run()
            house.vendor.fail_payment(house.active()[0])
            house.run()
            wrote = [entry for entry in house.vendor.log.requests if entry.method != "GET"]
            assert bool(wrote) is live
            assert bool(house.mail.mails) is live
            effects.append(house.ask("SELECT own_key, kind, payload, reason FROM outbox WHERE parent IS NULL ORDER BY own_key"))
        finally:
            house.close()
    strip = [[(kind, payload, reason) for _, kind, payload, reason in found] for found in effects]
    assert strip[0] == strip[1]


def test_an_outage_changes_no_band_and_plans_no_effect(house: Any) -> None:
    house.run()
    bands, planned = house.bands(), house.ask("SELECT COUNT(*) FROM outbox")
    house.trouble(kind="status", status=503, times=None)
    for _ in range(3):
        report = house.run(later=DAY)
        assert report.state in {"partial", "failed"}
    assert house.bands() == bands
    assert house.ask("SELECT COUNT(*) FROM outbox") == planned
    assert not house.mail.mails
    assert house.ask("SELECT COUNT(*) FROM holds")[0][0] > 0
    house.vendor.faults.clear()
    assert house.run(later=3600).state == "done"


def test_a_mass_effect_waits_for_approval(house: Any) -> None:
    house.run()
    troubled = house.active()
    for customer in troubled:
        house.vendor.fail_payment(customer)
    report = house.run()
    assert report.decide is not None
    assert report.decide.mass
    assert not any("wellkept_health" in data for data in house.metadata().values())
    assert not house.mail.mails
    with house.runtime() as runtime, runtime.store.read() as reader:
        waiting = approvals.held_runs(reader)
    assert [run.run for run in waiting] == [report.run]
    assert main(["-c", str(house.path), "effects", "approve", report.run]) == Exit.OK
    house.run()
    assert {id_ for id_, data in house.metadata().items() if "wellkept_health" in data} == set(troubled)
    assert len(house.mail.mails) == 2 * len(troubled)


def test_undo_puts_back_what_still_stands(house: Any) -> None:
    house.run()
    first, second = house.active()[:2]
    house.vendor.fail_payment(first)
    house.vendor.fail_payment(second)
    report = house.run()
    house.vendor.state.get("customer", second)["metadata"]["wellkept_band"] = "changed by hand"
    main(["-c", str(house.path), "effects", "undo", report.run])
    house.clock.advance(3600)
    main(["-c", str(house.path), "deliver"])
    assert "wellkept_band" not in house.metadata()[first]
    assert house.metadata()[second]["wellkept_band"] == "changed by hand"


def test_no_secret_and_no_personal_data_in_any_log(house: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    house.run()
    house.vendor.fail_payment(house.active()[0])
    house.trouble(kind="status", status=500, path="/v1/invoices*")
    house.run()
    ours = [record for record in caplog.records if record.name != "mail.log"]  # the mail server's own
    texts = "\n".join(record.getMessage() for record in ours)
    texts += repr(house.ask("SELECT summary FROM runs")) + repr(house.ask("SELECT error, note FROM run_streams"))
    assert "wellkept.http" in caplog.text
    assert house.vendor.key not in texts
    for obj in house.vendor.state.all("customer"):
        assert obj["email"] not in texts
        assert obj["name"] not in texts
    assert "team@wellkept.example" not in texts


def test_an_erased_customer_stays_erased(house: Any) -> None:
    house.run()
    customer = house.vendor.state.all("customer")[0]
    with house.runtime() as runtime, runtime.store.read() as reader:
        from wellkept.store.accounts import account_of

        account = account_of(reader, "stripe", customer["id"])
    assert account
    assert main(["-c", str(house.path), "erase", account, "--yes"]) == Exit.OK
    assert main(["-c", str(house.path), "sync", "--full"]) in {Exit.OK, Exit.PARTIAL}
    house.run()
    everything = b"".join(path.read_bytes() for path in house.folder.glob("wellkept.db*"))
    assert customer["email"].encode() not in everything
    assert customer["id"].encode() not in everything
