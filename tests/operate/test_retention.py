"""What is old goes, what is needed stays, and others write meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wellkept.cli import main
from wellkept.records import CANONICAL, Account
from wellkept.settings import Retention
from wellkept.store import Store, audit, dead_letters, open_store, retention, runs
from wellkept.store.erase import erase
from wellkept.store.records import RecordTables
from wellkept.testing import FakeClock

pytestmark = pytest.mark.both

NOW = 1_795_219_200_000
DAY = 86_400_000
SETTINGS = Retention()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(tmp_path / "wellkept.db", FakeClock())) as made:
        yield made


def sql(store: Store, text: str, *params: Any) -> None:
    store.write_now(lambda tx: tx.execute(text, params))


def all_(store: Store, text: str, *params: Any) -> list[tuple[Any, ...]]:
    with store.read() as reader:
        return reader.all(text, params)


def prune(store: Store, settings: Retention = SETTINGS, now: int = NOW) -> dict[str, int]:
    """Prune, and make sure that counting said the same before and finds nothing after."""
    with store.read() as reader:
        before = retention.counts(reader, settings, now)
    removed = retention.prune(store, settings, now)
    for name in before.keys() - {"runs", "notices", "configurations of scores"}:  # these follow from what went before them
        assert removed[name] == before[name], name
    with store.read() as reader:
        assert not any(retention.counts(reader, settings, now).values())
    return {name: count for name, count in removed.items() if count}


def run(store: Store, id_: str, age: int, kind: str = "run", state: str = "done", *streams: str) -> None:
    at = NOW - age * DAY
    sql(
        store,
        "INSERT INTO runs (id, kind, state, started_at, heartbeat_at, host, pid) VALUES (?, ?, ?, ?, ?, 'h', 1)",
        id_, kind, state, at, at,
    )  # fmt: skip
    for stream in streams:
        sql(
            store,
            "INSERT INTO run_streams (run_id, instance, stream, state, started_at) VALUES (?, 'crm', ?, 'done', ?)",
            id_, stream, at,
        )  # fmt: skip


def test_old_runs_go_small_ones_earlier_and_the_newest_of_each_stream_stays(store: Store) -> None:
    run(store, "old", 401, "run", "done", "deals", "firms")
    run(store, "rare", 500, "run", "done", "rare")
    run(store, "young", 399, "run", "done", "deals", "firms")
    run(store, "old-hints", 15, "hints", "done", "deals")
    run(store, "new-hints", 13, "hints")
    run(store, "hangs", 500, "run", "running")
    assert prune(store) == {"streams of runs": 2, "runs": 1}
    assert {id_ for (id_,) in all_(store, "SELECT id FROM runs")} == {"rare", "young", "old-hints", "new-hints", "hangs"}
    with store.read() as reader:
        assert {row.stream for row in runs.latest_of_streams(reader)} == {"deals", "firms", "rare"}
    run(store, "next", 0, "run", "done", "deals")
    assert prune(store) == {"streams of runs": 1, "runs": 1}
    assert not all_(store, "SELECT 1 FROM runs WHERE id = 'old-hints'")


def test_answered_hints_go_and_open_ones_stay(store: Store) -> None:
    for number, done_at in enumerate((NOW - 31 * DAY, NOW - 29 * DAY, None)):
        sql(
            store,
            "INSERT INTO inbox (instance, hint_id, stream, object_id, at, received_at, done_at)"
            " VALUES ('crm', ?, 's', '', 0, 0, ?)",
            str(number), done_at,
        )  # fmt: skip
    assert prune(store) == {"webhook hints": 1}
    assert all_(store, "SELECT hint_id FROM inbox ORDER BY 1") == [("1",), ("2",)]


def test_letters_go_when_somebody_decided_and_they_do_not_come_any_more(store: Store) -> None:
    from wellkept.source import Reject

    def add(name: str, age: int) -> None:
        store.write_now(lambda tx: dead_letters.add(tx, "crm", "s", [Reject(raw=name.encode(), reason="r")], NOW - age * DAY))

    for name in ("open", "dropped", "comes again", "resolved"):
        add(name, 100)
    sql(store, "UPDATE dead_letters SET state = 'dropped' WHERE seq IN (2, 3)")
    sql(store, "UPDATE dead_letters SET state = 'resolved' WHERE seq = 4")
    add("comes again", 1)
    assert prune(store) == {"dead letters": 2}
    assert all_(store, "SELECT seq, state FROM dead_letters ORDER BY 1") == [(1, "open"), (3, "dropped")]


def score(store: Store, account: str, as_of: str, digest: str = "c") -> None:
    sql(
        store,
        "INSERT INTO scores (account, scorer, as_of, at, run_id, scorer_version, config_digest, body, inputs)"
        " VALUES (?, 'health', ?, 0, 'r', '1', ?, '{}', '{}')",
        account, as_of, digest,
    )  # fmt: skip


def test_of_old_scores_the_last_one_stays(store: Store) -> None:
    for digest in ("old", "c"):
        sql(store, "INSERT INTO configs (digest, body, first_at) VALUES (?, '{}', 0)", digest)
    for as_of in ("2024-01-01", "2024-02-01", "2024-03-01"):
        score(store, "a", as_of, "old" if as_of < "2024-03-01" else "c")
    score(store, "a", "2026-11-01")
    score(store, "b", "2023-01-01")
    assert prune(store) == {"scores": 2, "configurations of scores": 1}
    rows = all_(store, "SELECT account, as_of FROM scores ORDER BY account, as_of")
    assert rows == [("a", "2024-03-01"), ("a", "2026-11-01"), ("b", "2023-01-01")]
    assert all_(store, "SELECT digest FROM configs") == [("c",)]


def test_alerts_that_are_over_go_with_their_notices(store: Store) -> None:
    for ended_at in (NOW - 401 * DAY, NOW - DAY, None):
        sql(
            store,
            "INSERT INTO alerts (condition, subject, severity, since, opened_at, detail, ended_at)"
            " VALUES ('failed', 's', 'critical', 0, 0, 'd', ?)",
            ended_at,
        )
    for alert in (1, 2, 3):
        sql(store, "INSERT INTO alert_notices (alert, channel, what, sent_at) VALUES (?, 'mail', 'opened', 1)", alert)
    assert prune(store) == {"alerts": 1, "notices": 1}
    assert all_(store, "SELECT alert FROM alert_notices ORDER BY 1") == [(2,), (3,)]


def test_past_versions_go_only_when_asked_and_no_kept_day_shows_it(store: Store) -> None:
    tables = RecordTables(CANONICAL)
    store.write_now(tables.ensure)
    for age in range(1000, 0, -100):  # a change every hundred days, and one row that changed long ago for the last time
        at = NOW - age * DAY
        rows = [Account(id="a", version=at, updated_at=at, name=f"day {age}")]
        if age > 700:
            rows.append(Account(id="b", version=at, updated_at=at, name=f"day {age}"))
        store.write_now(lambda tx, rows=rows, at=at: tables.upsert(tx, "crm", "accounts", rows, at))

    def known(age: int) -> list[tuple[Any, ...]]:
        text, params = tables.as_of(Account, NOW - age * DAY)
        return all_(store, f"SELECT id, name FROM {text} AS t ORDER BY id", *params)

    days = range(0, 450, 10)
    before = {age: known(age) for age in days}
    assert prune(store) == {}
    assert prune(store, Retention(history_days=450)) == {"past versions": 7}
    assert {age: known(age) for age in days} == before
    assert known(450) == [("a", "day 500"), ("b", "day 800")]


def test_the_audit_chain_verifies_without_its_old_texts(store: Store) -> None:
    for age in (500, 400, 10):
        store.write_now(lambda tx, at=NOW - age * DAY: audit.append(tx, "effect.done", "acc", {"to": "x"}, now=at))
    assert prune(store) == {}
    assert prune(store, Retention(audit_days=450)) == {"audit texts": 1}
    with store.read() as reader:
        assert audit.verify(reader) is None
        assert [entry.body is None for entry in audit.entries(reader)] == [True, False, False]


def test_what_was_erased_stays_erased_and_effects_are_known_for_ever(store: Store) -> None:
    tables = RecordTables(CANONICAL, keyed_hash=lambda text: hashlib.sha256(text.encode()).hexdigest())
    store.write_now(tables.ensure)
    row = Account(id="cus_a", version=1, name="Anna")
    store.write_now(lambda tx: tables.upsert(tx, "crm", "accounts", [row], NOW - 900 * DAY))
    sql(store, "INSERT INTO accounts (id, created_at, updated_at) VALUES ('acc', 0, 0)")
    sql(
        store,
        "INSERT INTO links (type, instance, record_id, account, evidence, at)"
        " VALUES ('account', 'crm', 'cus_a', 'acc', '{}', 0)",
    )
    sql(
        store,
        "INSERT INTO outbox (key, own_key, run_id, policy, policy_version, capability, kind, payload, reason, state,"
        " planned_at) VALUES ('k', 'k', 'r', 'p', '1', 'invoice.pay', 'once', '{}', 'r', 'done', 0)",
    )
    erase(store, "acc", keyed_hash=lambda text: hashlib.sha256(text.encode()).hexdigest())
    prune(store, Retention(runs_days=7, inbox_days=7, dead_letters_days=7, scores_days=90, history_days=400, audit_days=365))
    came_back = store.write_now(lambda tx: tables.upsert(tx, "crm", "accounts", [row], NOW))
    assert came_back.blocked == 1
    assert all_(store, "SELECT id FROM r_account") == []
    assert all_(store, "SELECT key FROM outbox") == [("k",)]


def test_others_write_between_the_chunks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest transaction bounds how long somebody waits."""
    monkeypatch.setattr(retention, "CHUNK", 50)
    for number in range(170):
        run(store, f"r-{number:03}", 500)
    sizes: list[int] = []

    def advance(count: int) -> None:
        sizes.append(count)
        sql(store, "INSERT INTO meta (key, value) VALUES (?, 'x')", f"between {len(sizes)}")

    retention.prune(store, SETTINGS, NOW, advance)
    assert sizes == [50, 50, 50, 20]
    assert len(all_(store, "SELECT 1 FROM meta WHERE key LIKE 'between%'")) == 4


def test_what_changed_while_pruning_is_looked_at_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from wellkept.source import Reject

    monkeypatch.setattr(retention, "CHUNK", 1)
    rejects = [Reject(raw=b"%d" % number, reason="r") for number in range(3)]
    store.write_now(lambda tx: dead_letters.add(tx, "crm", "s", rejects, NOW - 100 * DAY))
    sql(store, "UPDATE dead_letters SET state = 'resolved'")
    retention.prune(store, SETTINGS, NOW, lambda _: sql(store, "UPDATE dead_letters SET state = 'open' WHERE seq = 3"))
    assert all_(store, "SELECT seq FROM dead_letters") == [(3,)]


def test_once_a_day_is_enough(store: Store) -> None:
    run(store, "a", 500)
    assert retention.prune_daily(store, SETTINGS, NOW)["runs"] == 1
    run(store, "b", 500)
    assert retention.prune_daily(store, SETTINGS, NOW + DAY - 1) == {}
    assert retention.prune_daily(store, SETTINGS, NOW + DAY)["runs"] == 1


def test_the_verb_counts_first_and_then_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugins.toml").write_text("[retention]\nruns_days = 7\n")
    with closing(open_store(tmp_path / "wellkept.db")) as store:
        run(store, "old", 4000)

    def call(*arguments: str) -> dict[str, Any]:
        capsys.readouterr()
        assert main(["prune", "--json", *arguments]) == 0
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    assert call("--dry-run")["rows"]["runs"] == 1
    assert call("--dry-run")["rows"]["runs"] == 1
    done = call("--compact")
    assert (done["rows"]["runs"], done["compacted"]) == (1, True)
    assert call()["rows"]["runs"] == 0
