"""The audit chain notices what was tampered with, and survives an erasure of what it says."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellkept.store import Store, audit

NOW = 1_795_219_200_000
TEXTS = ("kind", "subject_digest", "body_digest", "previous", "digest")


def write(store: Store, count: int = 5) -> None:
    for number in range(count):
        body = {"number": number, "to": "anna@example.com"}
        store.write_now(lambda tx, n=number, b=body: audit.append(tx, "effect.done", f"acct_{n % 2}", b, now=NOW + n))


def broken(store: Store) -> int | None:
    with store.read() as reader:
        return audit.verify(reader)


def change(store: Store, sql: str) -> None:
    store.write_now(lambda tx: tx.execute(sql))


def test_an_untouched_chain_verifies(store: Store) -> None:
    assert broken(store) is None
    write(store)
    assert broken(store) is None
    with store.read() as reader:
        found = list(audit.entries(reader, subject="acct_1"))
        assert [(entry.seq, entry.at, entry.kind, entry.subject) for entry in found] == [
            (2, NOW + 1, "effect.done", "acct_1"),
            (4, NOW + 3, "effect.done", "acct_1"),
        ]
        assert found[0].body == {"number": 1, "to": "anna@example.com"}
        assert [entry.seq for entry in audit.entries(reader, after=3)] == [4, 5]


@pytest.mark.parametrize(
    ("tampering", "first"),
    [
        *((f"UPDATE audit SET {column} = 'x' WHERE seq = 3", 3) for column in TEXTS),
        ("UPDATE audit SET at = at + 1 WHERE seq = 2", 2),
        ("UPDATE audit_bodies SET body = '{}' WHERE seq = 4", 4),
        ("UPDATE audit_bodies SET subject = 'acct_9' WHERE seq = 1", 1),
        ("UPDATE audit_bodies SET salt = 'x' WHERE seq = 5", 5),
    ],
)
def test_a_changed_entry_is_found(store: Store, tampering: str, first: int) -> None:
    write(store)
    change(store, tampering)
    assert broken(store) == first


@pytest.mark.parametrize(("seqs", "first"), [("1", 1), ("3", 3), ("5", 5), ("4, 5", 4), ("1, 2, 3, 4, 5", 1)])
def test_a_removed_entry_is_found(store: Store, seqs: str, first: int) -> None:
    write(store)
    change(store, f"DELETE FROM audit_bodies WHERE seq IN ({seqs})")
    change(store, f"DELETE FROM audit WHERE seq IN ({seqs})")
    assert broken(store) == first


def test_an_entry_put_in_between_is_found(store: Store) -> None:
    write(store)
    change(store, "INSERT INTO audit SELECT 6, at, kind, subject_digest, body_digest, digest, 'x' FROM audit WHERE seq = 5")
    assert broken(store) == 6


def test_an_entry_that_was_forged_with_its_digest_is_found(store: Store) -> None:
    write(store)
    with store.read() as reader:
        seq, at, kind, *digests, previous, _ = reader.all("SELECT * FROM audit WHERE seq = 3")[0]
    forged = audit._link(seq, at, "effect.rejected", *digests, previous)
    change(store, f"UPDATE audit SET kind = 'effect.rejected', digest = '{forged}' WHERE seq = 3")
    assert kind == "effect.done"
    assert broken(store) == 4


def test_texts_can_be_erased_and_nothing_of_them_stays(store: Store) -> None:
    write(store)
    change(store, "DELETE FROM audit_bodies WHERE subject = 'acct_0'")
    assert broken(store) is None
    with store.read() as reader:
        assert [entry.body is None for entry in audit.entries(reader)] == [True, False, True, False, True]
        digests = reader.all("SELECT subject_digest, body_digest FROM audit")
    assert len({digest for pair in digests for digest in pair}) == 10  # equal subjects, different digests


def test_an_entry_goes_with_its_transaction(store: Store) -> None:
    def fails(tx: object) -> None:
        audit.append(tx, "effect.done", "acct_1", {}, now=NOW)  # type: ignore[arg-type]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write_now(fails)
    write(store)
    assert broken(store) is None


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
"""Any text that PostgreSQL can hold; what goes into JSON has no such bounds."""


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT, TEXT, st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()))
def test_any_text_verifies(store: Store, kind: str, subject: str, body: dict[str, object]) -> None:
    store.write_now(lambda tx: audit.append(tx, kind, subject, body, now=NOW))
    assert broken(store) is None


def test_entries_added_together_are_links_of_their_own(store: Store) -> None:
    told = [("effect.sending", f"acct_{number}", {"number": number}) for number in range(5)]
    assert store.write_now(lambda tx: audit.append_all(tx, told, now=NOW)) == 5
    assert store.write_now(lambda tx: audit.append_all(tx, [], now=NOW)) == 5
    write(store, 2)
    with store.read() as reader:
        found = list(audit.entries(reader))
        assert [(entry.seq, entry.subject) for entry in found[:5]] == [(n + 1, f"acct_{n}") for n in range(5)]
        salts = {salt for (salt,) in reader.all("SELECT salt FROM audit_bodies")}
        assert len(salts) == 7
        assert {len(salt) for salt in salts} == {2 * audit.SALT}
    change(store, "DELETE FROM audit_bodies WHERE seq = 3")
    assert broken(store) is None
    change(store, "UPDATE audit_bodies SET subject = 'acct_9' WHERE seq = 4")
    assert broken(store) == 4
