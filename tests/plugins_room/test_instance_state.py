"""The vendor account behind an instance, and the breaker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from wellkept.errors import (
    ConfigError,
    CredentialsError,
    FatalError,
    LeaseLostError,
    NotSentError,
    RejectedError,
    RetryableError,
    StoreError,
)
from wellkept.http import NotAllowedError
from wellkept.store import Store, instances, open_store
from wellkept.store.instances import LIMIT, Allowed, Refused, Remembered

NAME = "stripe"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = open_store(tmp_path_factory.mktemp("instances") / "s.db")
    yield store
    store.close()


@pytest.fixture
def store(shared: Store) -> Store:
    shared.write_now(lambda tx: tx.execute("DELETE FROM instances"))
    return shared


def ask(store: Store, digest: str = "d1", plugin: str = "stripe") -> Allowed | Refused:
    with store.read() as reader:
        return instances.may_run(reader, NAME, plugin, lambda: digest)


def row(store: Store) -> Remembered:
    with store.read() as reader:
        found = instances.load(reader, NAME)
    assert found is not None
    return found


def remember(
    store: Store,
    account: str | None = "acct_1",
    mode: str | None = "test",
    *,
    healthy: bool = True,
    digest: str = "d1",
    plugin: str = "stripe",
    now: int = 1,
) -> None:
    store.write_now(
        lambda tx: instances.remember_account(
            tx, NAME, plugin, account=account, mode=mode, healthy=healthy, digest=digest, now=now
        )
    )


def fail(store: Store, error: BaseException, digest: str = "d1", now: int = 5) -> str:
    return store.write_now(lambda tx: instances.record_failure(tx, NAME, "stripe", error, digest=digest, now=now))


def succeed(store: Store) -> None:
    store.write_now(lambda tx: instances.record_success(tx, NAME, "stripe", 9))


# --- the account ---


def test_a_new_instance_is_checked_first_and_then_known(store: Store) -> None:
    assert ask(store) == Allowed(check_first=True)
    remember(store)
    assert ask(store) == Allowed(check_first=False)
    assert row(store)[:5] == (NAME, "stripe", "acct_1", "test", "ok")


def test_a_rotated_key_of_the_same_account_needs_a_check_and_nothing_else(store: Store) -> None:
    remember(store)
    assert ask(store, "d2") == Allowed(check_first=True)
    remember(store, digest="d2")
    assert ask(store, "d2") == Allowed(check_first=False)


@pytest.mark.parametrize(
    ("account", "mode", "plugin", "words"),
    [
        ("acct_2", "test", "stripe", "'acct_2'"),
        ("acct_1", "live", "stripe", "live mode"),
        ("acct_2", "live", "stripe", "'acct_1'"),
        ("acct_1", "test", "zendesk", "the plugin 'stripe'"),
    ],
)
def test_another_account_mode_or_plugin_is_refused_and_changes_nothing(
    store: Store, account: str, mode: str, plugin: str, words: str
) -> None:
    remember(store)
    before = row(store)
    with pytest.raises(ConfigError, match=words) as caught:
        remember(store, account, mode, digest="d2", plugin=plugin)
    assert "[plugins.stripe-2]" in (caught.value.guidance or "")
    assert row(store) == before
    assert ask(store, "d2", plugin="stripe") == Allowed(check_first=True)


def test_another_plugin_under_the_name_may_not_run(store: Store) -> None:
    remember(store)
    answer = ask(store, plugin="zendesk")
    assert isinstance(answer, Refused)
    assert answer.state == "conflict"


def test_what_a_source_cannot_tell_is_believed_and_filled_in_later(store: Store) -> None:
    remember(store, None, None)
    remember(store, "acct_1", "live")
    remember(store, None, None)
    assert row(store)[2:4] == ("acct_1", "live")


# --- the breaker ---


def test_a_refused_credential_pauses_at_once_until_the_configuration_or_secret_changes(store: Store) -> None:
    remember(store)
    assert fail(store, CredentialsError("401 for sk_live_abcdefgh12345678")) == "paused"
    answer = ask(store)
    assert isinstance(answer, Refused)
    assert (answer.state, answer.reason) == ("paused", "401 for ***")
    assert "plugins enable stripe" in answer.mend
    assert ask(store, "d2") == Allowed(check_first=True)


def test_a_changed_secret_that_is_refused_as_well_pauses_again(store: Store) -> None:
    fail(store, CredentialsError("old"))
    fail(store, CredentialsError("new"), digest="d2")
    assert isinstance(ask(store, "d2"), Refused)
    assert row(store).reason == "new"


def test_a_write_that_is_not_allowed_pauses_although_nothing_was_sent(store: Store) -> None:
    assert issubclass(NotAllowedError, NotSentError)
    assert fail(store, NotAllowedError("403")) == "paused"


def test_only_a_check_without_findings_ends_a_pause(store: Store) -> None:
    remember(store)
    fail(store, CredentialsError("401"))
    remember(store, digest="d2", healthy=False)
    assert row(store).state == "paused"
    assert isinstance(ask(store, "d2"), Refused)
    remember(store, digest="d3", now=77)
    assert (row(store).state, row(store).reason, row(store).since) == ("ok", None, 77)


def test_five_permanent_failures_in_a_row_disable_with_the_reason(store: Store) -> None:
    for _ in range(LIMIT - 1):
        assert fail(store, FatalError("broken")) == "ok"
    assert isinstance(ask(store), Allowed)
    assert fail(store, FatalError("broken sk_live_abcdefgh12345678"), now=42) == "disabled"
    answer = ask(store, "another digest")
    assert isinstance(answer, Refused)
    assert (answer.state, answer.reason) == ("disabled", "5 runs in a row failed: broken ***")
    assert row(store).since == 42


def test_a_success_starts_the_count_anew(store: Store) -> None:
    for _ in range(LIMIT - 1):
        fail(store, FatalError("x"))
    succeed(store)
    for _ in range(LIMIT - 1):
        assert fail(store, FatalError("x")) == "ok"


@pytest.mark.parametrize(
    "error",
    [
        RetryableError("503"),
        NotSentError("429"),
        StoreError("disk full"),
        LeaseLostError("taken"),
        KeyboardInterrupt(),
        GeneratorExit(),
    ],
)
def test_what_is_transient_or_not_the_instances_fault_never_counts(store: Store, error: BaseException) -> None:
    for _ in range(LIMIT - 1):
        fail(store, FatalError("x"))
    for _ in range(3 * LIMIT):
        assert fail(store, error) == "ok"
    assert row(store).failures == LIMIT - 1


@pytest.mark.parametrize("error", [ValueError("x"), OSError("x"), ConfigError("x"), RejectedError("x"), FatalError("x")])
def test_everything_else_counts_as_permanent_an_unclassified_exception_too(store: Store, error: Exception) -> None:
    states = [fail(store, error) for _ in range(LIMIT)]
    assert states == ["ok"] * (LIMIT - 1) + ["disabled"]


def test_a_disabled_instance_stays_so_until_somebody_enables_it(store: Store) -> None:
    for _ in range(LIMIT):
        fail(store, FatalError("x"))
    succeed(store)
    remember(store, digest="d9")
    assert fail(store, CredentialsError("401")) == "disabled"
    assert "5 runs" in (row(store).reason or "")
    assert store.write_now(lambda tx: instances.enable(tx, NAME, 50))
    assert (row(store).state, row(store).failures, row(store).reason, row(store).since) == ("ok", 0, None, 50)
    assert ask(store, "d9") == Allowed(check_first=True)
    assert row(store).vendor_account == "acct_1"


def test_enabling_what_nobody_knows_says_so(store: Store) -> None:
    assert not store.write_now(lambda tx: instances.enable(tx, "nobody", 1))


def test_the_overview_is_by_name(store: Store) -> None:
    remember(store)
    store.write_now(
        lambda tx: instances.remember_account(tx, "a", "smtp", account=None, mode=None, healthy=True, digest="d", now=1)
    )
    with store.read() as reader:
        assert [item.instance for item in instances.overview(reader)] == ["a", "stripe"]


class Breaker(RuleBasedStateMachine):
    """Whatever happens in whatever order, the row equals a model of the rules."""

    folder: Path

    @initialize()
    def start(self) -> None:
        self.store = open_store(self.folder / "model.db")
        self.store.write_now(lambda tx: tx.execute("DELETE FROM instances"))
        self.state, self.failures, self.current, self.seen = "ok", 0, "d0", False
        self.digest: str | None = None

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()

    @rule(digest=st.sampled_from(["d0", "d1", "d2"]))
    def change_configuration(self, digest: str) -> None:
        self.current = digest

    @rule(error=st.sampled_from([FatalError("x"), ValueError("x")]))
    def permanent(self, error: Exception) -> None:
        fail(self.store, error, self.current)
        self.seen = True
        self.failures += 1
        if self.failures >= LIMIT:
            self.state = "disabled"

    @rule(error=st.sampled_from([RetryableError("x"), StoreError("x")]))
    def transient(self, error: Exception) -> None:
        fail(self.store, error, self.current)
        self.seen = True

    @rule()
    def refused(self) -> None:
        fail(self.store, CredentialsError("x"), self.current)
        self.seen = True
        self.digest = self.current
        if self.state != "disabled":
            self.state = "paused"

    @rule()
    def success(self) -> None:
        succeed(self.store)
        self.seen = True
        if self.state != "disabled":
            self.failures = 0

    @rule(healthy=st.booleans())
    def checked(self, healthy: bool) -> None:
        remember(self.store, digest=self.current, healthy=healthy)
        self.seen = True
        self.digest = self.current
        if healthy and self.state == "paused":
            self.state = "ok"

    @precondition(lambda self: self.seen)
    @rule()
    def enabled(self) -> None:
        self.store.write_now(lambda tx: instances.enable(tx, NAME, 1))
        self.state, self.failures, self.digest = "ok", 0, None

    @invariant()
    def agrees(self) -> None:
        if not getattr(self, "seen", False):
            return
        found = row(self.store)
        assert (found.state, found.failures, found.config_digest) == (self.state, self.failures, self.digest)
        answer = ask(self.store, self.current)
        may = self.state == "ok" or (self.state == "paused" and self.digest != self.current)
        assert isinstance(answer, Allowed) is may
        if isinstance(answer, Allowed):
            assert answer.check_first is (self.digest != self.current)


def test_the_breaker_follows_its_rules_in_every_order(tmp_path: Path) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    Breaker.folder = tmp_path
    run_state_machine_as_test(Breaker, settings=settings(max_examples=25, stateful_step_count=20, deadline=None))
