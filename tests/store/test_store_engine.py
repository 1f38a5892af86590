"""The writer thread: groups, failures, cancellation, closing; and snapshots."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from wellkept.errors import RetryableError, StoreError
from wellkept.store import Store, Tx, engine, open_store, sqlite


def put(key: str, value: str = "x") -> Callable[[Tx], int]:
    return lambda tx: tx.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (key, value))


def keys(store: Store) -> set[str]:
    with store.read() as reader:
        return {key for (key,) in reader.rows("SELECT key FROM meta WHERE key <> 'origin' AND key NOT LIKE 'columns:%'")}


@contextmanager
def writer_busy(store: Store) -> Iterator[None]:
    """Keep the writer thread in a job, so that what is sent inside the block is one group."""
    free, begun = threading.Event(), threading.Event()

    def job(_: Tx) -> None:
        begun.set()
        free.wait()

    thread = threading.Thread(target=store.write_now, args=(job,))
    thread.start()
    begun.wait()
    try:
        yield
    finally:
        free.set()
        thread.join()


async def grouped(store: Store, *jobs: Callable[[Tx], Any]) -> list[Any]:
    """Send jobs as one group and return their results or errors."""
    with writer_busy(store):
        tasks = [asyncio.ensure_future(store.write(job)) for job in jobs]
        await asyncio.sleep(0)
    return await asyncio.gather(*tasks, return_exceptions=True)


# --- groups ---


async def test_a_group_is_one_commit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[Any] = []
    commit = store._database.commit
    monkeypatch.setattr(store._database, "commit", lambda writer: (commits.append(writer), commit(writer)))
    await grouped(store, *(put(f"k{number}") for number in range(10)))
    assert len(commits) == 2  # the job that kept the writer busy, and the group
    assert {f"k{number}" for number in range(10)} <= keys(store)


@pytest.mark.parametrize("of_driver", [False, True])
async def test_a_job_that_fails_takes_no_other_with_it(store: Store, of_driver: bool) -> None:
    bad = store._database.errors[0] if of_driver else ZeroDivisionError
    runs: list[str] = []

    def good(tx: Tx) -> str:
        runs.append("good")
        put("good")(tx)
        return "stored"

    def failing(tx: Tx) -> None:
        runs.append("bad")
        put("bad")(tx)
        raise bad("no")

    first, second, third = await grouped(store, good, failing, put("after"))
    assert first == "stored"
    assert isinstance(second, StoreError if of_driver else bad)
    assert third == 1
    assert {"good", "after"} <= keys(store)
    assert "bad" not in keys(store)
    assert runs == ["good", "bad"]


async def test_a_constraint_does_not_make_others_run_again(store: Store) -> None:
    runs: list[int] = []
    store.write_now(put("twice"))
    good = [lambda tx, number=number: (runs.append(number), put(f"k{number}")(tx)) for number in range(3)]
    results = await grouped(store, good[0], put("twice"), good[1], good[2])
    assert isinstance(results[1], StoreError)
    assert re.search("UNIQUE constraint failed: meta.key|unique violation: meta_pkey", str(results[1]))
    assert runs == [0, 1, 2]


async def test_when_the_transaction_is_lost_every_job_is_run_on_its_own(store: Store) -> None:
    runs: list[str] = []

    def counted(name: str) -> Callable[[Tx], None]:
        return lambda tx: (runs.append(name), put(name)(tx))[0]

    def loses(tx: Tx) -> None:
        runs.append("loses")
        put("lost")(tx)
        tx.execute("ROLLBACK")  # what SQLite does itself when the disk is full

    first, second, third = await grouped(store, counted("a"), loses, counted("b"))
    assert (first, third) == (None, None)
    assert isinstance(second, engine._TransactionLostError)
    assert runs == ["a", "loses", "a", "loses", "b"]
    assert keys(store) == {"a", "b"}


async def test_a_job_that_writes_on_in_a_lost_transaction_commits_nothing(store: Store) -> None:
    def careless(tx: Tx) -> None:
        try:
            tx.execute("ROLLBACK")
        finally:
            put("stray")(tx)

    with pytest.raises(StoreError, match="the transaction is over"):
        await store.write(careless)
    assert keys(store) == set()


def test_a_savepoint_undoes_its_part_alone(store: Store) -> None:
    def fail(tx: Tx) -> None:
        with tx.savepoint():
            put("inside")(tx)
            with tx.savepoint():
                put("deeper")(tx)
            raise ZeroDivisionError

    def job(tx: Tx) -> None:
        put("before")(tx)
        with pytest.raises(ZeroDivisionError):
            fail(tx)
        put("after")(tx)

    store.write_now(job)
    assert keys(store) == {"before", "after"}


def test_a_durable_job_is_on_disk_and_others_need_not_be(store: Store) -> None:
    sql, yes, no = ("PRAGMA synchronous", 2, 1) if store.path else ("SHOW synchronous_commit", "on", "off")
    assert [store.write_now(lambda tx: tx.value(sql), durable=durable) for durable in (True, False, True)] == [yes, no, yes]


# --- senders ---


async def test_a_job_is_run_even_if_its_sender_is_cancelled(store: Store) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    with writer_busy(store):
        task = asyncio.ensure_future(store.write(put("answer")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await store.write(put("later"))
    assert keys(store) == {"answer", "later"}
    assert complaints == []


async def test_a_sender_whose_loop_is_gone_harms_nobody(store: Store) -> None:
    sent = store.write(put("orphan"))

    def send_and_leave() -> None:
        loop = asyncio.new_event_loop()
        loop.call_soon(sent.send, None)
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()

    with writer_busy(store):
        sender = threading.Thread(target=send_and_leave)
        sender.start()
        sender.join()
        neighbour = asyncio.ensure_future(store.write(put("neighbour")))
        await asyncio.sleep(0)
    assert await neighbour == 1
    assert keys(store) == {"orphan", "neighbour"}
    sent.close()


@pytest.mark.parametrize("error", [StopIteration("x"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_whatever_a_job_raises_reaches_its_sender(store: Store, error: BaseException) -> None:
    def job(_: Tx) -> None:
        raise error

    with pytest.raises(RuntimeError if isinstance(error, StopIteration) else type(error)):
        store.write_now(job)
    store.write_now(put("later"))


async def test_a_future_takes_what_a_job_raises(store: Store) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await store.write(lambda _: next(iter(())))


def test_a_job_cannot_wait_for_another(store: Store) -> None:
    with pytest.raises(StoreError, match="a job cannot wait for another job"):
        store.write_now(lambda _: store.write_now(put("inner")))
    with pytest.raises(StoreError, match="a job cannot close the store"):
        store.write_now(lambda _: store.close())
    store.write_now(put("later"))


def test_a_transaction_does_not_outlive_its_job(store: Store) -> None:
    kept = store.write_now(lambda tx: (tx, tx.rows("SELECT 1")))
    with pytest.raises(StoreError, match="after its end"):
        kept[0].execute("DELETE FROM meta")
    with pytest.raises((sqlite3.ProgrammingError, StoreError)):
        next(kept[1])


# --- closing ---


async def test_closing_finishes_what_was_sent(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s.db")
    with writer_busy(store):
        tasks = [asyncio.ensure_future(store.write(put(f"k{number}"))) for number in range(100)]
        await asyncio.sleep(0)
        closer = threading.Thread(target=store.close)
        closer.start()
    assert await asyncio.gather(*tasks) == [1] * 100
    closer.join()
    assert not store.path.with_name("s.db-wal").exists()
    with closing(open_store(tmp_path / "s.db")) as again:
        assert len(keys(again)) == 100


async def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="the store is closed"):
        await store.write(put("k"))
    with pytest.raises(StoreError, match="the store is closed"):
        store.write_now(put("k"))
    with pytest.raises(StoreError, match="the store is closed"), store.read():
        pass


def test_a_snapshot_outlives_the_closing_of_the_store(store: Store) -> None:
    store.write_now(put("k"))
    with store.read() as reader:
        store.close()
        assert reader.value("SELECT value FROM meta WHERE key = 'k'") == "x"


# --- snapshots ---


def test_a_snapshot_is_one_instant_from_its_first_line_on(store: Store) -> None:
    with store.read() as reader:
        store.write_now(put("k"))
        assert reader.all("SELECT * FROM meta WHERE key = 'k'") == []
    assert keys(store) == {"k"}


def test_a_result_that_was_not_read_to_its_end_holds_nothing_back(store: Store) -> None:
    for number in range(3):
        store.write_now(put(f"k{number}"))
    with store.read() as reader:
        rows = reader.rows("SELECT key FROM meta")
        next(rows)
    store.write_now(put("new"))
    assert "new" in keys(store)
    assert store.compact()
    with pytest.raises((sqlite3.ProgrammingError, StoreError)):
        next(rows)
    with pytest.raises(StoreError, match="after its end"):
        reader.value("SELECT 1")


def test_a_snapshot_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError, match=r"read-?only"), store.read() as reader:
        reader.all("DELETE FROM meta")


def test_a_broken_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    open_store(path).close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(bytes(data))
    with pytest.raises(StoreError, match=r"s\.db: .*(malformed|restore the newest backup)"):
        open_store(path).close()


# --- trouble ---


def test_a_locked_store_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with closing(open_store(path, busy_seconds=20)) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = threading.Thread(target=store.write_now, args=(put("k"),))
        waiting.start()
        other.execute("INSERT INTO meta (key, value) VALUES ('other', 'x')")
        other.execute("COMMIT")
        waiting.join()
        assert keys(store) == {"k", "other"}


async def test_a_store_that_stays_locked_asks_to_try_again(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with closing(open_store(path, busy_seconds=0.05)) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            done = await asyncio.gather(*(store.write(put(f"k{number}")) for number in range(3)), return_exceptions=True)
        assert [type(error) for error in done] == [RetryableError] * 3
        assert "kept the store locked for 0.05 s" in str(done[0])
        await store.write(put("k"))
        assert keys(store) == {"k"}


def test_the_writer_gets_a_new_connection_when_its_own_is_broken(file_store: Store) -> None:
    file_store.write_now(put("before"))
    file_store._writer.close()
    with pytest.raises(StoreError):
        file_store.write_now(put("lost"))
    file_store.write_now(put("after"))
    assert keys(file_store) == {"before", "after"}


def test_a_full_disk_loses_nothing_and_is_got_over(file_store: Store) -> None:
    file_store.write_now(put("before"))
    pages = file_store.write_now(lambda tx: tx.value("PRAGMA page_count"))
    file_store.write_now(lambda tx: tx.value(f"PRAGMA max_page_count = {pages + 2}"))
    with pytest.raises(StoreError, match="the disk is full"):
        file_store.write_now(put("big", "x" * 1_000_000))
    file_store.write_now(put("small"))
    assert keys(file_store) == {"before", "small"}
    file_store.write_now(lambda tx: tx.value("PRAGMA max_page_count = 1000000"))
    file_store.write_now(put("big", "x" * 1_000_000))
    assert keys(file_store) == {"before", "small", "big"}


FULL_DISK = """
import json, sys
from pathlib import Path
from wellkept.errors import StoreError
from wellkept.store import open_store

folder, said = Path(sys.argv[1]), []
def put(key, size):
    return lambda tx: tx.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (key, "x" * size))
ballast = folder / "ballast"
store = open_store(folder / "s.db")
store.write_now(put("before", 10))
ballast.write_bytes(b"x" * 1_000_000)
stored = ["before"]
for number in range(40):
    try:
        store.write_now(put(f"k{number}", 100_000), durable=True)
        stored.append(f"k{number}")
    except StoreError as error:
        said.append(str(error))
ballast.unlink()
store.write_now(put("after", 10))
store.close()
store = open_store(folder / "s.db")
with store.read() as reader:
    found = [key for (key,) in reader.rows("SELECT key FROM meta")]
    sound = reader.value("PRAGMA integrity_check")
store.close()
print(json.dumps({"said": said, "same": sorted(found) == sorted([*stored, "after"]), "sound": sound, "stored": len(stored)}))
"""


def test_a_file_system_that_is_really_full(tmp_path: Path) -> None:
    if sys.platform != "linux" or not shutil.which("unshare"):
        pytest.skip("needs a private mount name space (Linux)")
    script = tmp_path / "full.py"
    script.write_text(FULL_DISK)
    mount = tmp_path / "disk"
    mount.mkdir()
    command = f"mount -t tmpfs -o size=3m none {mount} && exec {sys.executable} {script} {mount}"
    run = subprocess.run(["unshare", "--mount", "sh", "-c", command], capture_output=True, text=True, check=False)
    if run.returncode and not run.stdout and ("denied" in run.stderr or "not permitted" in run.stderr):
        pytest.skip("may not mount a small file system here")
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["said"]
    assert all("the disk is full" in text for text in result["said"])
    assert result["same"]
    assert result["sound"] == "ok"
    assert 1 < result["stored"] < 40


# --- the log ---


def log_size(store: Store) -> int:
    return store.path.with_name(store.path.name + "-wal").stat().st_size


def test_the_log_is_emptied_when_readers_let_it(file_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 500_000
    monkeypatch.setattr(sqlite, "WAL_LIMIT", limit)
    file_store._database._trim_at = limit
    with file_store.read():
        for number in range(20):
            file_store.write_now(put(f"k{number}", "x" * 100_000))
        assert log_size(file_store) > 2 * limit
    for number in range(20, 31):
        file_store.write_now(put(f"k{number}", "x" * 100_000))
    assert log_size(file_store) < 2 * limit
    assert len(keys(file_store)) == 31


def test_compacting_removes_deleted_bytes(file_store: Store) -> None:
    file_store.write_now(lambda tx: tx.value("PRAGMA secure_delete = OFF"))  # some builds of SQLite have it on, others not
    file_store.write_now(put("k", "a-secret-to-be-gone"))
    file_store.write_now(lambda tx: tx.execute("DELETE FROM meta"))
    with file_store.read():
        assert file_store.compact() is False
    assert file_store.compact() is True
    for path in file_store.path.parent.iterdir():
        assert b"a-secret-to-be-gone" not in path.read_bytes()
