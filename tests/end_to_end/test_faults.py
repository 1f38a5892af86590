"""Every fault ends in the documented state, nothing is lost, and the next run makes it good."""

from __future__ import annotations

from typing import Any

import pytest

CASES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "429 with seconds": ({"kind": "status", "status": 429, "retry_after": 3}, {"done"}),
    "429 with a date": ({"kind": "status", "status": 429, "retry_after": 3, "as_date": True}, {"done"}),
    "a burst of 500": ({"kind": "status", "status": 500, "times": 3}, {"done"}),
    "an outage": ({"kind": "status", "status": 503, "times": None}, {"partial", "failed"}),
    "dropped without an answer": ({"kind": "drop"}, {"done"}),
    "dropped in mid-body": ({"kind": "cut"}, {"done"}),
    "a slow body": ({"kind": "slow", "seconds": 2.0}, {"done"}),
    "truncated JSON": ({"kind": "truncate"}, {"done"}),
    "something else than JSON": ({"kind": "content"}, {"done", "partial", "failed"}),
    "a bad row": ({"kind": "row", "field": "status", "raw": "7"}, {"partial"}),
    "bad UTF-8": ({"kind": "row", "field": "billing_reason", "raw": '"\xff"'}, {"done", "partial"}),
    "an expired key": ({"kind": "status", "status": 401, "times": None}, {"partial", "failed"}),
    "a stuck cursor": ({"kind": "ignore", "names": ("starting_after",), "times": None}, {"partial", "done"}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_ends_in_the_documented_state_and_loses_nothing(
    name: str, house: Any, build: Any, tmp_path_factory: Any
) -> None:
    fault, states = CASES[name]
    house.trouble(path="/v1/invoices*", skip=1, **fault)  # the first call only tries the key
    report = house.run()
    assert report.state in states
    assert report.sync is not None
    others = {item.state for item in report.sync.streams if item.stream not in {"invoices", "payment_attempts"}}
    if name != "an expired key":
        assert others <= {"done"}, "a stream's trouble is its own"
    assert not house.mail.mails

    house.vendor.faults.clear()
    (house.folder / "stripe.key").write_text(house.vendor.add_key("sk_test_" + "0" * 24))
    main_again = house.run(later=3 * 3600)
    assert main_again.state in {"done", "partial"}
    letters = house.ask("SELECT seq FROM dead_letters WHERE state = 'open'")
    if letters:
        from wellkept.cli import main

        main(["-c", str(house.path), "dead-letters", "retry", *[str(seq) for (seq,) in letters]])
        house.run()

    clean = build(tmp_path_factory.mktemp("clean"))
    clean.open()
    try:
        clean.run()
        assert house.rows() == clean.rows()
    finally:
        clean.close()


def test_clock_skew_of_the_vendor_is_harmless(house: Any) -> None:
    """Retry-After as a date is understood against the vendor's own clock; nothing is asked for too early."""
    house.trouble(kind="status", status=429, retry_after=30, as_date=True, path="/v1/invoices*")
    slept = len(house.clock.slept)
    assert house.run().state == "done"
    assert any(seconds >= 29 for seconds in house.clock.slept[slept:])


def test_a_locked_store_is_waited_for(house: Any) -> None:
    import sqlite3
    import threading

    house.run()
    blocker = sqlite3.connect(house.folder / "wellkept.db", isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(1.0, lambda: blocker.execute("ROLLBACK"))
    timer.start()
    try:
        assert house.run().state == "done"
    finally:
        timer.join()
        blocker.close()
