"""Any order of arrival ends in the same rows, and the past is what was known then."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellkept.records import Account, Person, Record
from wellkept.source import Deletion

if TYPE_CHECKING:
    from conftest import Book

NOW = 1_795_219_200_000
NAMES = itertools.count()
RELAXED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Version(NamedTuple):
    """One state at the vendor: what it says, and since when it is so; None for the content of a deletion."""

    version: int
    content: str | None
    updated_at: int | None


class Observation(NamedTuple):
    """A reading of a state."""

    of: Version
    at: int


def fresh(book: Book) -> Book:
    """Another instance, whose rows have nothing to do with the others'."""
    return type(book)(book.store, book.tables, instance=f"crm{next(NAMES)}")


def feed(book: Book, type_: type[Record], observations: list[Observation]) -> Book:
    for (version, content, updated_at), at in observations:
        if content is None:
            book.delete(Deletion(record=type_, id="1", version=version, at=updated_at), at=at)
        else:
            book.put(type_(id="1", version=version, updated_at=updated_at, name=content), at=at)
    return book


@st.composite
def vendors(draw: st.DrawFn, *, deletions: bool) -> list[Version]:
    """The states of one row. Contents repeat, so that runs form; update times need not follow versions, and may be ahead."""
    contents = st.sampled_from(["a", "b", None] if deletions else ["a", "b"])
    versions = draw(st.lists(st.integers(1, 40), unique=True, min_size=1, max_size=6))
    return [Version(version, draw(contents), draw(st.none() | st.integers(0, 60))) for version in versions]


@RELAXED
@given(data=st.data(), deletions=st.booleans(), type_=st.sampled_from([Account, Person]))
def test_any_order_of_arrival_ends_in_the_same_rows(
    book: Book, data: st.DataObject, deletions: bool, type_: type[Record]
) -> None:
    states = data.draw(vendors(deletions=deletions))
    readings = states + data.draw(st.lists(st.sampled_from(states), max_size=4))
    in_order = [Observation(state, number) for number, state in enumerate(sorted(states))]
    any_order = [Observation(state, number) for number, state in enumerate(data.draw(st.permutations(readings)))]
    one, other = feed(fresh(book), type_, in_order), feed(fresh(book), type_, any_order)
    assert [row[1:] for row in one.current(type_)] == [row[1:] for row in other.current(type_)]


def replayed(book: Book, observations: list[Observation], at: int) -> dict[str, bytes]:
    """What a store would hold that was fed only what was observed by then, and was true by then."""
    known = [seen for seen in observations if seen.at <= at and (seen.of.updated_at is None or seen.of.updated_at <= at)]
    other = feed(fresh(book), Account, known)
    return dict(other.all("SELECT id, digest FROM r_account WHERE instance = ?", (other.instance,)))


@RELAXED
@given(data=st.data())
def test_as_of_is_what_a_replay_up_to_then_gives(book: Book, data: st.DataObject) -> None:
    states = data.draw(vendors(deletions=False))
    times = sorted(data.draw(st.lists(st.integers(0, 60), min_size=1, max_size=10)))
    observations = [Observation(data.draw(st.sampled_from(states)), at) for at in times]
    fed = feed(fresh(book), Account, observations)
    for at in {0, 61, *times, *(at + 1 for at in times), *(state.updated_at or 0 for state in states)}:
        assert fed.known(Account, at) == replayed(book, observations, at), at


@RELAXED
@given(data=st.data())
def test_as_of_with_deletions_and_equal_versions(book: Book, data: st.DataObject) -> None:
    """States observed when they are new, as a source reads them: then versions may tie, and rows go and come back."""
    times = sorted(data.draw(st.lists(st.integers(1, 60), unique=True, min_size=1, max_size=8)))
    versions = sorted(data.draw(st.lists(st.integers(1, 4), min_size=len(times), max_size=len(times))))
    contents = data.draw(st.lists(st.sampled_from(["a", "b", None]), min_size=len(times), max_size=len(times)))
    observations = [
        Observation(Version(version, content, data.draw(st.none() | st.integers(0, at))), at)
        for version, content, at in zip(versions, contents, times, strict=True)
    ]
    fed = feed(fresh(book), Account, observations)
    for at in {0, 61, *times, *(at + 1 for at in times)}:
        assert fed.known(Account, at) == replayed(book, observations, at), at


def test_the_future_does_not_leak(book: Book) -> None:
    book.put(Account(id="1", version=1, updated_at=10, name="then"), at=20)
    book.put(Account(id="1", version=2, updated_at=30, name="now"), at=40)
    digest = book.tables.shape(Account).digest
    then, now = digest(Account(id="1", version=1, name="then")), digest(Account(id="1", version=1, name="now"))
    assert [book.known(Account, at).get("1") for at in (9, 19, 20, 35, 39, 40)] == [None, None, then, then, then, now]


def test_a_row_that_says_the_same_keeps_its_past(book: Book) -> None:
    book.put(Account(id="1", version=1, updated_at=10), at=20)
    book.put(Account(id="1", version=2, updated_at=30), at=40)
    book.put(Account(id="1", version=3, updated_at=50), at=60)
    assert "1" in book.known(Account, 20)
    assert not book.all("SELECT * FROM h_account")


def test_a_type_without_history_is_known_since_it_was_observed(book: Book) -> None:
    book.put(Person(id="1", version=1), at=20)
    assert book.known(Person, 19) == {}
    assert set(book.known(Person, 20)) == {"1"}


def test_the_past_has_the_columns_of_the_present(book: Book) -> None:
    book.put(Account(id="1", version=1, name="then"), at=20)
    book.put(Account(id="1", version=2, name="now"), at=40)
    sql, params = book.tables.as_of(Account, 20)
    with book.store.read() as reader:
        row = reader.one(f"SELECT {', '.join(book.tables.columns(Account))} FROM {sql} AS t", params)
        assert row is not None
        assert dict(zip(book.tables.columns(Account), row, strict=True))["name"] == "then"


def test_a_late_version_is_kept_once(book: Book) -> None:
    book.put(Account(id="1", version=5, name="new"), at=20)
    for at in (30, 40):
        assert book.put(Account(id="1", version=3, updated_at=3, name="old"), at=at).older == 1
    assert book.all("SELECT version, name, valid_from, observed_at FROM h_account") == [(3, "old", 3, 30)]


def test_what_is_true_only_later_hides_nothing_until_then(book: Book) -> None:
    """A vendor's clock may be ahead: version 3 says the same as 1, but only from 100 on; 2 arrives late and holds till then."""
    for version, name, updated_at, at in ((1, "a", 5, 10), (3, "a", 100, 20), (2, "b", 15, 30)):
        book.put(Account(id="1", version=version, updated_at=updated_at, name=name), at=at)
    digest = book.tables.shape(Account).digest
    a, b = (digest(Account(id="1", version=1, name=name)) for name in "ab")
    assert [book.known(Account, at)["1"] for at in (10, 29, 30, 99, 100)] == [a, a, b, b, a]


def test_what_is_true_only_later_counts_as_soon_as_a_newer_reading_says_so(book: Book) -> None:
    book.put(Account(id="1", version=1, updated_at=100), at=10)
    book.put(Account(id="1", version=2, updated_at=15), at=20)
    assert [set(book.known(Account, at)) for at in (19, 20, 99)] == [set(), {"1"}, {"1"}]
