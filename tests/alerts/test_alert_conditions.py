"""What is wrong, as the store tells it: found when it begins, not found when it is over, and nothing else found."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest

from wellkept.alerts import RUNBOOK
from wellkept.alerts.notices import HEADINGS, runbook
from wellkept.settings import Condition
from wellkept.source import Reject
from wellkept.store import dead_letters, limits

if TYPE_CHECKING:
    from tests.alerts.conftest import House

pytestmark = pytest.mark.both

ROOT = Path(__file__).resolve().parents[2]
HOUR = 3_600_000
DAY = 24 * HOUR


def test_every_condition_has_a_name_and_a_section_in_the_runbook() -> None:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("docs_check", ROOT / "docs/check.py")
    assert spec is not None
    assert spec.loader is not None
    check = module_from_spec(spec)
    spec.loader.exec_module(check)
    conditions = set(get_args(Condition))
    assert set(RUNBOOK) == set(HEADINGS) == conditions
    headings = check.anchors(ROOT / "docs/runbook.md")
    for condition in conditions:
        page, _, anchor = runbook(condition).partition("#")
        assert (ROOT / page).is_file()
        assert anchor in headings, f"docs/runbook.md has no section for {condition}"


def test_an_empty_store_has_no_troubles(house: House) -> None:
    assert house.open() == []


def test_an_instance_whose_streams_all_fail_has_failed(house: House) -> None:
    house.run("failed", crm_deals="failed: no answer", crm_firms="failed: no answer", bill_invoices="done")
    assert house.open() == [("failed", "crm")]
    house.run("partial", crm_deals="done", crm_firms="failed: no answer")
    assert house.open() == [("partial", "crm")]
    house.run("done", crm_firms="done")
    assert house.open() == []


def test_an_instance_that_is_left_out_for_a_reason_of_its_own_has_failed(house: House) -> None:
    """Such as: the vendor cannot be reached to check a changed credential."""
    house.run("failed", crm_deals="skipped: the vendor could not be reached")
    assert house.open() == [("failed", "crm")]


def test_runs_of_others_change_nothing(house: House) -> None:
    house.run("failed", crm_deals="failed: no answer")
    house.run("done", bill_invoices="done")
    assert house.open() == [("failed", "crm")]


def test_a_stream_that_was_cut_off_is_judged_by_its_read_before(house: House) -> None:
    house.run("failed", crm_deals="failed: no answer")
    house.run("interrupted", crm_deals="failed: interrupted")
    assert house.open() == [("failed", "crm")]
    house.run("done", crm_deals="done")
    house.run("interrupted", crm_deals="failed: interrupted")
    assert house.open() == []


def test_a_stream_that_is_not_configured_any_more_is_no_trouble(house: House) -> None:
    house.run("failed", crm_deals="failed: no answer")
    house.stale.clear()
    assert house.open() == []


def test_a_run_that_failed_as_a_whole_is_told_by_its_kind(house: House) -> None:
    house.run("failed", summary="it hung in decide", crm_deals="failed: hangs")
    assert house.open() == [("failed", "run (run)")]
    house.run("done", kind="hints")
    assert house.open() == [("failed", "run (run)")]
    house.run("partial", summary="2 problems", crm_deals="done")
    assert house.open() == [("partial", "run (run)")]
    house.run("done", crm_deals="done")
    assert house.open() == []


def test_a_whole_run_ends_what_was_wrong_with_smaller_ones(house: House) -> None:
    house.run("failed", kind="hints", summary="no disk")
    assert house.open() == [("failed", "run (hints)")]
    house.run("done")
    assert house.open() == []


def test_a_backfill_is_the_business_of_who_asked_for_it(house: House) -> None:
    house.run("failed", kind="backfill", summary="no")
    assert house.open() == []


def stale(house: House, fresh_at: int | None, anomaly: str | None = None) -> None:
    house.sql(
        "INSERT INTO cursors (instance, stream, scope, fresh_at, anomaly, updated_at) VALUES ('crm', 'deals', 'live', ?, ?, 0)"
        " ON CONFLICT (instance, stream, scope) DO UPDATE SET fresh_at = excluded.fresh_at, anomaly = excluded.anomaly",
        fresh_at, anomaly,
    )  # fmt: skip


def test_data_grow_stale_and_fresh_again(house: House) -> None:
    house.stale["crm", "deals"] = timedelta(hours=36)
    stale(house, house.clock.now())
    assert house.open() == []
    house.clock.advance(36 * 3600 + 1)
    assert house.open() == [("stale", "crm")]
    (since,) = house.all("SELECT since FROM alerts")
    assert since == (house.clock.now() - 1000,)
    stale(house, house.clock.now())
    assert house.open() == []


def test_a_read_that_is_not_believed_is_stale_at_once(house: House) -> None:
    house.stale["crm", "deals"] = timedelta(hours=36)
    stale(house, house.clock.now(), "3 rows instead of 900")
    assert house.open() == [("stale", "crm")]


def test_a_stream_that_is_never_read_to_its_end_is_stale_after_its_time(house: House) -> None:
    house.run("partial", crm_deals="done")
    house.stale["crm", "deals"] = timedelta(hours=36)
    stale(house, None)
    assert house.open() == [("partial", "run (run)")]
    house.clock.advance(37 * 3600)
    assert ("stale", "crm") in house.open()


def effect(house: House, key: str, *, run: str, state: str, hold: str | None) -> None:
    house.sql(
        "INSERT INTO outbox (key, own_key, run_id, policy, policy_version, capability, kind, account, payload, reason, state,"
        " hold, planned_at) VALUES (?, ?, ?, 'p', '1', 'task.create', 'once', ?, '{}', 'r', ?, ?, ?)",
        key, key, run, key, state, hold, house.clock.now(),
    )  # fmt: skip


def test_what_waits_for_a_person_is_told_by_run_or_by_reason(house: House) -> None:
    for key, run, hold in (("a", "r-7", "approval"), ("b", "r-7", "approval"), ("c", "r-8", "doubt"), ("d", "r-9", "doubt")):
        effect(house, key, run=run, state="held", hold=hold)
    for key, hold in (("e", "person"), ("f", "wait"), ("g", "dry")):
        effect(house, key, run="r-9", state="held", hold=hold)
    assert house.open() == [("held", "run r-7"), ("held", "doubt")]
    details = [detail for (detail,) in house.all("SELECT detail FROM alerts ORDER BY seq")]
    assert details[0].startswith("2 effects of 2 accounts wait for approval")
    assert details[1].startswith("2 effects are in doubt")
    house.sql("UPDATE outbox SET state = 'planned', hold = NULL WHERE run_id = 'r-7'")
    effect(house, "h", run="r-10", state="held", hold="approval")
    assert house.open() == [("held", "doubt"), ("held", "run r-10")]


@pytest.mark.parametrize("state", ["paused", "disabled"])
def test_the_breaker_is_told_until_the_instance_runs_again(house: House, state: str) -> None:
    house.instance("crm", state, reason="HTTP 401")
    assert house.open() == [("breaker", "crm")]
    assert house.all("SELECT detail, severity FROM alerts") == [(f"{state}: HTTP 401", "critical")]
    house.instance("crm", "ok")
    assert house.open() == []


def test_what_follows_from_a_stop_is_not_told_beside_it(house: House) -> None:
    house.run("failed", crm_deals="failed: no answer", bill_invoices="done")
    assert house.open() == [("failed", "crm")]
    for name in ("crm", "bill"):
        house.instance(name, "disabled")
    house.run("failed", bill_invoices="failed: no answer")
    assert house.open() == [("failed", "crm"), ("breaker", "bill"), ("breaker", "crm")]  # what was told goes on
    house.instance("bill", "ok")
    assert ("failed", "bill") in house.open()


def test_a_credential_is_told_of_in_time_and_until_it_is_renewed(house: House) -> None:
    house.instance("crm", expires_at=house.clock.now() + 15 * DAY)
    assert house.open() == []
    house.clock.advance(86_400)
    assert house.open() == [("credential", "crm")]
    house.clock.advance(30 * 86_400)
    assert house.open() == [("credential", "crm")]
    house.instance("crm", expires_at=house.clock.now() + 300 * DAY)
    assert house.open() == []


def quota(house: House, credential: str, used: int, *, requests: int = 100, per: int = DAY) -> None:
    budget = {"held": [["", house.clock.now(), used]], "queue": [], "requests": requests, "per": per}
    house.sql(
        "INSERT INTO limits (credential, state) VALUES (?, ?) ON CONFLICT (credential) DO UPDATE SET state = excluded.state",
        credential, msgspec.json.encode(budget).decode(),
    )  # fmt: skip


def test_a_quota_around_its_limit_is_one_episode(house: House) -> None:
    quota(house, "crm", 85)
    assert house.open() == []
    for used in (91, 85, 92, 81):
        quota(house, "crm", used)
        assert house.open() == [("quota", "crm")]
    quota(house, "crm", 79)
    assert house.open() == []
    assert house.all("SELECT COUNT(*) FROM alerts") == [(1,)]


def test_a_limit_of_seconds_is_no_quota(house: House) -> None:
    quota(house, "crm", 100, per=10_000)
    assert house.open() == []
    with house.store.read() as reader:
        assert limits.used_shares(reader, house.clock.now()) == {"crm": 1.0}


def test_dead_letters_grow_and_calm_down(house: House) -> None:
    def letters(first: int, last: int) -> None:
        rejects = [Reject(raw=b"%d" % number, reason="odd") for number in range(first, last)]
        house.store.write_now(lambda tx: dead_letters.add(tx, "crm", "deals", rejects, house.clock.now()))

    letters(0, 9)
    assert house.open() == []
    letters(9, 10)
    assert house.open() == [("dead-letters", "crm")]
    house.clock.advance(86_400)
    assert house.open() == []  # they are still there, but no new ones came


def test_conditions_that_are_off_are_not_told(house: House, receiver: Any) -> None:
    house.instance("crm", "paused")
    house.attend(off=["breaker"], webhook={"url": "env:ALERT_URL", "secret": "env:ALERT_SECRET"})
    assert receiver.told == []


def test_neither_secrets_nor_people_are_in_a_reason(house: House, receiver: Any) -> None:
    house.instance("crm", "paused", reason="refused sk_live_51Habcdefghij of anna@example.com")
    house.open()
    (event,) = receiver.events
    assert event["detail"] == "paused: refused *** of ***"
    assert house.all("SELECT detail FROM alerts") == [("paused: refused *** of ***",)]
