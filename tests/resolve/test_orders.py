"""Whatever the order of arrival and the size of chunks, weak evidence gives the same links, ids and queue."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellkept.identity.rules import Rules
from wellkept.pipeline.resolve import resolve
from wellkept.records import CANONICAL, Account, Person, Record
from wellkept.store import Store, accounts, open_store
from wellkept.store.accounts import Manual, Node
from wellkept.store.records import RecordTables
from wellkept.testing import FakeClock

RULES = Rules(hub_limit=4, max_records=5)
INSTANCES = ("crm", "desk", "pay")

Step = Callable[[Store, RecordTables], object]

some_accounts = st.lists(
    st.builds(
        lambda instance, number, **fields: (instance, {"id": f"a{number}", **fields}),
        st.sampled_from(INSTANCES),
        st.integers(1, 3),
        name=st.sampled_from([None, "Acme", "Acme Inc", "Acme Labs", "Bolt"]),
        external_id=st.sampled_from([None, None, None, "1", "2"]),
        email=st.sampled_from([None, None, "a@acme.com", "b@gmail.com", "c@bolt.com"]),
        phone=st.sampled_from([None, None, "+49301234567"]),
        domains=st.sampled_from([[], [], ["acme.com"], ["bolt.com"], ["acme.com", "bolt.com"]]),
        tax_ids=st.sampled_from([[], [], ["DE123456789"], ["DE987654321"]]),
        parent_ref=st.sampled_from([None, None, None, "a1"]),
        merged_into=st.sampled_from([None, None, None, None, "a2"]),
        created_at=st.sampled_from([None, 1, 2]),
        test=st.sampled_from([False, False, False, True]),
    ),
    min_size=2,
    max_size=9,
)
some_people = st.lists(
    st.builds(
        lambda instance, number, **fields: (instance, {"id": f"p{number}", **fields}),
        st.sampled_from(INSTANCES),
        st.integers(1, 4),
        account_ref=st.sampled_from([None, "a1", "a2", "a3"]),
        email=st.sampled_from([None, "a@acme.com", "b@gmail.com", "d@acme.com", "e@gmail.com"]),
        email_verified=st.booleans(),
        account_external_id=st.sampled_from([None, None, "1", "2"]),
        external_id=st.sampled_from([None, None, "u1"]),
    ),
    max_size=8,
)
some_words = st.lists(
    st.tuples(
        st.builds(Node, st.sampled_from(INSTANCES), st.sampled_from(["a1", "a2"])),
        st.builds(Node, st.sampled_from(INSTANCES), st.sampled_from(["a1", "a2", "a3"])),
        st.sampled_from(["same", "forced", "apart"]),
    ).filter(lambda word: word[0] != word[1]),
    max_size=2,
    unique_by=lambda word: frozenset(word[:2]),
)


def store_it(type_: type[Record], instance: str, fields: dict[str, Any], version: int) -> Step:
    record = type_(**{**fields, "version": version})
    return lambda store, tables: store.write_now(lambda tx: tables.upsert(tx, instance, "all", [record], version))


def say_it(a: Node, b: Node, relation: Any) -> Step:
    word = Manual(a=a, b=b, relation=relation, author="ada", reason="called", at=1)
    return lambda store, _: store.write_now(lambda tx: accounts.put_manual(tx, word))


def play(empty: Path, steps: Sequence[Step], pauses: Sequence[bool], chunk: int) -> Any:
    """Do the steps, resolve at some points and at the end, and return all that resolve decides."""
    with tempfile.TemporaryDirectory() as folder:
        store, tables = open_store(Path(shutil.copy(empty, folder)), FakeClock()), RecordTables(CANONICAL)
        for step, pause in zip(steps, pauses, strict=True):
            step(store, tables)
            if pause:
                resolve(store, tables, now=1, rules=RULES, chunk=chunk)
        resolve(store, tables, now=1, rules=RULES, chunk=chunk)
        with store.read() as reader:
            links = reader.all("SELECT type, instance, record_id, account FROM links ORDER BY 1, 2, 3")
            linked = {account for *_, account in links}
            rows = {row.id: (row.name, row.state) for row in accounts.accounts(reader) if row.id in linked}
            queue = {(conflict.kind, conflict.subject, str(conflict.detail)) for conflict in accounts.conflicts(reader)}
            keys = reader.all("SELECT * FROM identity_keys ORDER BY 1, 2, 3, 4, 5")
            left = reader.value("SELECT COUNT(*) FROM unresolved")
        store.close()
    return links, rows, queue, keys, left


@given(some_accounts, some_people, some_words, st.randoms(use_true_random=False), st.integers(1, 6))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_arrival_and_chunks_never_matter(
    empty: Path,
    known: list[tuple[str, dict[str, Any]]],
    people: list[tuple[str, dict[str, Any]]],
    words: list[tuple[Node, Node, str]],
    shuffler: random.Random,
    chunk: int,
) -> None:
    steps = [store_it(Account, *item, version) for version, item in enumerate(known, start=1)]
    steps += [store_it(Person, *item, version) for version, item in enumerate(people, start=1)]
    steps += [say_it(*word) for word in words]
    expected = play(empty, steps, [False] * len(steps), 1_000)
    assert expected[-1] == 0
    shuffler.shuffle(steps)
    pauses = [shuffler.random() < 0.4 for _ in steps]
    assert play(empty, steps, pauses, chunk) == expected
