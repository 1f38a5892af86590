"""What only PostgreSQL can do to a store: lose connections and answers, end paused sessions, and wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellkept.clock import SystemClock
from wellkept.errors import LeaseLostError, RetryableError, StoreError
from wellkept.records import Account
from wellkept.store import Store, Tx, locks, open_store
from wellkept.store.database import MisfitError, UncertainError
from wellkept.store.postgres import connection as connections
from wellkept.store.postgres.connection import COPY_ROWS, FETCH, PgConnection
from wellkept.store.postgres.database import PgDatabase
from wellkept.store.records import RecordTables
from wellkept.testing import FakeClock


@pytest.fixture
def store(postgres: str, clock: FakeClock) -> Iterator[Store]:
    opened = open_store(postgres, clock)
    yield opened
    opened.close()


@pytest.fixture
def admin(postgres: str) -> Iterator[psycopg.Connection[Any]]:
    """Somebody else's connection to the same database."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        yield connection


def put(key: str) -> Callable[[Tx], int]:
    return lambda tx: tx.execute("INSERT INTO tombstones (digest, at) VALUES (?, 0)", (key,))


def queue(name: str) -> Callable[[Tx], int]:
    """Add a row that nothing keeps from being added twice."""
    return lambda tx: tx.insert("INSERT INTO changes (type, instance, id, at) VALUES ('t', 'i', ?, 0)", (name,))


def stones(store: Store) -> list[str]:
    with store.read() as reader:
        return [digest for (digest,) in reader.rows("SELECT digest FROM tombstones ORDER BY digest")]


def queued(store: Store) -> list[str]:
    with store.read() as reader:
        return [id_ for (id_,) in reader.rows("SELECT id FROM changes ORDER BY seq")]


def pid(tx: Any) -> int:
    return int(tx.value("SELECT pg_backend_pid()"))


def end_session(admin: psycopg.Connection[Any], process: int) -> None:
    admin.execute("SELECT pg_terminate_backend(%s, 5000)", (process,))


# --- lost connections ---


def test_a_writer_whose_session_was_ended_goes_on_with_a_new_one(store: Store, admin: psycopg.Connection[Any]) -> None:
    end_session(admin, store.write_now(pid))
    store.write_now(put("a"))
    assert stones(store) == ["a"]


def test_a_job_whose_session_is_ended_is_run_again_as_a_whole(store: Store, admin: psycopg.Connection[Any]) -> None:
    processes: list[int] = []

    def job(tx: Tx) -> str:
        queue("first")(tx)
        processes.append(pid(tx))
        if len(processes) == 1:
            end_session(admin, processes[0])
        queue("second")(tx)
        return "done"

    assert store.write_now(job) == "done"
    assert len(set(processes)) == 2
    assert queued(store) == ["first", "second"]


def test_a_job_that_breaks_every_connection_is_given_up(store: Store, admin: psycopg.Connection[Any]) -> None:
    tries: list[int] = []

    def job(tx: Tx) -> None:
        tries.append(pid(tx))
        end_session(admin, tries[-1])
        queue("never")(tx)

    with pytest.raises(RetryableError, match="the database cannot be reached"):
        store.write_now(job)
    assert len(tries) == 3
    store.write_now(queue("after"))
    assert queued(store) == ["after"]


class Cut:
    """Loses the connection at the next COMMIT: before the server gets it, or after it has done it."""

    def __init__(self, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
        self.commits = 0
        execute = PgConnection.execute

        def cut(connection: PgConnection, sql: str, params: Any = (), /) -> Any:
            if sql != "COMMIT":
                return execute(connection, sql, params)
            self.commits += 1
            if self.commits > 1:
                return execute(connection, sql, params)
            if after:
                execute(connection, sql, params)
            end_session(admin, connection.raw.info.backend_pid)
            return connection.raw.execute("SELECT 1")

        monkeypatch.setattr(PgConnection, "execute", cut)


@pytest.mark.parametrize("after", [False, True])
def test_a_commit_whose_answer_is_lost_happens_once(
    store: Store, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    cut = Cut(admin, monkeypatch, after=after)
    seq = store.write_now(queue("once"), durable=True)
    assert queued(store) == ["once"]
    assert cut.commits == (1 if after else 2)
    with store.read() as reader:
        assert reader.value("SELECT seq FROM changes") == seq
    store.write_now(queue("more"))
    assert queued(store) == ["once", "more"]


def test_a_commit_of_which_nothing_is_known_is_not_repeated(
    store: Store, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = Cut(admin, monkeypatch, after=True)
    monkeypatch.setattr(PgDatabase, "_fate", lambda *_: None)
    with pytest.raises(UncertainError, match=r"what became of the commit of transaction \d+ is not known"):
        store.write_now(queue("perhaps"))
    assert cut.commits == 1
    store.write_now(queue("more"))
    assert queued(store) == ["perhaps", "more"]


def test_a_server_that_does_not_come_back_leaves_the_commit_open(
    store: Store, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    Cut(admin, monkeypatch, after=True)
    with monkeypatch.context() as away:
        away.setattr(store._database, "busy_seconds", 0)
        away.setattr(PgDatabase, "connect", lambda *_, **__: (_ for _ in ()).throw(psycopg.OperationalError("no route")))
        with pytest.raises(UncertainError, match="no route, and what became of a commit is not known"):
            store.write_now(queue("perhaps"))
        with pytest.raises(RetryableError, match="cannot be reached"):
            store.write_now(queue("never"))
    store.write_now(queue("back"))
    assert queued(store) == ["perhaps", "back"]


def test_reconnecting_waits_for_a_server_that_is_slow_to_come_back(
    store: Store, admin: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    connect = PgDatabase.connect

    def slow(database: PgDatabase, *, readonly: bool) -> PgConnection:
        if len(waits) < 4:
            raise psycopg.OperationalError("the database system is starting up")
        return connect(database, readonly=readonly)

    monkeypatch.setattr("wellkept.store.postgres.database.time.sleep", waits.append)
    end_session(admin, store.write_now(pid))
    monkeypatch.setattr(PgDatabase, "connect", slow)
    store.write_now(put("a"))
    assert waits == [0.05, 0.1, 0.2, 0.4]
    assert stones(store) == ["a"]


def test_idle_readers_whose_sessions_were_ended_are_replaced(store: Store, admin: psycopg.Connection[Any]) -> None:
    store.write_now(put("a"))
    with store.read() as first, store.read() as second:
        ended = [pid(first), pid(second)]
    for process in ended:
        end_session(admin, process)
    assert stones(store) == ["a"]


def test_a_snapshot_that_is_lost_asks_to_try_again(store: Store, admin: psycopg.Connection[Any]) -> None:
    def read() -> None:
        with store.read() as reader:
            end_session(admin, pid(reader))
            reader.value("SELECT 1")

    with pytest.raises(RetryableError, match="the database cannot be reached"):
        read()
    assert stones(store) == []


def test_a_server_that_is_not_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wellkept.store.postgres.database.time.sleep", lambda _: pytest.fail("waited"))
    with pytest.raises(RetryableError, match=r"postgresql://me@127\.0\.0\.1:1/x: the database cannot be reached") as told:
        open_store("postgresql://me:hush-hush@127.0.0.1:1/x")
    assert "hush" not in str(told.value)


@pytest.mark.parametrize("url", ["postgresql://me:hush-hush@[::1/x", "postgresql://me:hush-hush@host:port:1/x?sslmode"])
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StoreError) as told:
        open_store(url)
    assert "hush" not in f"{told.value} {told.value.__cause__}"


# --- several writers ---


@contextmanager
def two(url: str, **options: Any) -> Iterator[tuple[Store, Store]]:
    with (
        closing(Store(PgDatabase(url, **options), SystemClock())) as one,
        closing(Store(PgDatabase(url, **options), SystemClock())) as other,
    ):
        yield one, other


def test_one_writes_at_a_time(store: Store, postgres: str) -> None:
    """What a job has read stays so until it has committed, whoever else wants to write."""

    def raise_by_one(tx: Tx) -> None:
        seen = int(tx.value("SELECT epoch FROM locks WHERE name = 'n'"))
        tx.execute("UPDATE locks SET epoch = ? WHERE name = 'n'", (seen + 1,))

    store.write_now(lambda tx: tx.execute("INSERT INTO locks (name, owner, epoch, expires_at) VALUES ('n', 'o', 0, 0)"))
    with two(postgres) as pair:
        threads = [threading.Thread(target=lambda s=s: [s.write_now(raise_by_one) for _ in range(25)]) for s in pair]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with store.read() as reader:
        assert reader.value("SELECT epoch FROM locks WHERE name = 'n'") == 50


def test_a_store_that_stays_locked_asks_to_try_again(store: Store, postgres: str) -> None:
    begun, free = threading.Event(), threading.Event()

    def job(tx: Tx) -> None:
        put("first")(tx)
        begun.set()
        free.wait(20)

    with two(postgres, busy_seconds=0.1) as (one, other):
        holder = threading.Thread(target=one.write_now, args=(job,))
        holder.start()
        begun.wait(20)
        with pytest.raises(RetryableError, match=r"another process kept the store locked for 0\.1 s"):
            other.write_now(put("second"))
        free.set()
        holder.join()
        other.write_now(put("third"))
    assert stones(store) == ["first", "third"]


def test_a_holder_that_is_paused_in_its_commit_never_commits_once_another_has_taken_over(store: Store, postgres: str) -> None:
    now = 1_000
    epoch = store.write_now(lambda tx: locks.acquire(tx, "run", "paused", 10, now))
    assert epoch is not None
    checked, wake = threading.Event(), threading.Event()
    outcome: list[BaseException | str] = []

    def commit_something(tx: Tx) -> None:
        locks.check(tx, "run", "paused", epoch)
        queue("of the paused one")(tx)
        if not checked.is_set():
            checked.set()
            wake.wait(30)  # as a process that is stopped by a signal
        queue("as well")(tx)

    def run(paused: Store) -> None:
        try:
            paused.write_now(commit_something)
            outcome.append("committed")
        except LeaseLostError as error:
            outcome.append(error)

    with two(postgres, pause_seconds=0.2) as (paused, other):
        thread = threading.Thread(target=run, args=(paused,))
        thread.start()
        checked.wait(20)
        taken = other.write_now(lambda tx: locks.acquire(tx, "run", "other", 10, now + 11))  # waits until the server ends it
        other.write_now(queue("of the other one"))
        wake.set()
        thread.join()
    assert taken == epoch + 1
    assert isinstance(outcome[0], LeaseLostError)
    assert queued(store) == ["of the other one"]


# --- statements ---


@pytest.mark.parametrize("count", [1, COPY_ROWS - 1, COPY_ROWS, 3 * COPY_ROWS])
def test_rows_in_bulk_are_inserted_or_merged(store: Store, count: int) -> None:
    sql = "INSERT INTO limits (credential, blocked_until, state) VALUES (?, ?, ?) ON CONFLICT (credential) DO UPDATE SET"
    sql += " blocked_until = excluded.blocked_until"
    rows = [(f"c{number}", number, "a\tb\\n\n'\"ü") for number in range(count)]
    assert store.write_now(lambda tx: tx.bulk(sql, rows)) == count
    again = [(credential, at + 1, "{}") for credential, at, _ in rows]

    def twice(tx: Tx) -> list[int]:
        return [tx.bulk(sql, again[: count // 2]), tx.bulk(sql, again[count // 2 :])]

    assert sum(store.write_now(twice)) == count
    with store.read() as reader:
        found = reader.all("SELECT credential, blocked_until, state FROM limits")
    assert sorted(found) == sorted((credential, at + 1, state) for credential, at, state in rows)


@pytest.mark.parametrize("count", [1, COPY_ROWS])
@pytest.mark.parametrize("bad", [1.5, "1", b"1", 2**63])
def test_a_value_that_does_not_fit_is_named_by_its_column_and_never_shown(store: Store, bad: object, count: int) -> None:
    sql = "INSERT INTO limits (credential, blocked_until, state) VALUES (?, ?, ?)"
    rows = [(f"c{number}", 5, "{}") for number in range(count - 1)] + [("bad", bad, "{}")]

    def job(tx: Tx) -> str:
        with pytest.raises(MisfitError, match="cannot store") as told, tx.savepoint():
            tx.bulk(sql, rows)
        put("goes on")(tx)
        return str(told.value)

    assert "9223372036854775808" not in store.write_now(job)
    assert stones(store) == ["goes on"]


def test_an_error_shows_no_value(store: Store) -> None:
    store.write_now(put("anna@example.com"))
    with pytest.raises(StoreError, match="unique violation: tombstones_pkey") as told:
        store.write_now(put("anna@example.com"))
    assert "anna" not in str(told.value)


def test_a_long_result_comes_in_parts_beside_other_statements(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    total = 2 * FETCH + 5
    rows = [(f"{number:05}", number) for number in range(total)]
    store.write_now(lambda tx: tx.bulk("INSERT INTO tombstones (digest, at) VALUES (?, ?)", rows))
    fetched: list[str] = []
    fetch = connections._fetch
    monkeypatch.setattr(connections, "_fetch", lambda name: (fetched.append(name), fetch(name))[1])
    with store.read() as reader:
        found = []
        for digest, at in reader.rows("SELECT digest, at FROM tombstones ORDER BY digest"):
            assert reader.value("SELECT at FROM tombstones WHERE digest = ?", (digest,)) == at
            found.append((digest, at))
            if at == 0:
                assert len(fetched) == 1
    assert found == rows
    assert len(fetched) == 3


def test_results_that_were_given_up_do_not_pile_up(store: Store) -> None:
    with store.read() as reader:
        for _ in range(20):
            next(reader.rows("SELECT 1 UNION SELECT 2"))
        open_ = reader.value("SELECT COUNT(*) FROM pg_cursors")
    assert open_ <= 2

    def fail(tx: Tx) -> None:
        with tx.savepoint():
            assert list(tx.rows("SELECT 1")) == [(1,)]
            raise ZeroDivisionError

    def job(tx: Tx) -> None:
        with pytest.raises(ZeroDivisionError):
            fail(tx)
        assert list(tx.rows("SELECT 2")) == [(2,)]

    store.write_now(job)


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXT, min_size=1, max_size=4), st.binary(), st.integers(-(2**63), 2**63 - 1))
def test_values_come_back_as_they_went(store: Store, texts: list[str], raw: bytes, number: int) -> None:
    columns = "instance, stream, digest, reason, raw, first_at, last_at"

    def job(tx: Tx) -> list[tuple[Any, ...]]:
        tx.execute("DELETE FROM dead_letters")
        for index, text in enumerate(texts):
            row = (text, text, str(index), "", raw, number, 0)
            tx.execute(f"INSERT INTO dead_letters ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return tx.all("SELECT instance, stream, raw, first_at, record_id FROM dead_letters ORDER BY instance, seq")

    wanted = sorted(texts, key=lambda text: text.encode())
    assert store.write_now(job) == [(text, text, raw, number, None) for text in wanted]


def test_a_table_that_has_just_grown_is_read_by_its_key(store: Store) -> None:
    """The server looks at new tables by itself, but only after a while."""
    tables = RecordTables([Account])
    store.write_now(tables.ensure)
    rows = [Account(id=f"cus_{number:05}", version=1, name="x" * 200) for number in range(5_000)]
    store.write_now(lambda tx: tables.upsert(tx, "crm", "all", rows, 1))
    ids = [row.id for row in rows[:50]]
    marks = ", ".join("?" * len(ids))
    with store.read() as reader:
        plan = reader.all(f"EXPLAIN SELECT version FROM r_account WHERE instance = ? AND id IN ({marks})", ["crm", *ids])
    assert any("r_account_pkey" in line for (line,) in plan)
