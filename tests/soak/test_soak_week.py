"""A week of schedules, webhooks, faults, restarts and rotated credentials in virtual time.

Nothing grows without bound, is lost, or done twice.

``WELLKEPT_SOAK_DAYS`` makes it longer.
"""

from __future__ import annotations

import logging
import os
import sys
from collections import Counter

import pytest
from tests.soak.conftest import Installation, handles, memory

DAYS = int(os.environ.get("WELLKEPT_SOAK_DAYS", "7"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(60 * max(10, DAYS)),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory and handles are read from /proc"),
]


def day(house: Installation, number: int) -> None:
    """Live through a day with trouble in it."""
    for part in range(4):
        house.customers_move()
        if house.random.random() < 0.7:
            house.trouble()
        if number % 3 == 1 and part == 2:
            house.rotate_key(late=number % 2 == 0)
        if number % 3 == 2 and part == 1:
            house.authorise_again(late=number % 2 == 1)
        if house.random.random() < 0.2:
            house.live_for(hours=6, cut=True)  # ends at once; the next one catches up
        house.live_for(hours=6, moving=True)
        house.vendor.faults.clear()
        house.desk.faults.clear()


def test_a_week(installation: Installation, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    house = installation
    marks = []
    for number in range(DAYS):
        day(house, number)
        for witness in (house.vendor.log, house.desk.log):
            witness.clear()  # it may grow without bound, not we
        marks.append((memory(), handles(), house.store_bytes, house.runs))
    house.mail.mend()
    house.live_for(hours=2 * house.hours)  # a calm end, in which everything arrives

    nothing_grows(marks)
    nothing_is_lost(house)
    nothing_happens_twice(house)


def nothing_grows(marks: list[tuple[float, int, int, int]]) -> None:
    """The first day fills caches; later days must not add to them, and the store grows with what happened alone."""
    warm, last = marks[min(1, len(marks) - 1)], marks[-1]
    days = len(marks) - 2
    assert last[0] < warm[0] + 20 + days, f"memory: {[round(mark[0]) for mark in marks]} MiB"
    assert last[1] <= warm[1] + 2, f"file handles: {[mark[1] for mark in marks]}"
    per_run = (last[2] - warm[2]) / max(1, last[3] - warm[3])
    assert per_run < 150_000, f"store: {[mark[2] for mark in marks]} bytes after {[mark[3] for mark in marks]} runs"


def nothing_is_lost(house: Installation) -> None:
    """What the vendor has is what the store has."""
    for kind, table in (("customer", "r_account"), ("subscription", "r_subscription"), ("invoice", "r_invoice")):
        theirs = {obj["id"] for obj in house.vendor.state.all(kind)}
        ours = {id_ for (id_,) in house.ask(f"SELECT id FROM {table} WHERE deleted = 0 AND instance = 'stripe'")}
        assert ours == theirs, f"{kind}: {len(theirs - ours)} missing, {len(ours - theirs)} too many"
    for kind, table, column in (("organization", "r_account", "name"), ("ticket", "r_ticket", "subject")):
        rows = {str(obj["id"]): obj[column] for obj in house.desk.state.all(kind)}
        assert dict(house.ask(f"SELECT id, {column} FROM {table} WHERE deleted = 0 AND instance = 'zendesk'")) == rows
    names = {obj["id"]: obj["name"] for obj in house.vendor.state.all("customer")}
    assert dict(house.ask("SELECT id, name FROM r_account WHERE deleted = 0 AND instance = 'stripe'")) == names
    states = Counter(state for (state,) in house.ask("SELECT state FROM runs"))
    assert not states["running"]
    assert house.ask("SELECT COUNT(*) FROM schedules WHERE settled = 0") == [(0,)]
    assert house.ask("SELECT COUNT(*) FROM inbox WHERE done_at IS NULL") == [(0,)]
    assert {state for (state,) in house.ask("SELECT state FROM instances")} == {"ok"}
    newest = "SELECT MAX(seq) FROM scores t WHERE t.account = s.account"
    scores = dict(
        house.ask(
            "SELECT l.record_id, s.value_milli FROM scores s JOIN links l ON l.account = s.account AND l.type = 'account'"
            f" AND l.instance = 'stripe' WHERE s.seq = ({newest})"
        )
    )
    pushed = {obj["id"]: obj["metadata"].get("wellkept_health") for obj in house.vendor.state.all("customer")}
    pushed = {id_: round(float(text) * 1000) for id_, text in pushed.items() if text}
    known = {id_: scores[id_] for id_ in pushed if scores[id_] is not None}  # what is not known now stays as it was
    assert len(known) > len(pushed) // 2
    assert {id_: pushed[id_] for id_ in known} == known
    assert house.ask("SELECT seq, state, note FROM outbox WHERE state IN ('planned', 'sending', 'unknown')") == []


def nothing_happens_twice(house: Installation) -> None:
    """Each mail that was planned is in the mail server once, and no mail is there that was not; so are hints in the inbox."""
    ids = Counter(mail.message["Message-ID"] for mail in house.mail.mails)
    assert max(ids.values()) == 1
    ((sent,),) = house.ask("SELECT COUNT(*) FROM outbox WHERE kind = 'message' AND parent IS NOT NULL AND state = 'done'")
    assert sent == len(house.mail.mails)
    hints = house.ask("SELECT instance, hint_id, stream, object_id FROM inbox")
    assert len(hints) == len(set(hints))
    assert {instance for instance, *_ in hints} == {"stripe", "zendesk"}
    assert house.refused > 0
    assert house.ask("SELECT COUNT(*) FROM runs WHERE kind = 'hints' AND state = 'done'") > [(DAYS,)]
    pairs = sum(grant.count for grant in house.desk.access.grants)
    assert pairs > 5 * DAYS, "tokens are used up in half an hour, and were renewed all the time"
