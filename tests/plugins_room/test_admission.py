"""Credentials are checked before anything is read, the account behind them is remembered, and failures reach the breaker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from wellkept import (
    Batch,
    CheckResult,
    Event,
    Finding,
    MessageAction,
    Outcome,
    PluginInfo,
    ReadRequest,
    Source,
    Template,
    hookimpl,
)
from wellkept.admission import admit, check, note_failure, note_success
from wellkept.errors import CredentialsError, FatalError, RetryableError
from wellkept.instance import Instance
from wellkept.runtime import Runtime
from wellkept.secrets import Secret
from wellkept.store import instances
from wellkept.store.instances import Allowed, Refused
from wellkept.testing import FakeClock


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    api_key: Secret = Secret("env:ADMISSION_KEY")


def well(account: str | None = "acct_1", mode: Any = "test") -> CheckResult:
    return CheckResult(findings=[Finding(name="key", ok=True, message="works")], vendor_account=account, mode=mode)


def missing(account: str | None = "acct_1") -> CheckResult:
    finding = Finding(name="invoices", ok=False, message="no permission", mend="allow it")
    return CheckResult(findings=[finding], vendor_account=account, mode="test")


class Checking(Source):
    def __init__(self, plugin: Vendor, index: int) -> None:
        self.plugin, self.index = plugin, index

    def streams(self) -> list[Any]:
        return []

    async def check(self) -> CheckResult:
        self.plugin.checks += 1
        answer = self.plugin.answers[self.index]
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]

    async def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        yield Batch()


class Vendor:
    """A plugin whose sources answer what the test says."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.checks = 0
        self.events: list[Event] = []

    @hookimpl
    def describe(self) -> PluginInfo:
        return PluginInfo(name="vendor", api="1.0", summary="A vendor.", config=f"{__name__}:Options")

    @hookimpl
    def sources(self) -> list[Source]:
        return [Checking(self, index) for index in range(len(self.answers))]

    @hookimpl
    def observe(self, event: Event) -> None:
        self.events.append(event)


Open = Callable[..., tuple[Runtime, Instance]]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    monkeypatch.setenv("ADMISSION_KEY", "key-number-one")
    path = tmp_path / "plugins.toml"
    path.write_text("[plugins.vendor]\n")
    runtimes: list[Runtime] = []

    def open_(vendor: Any) -> tuple[Runtime, Instance]:
        runtime = Runtime.open(path, clock=FakeClock(), extra_plugins={"vendor": vendor})
        runtimes.append(runtime)
        return runtime, runtime.instances["vendor"]

    yield open_
    for runtime in runtimes:
        runtime.close()


def row(runtime: Runtime) -> instances.Remembered | None:
    with runtime.store.read() as reader:
        return instances.load(reader, "vendor")


async def test_the_first_run_checks_and_the_next_does_not(opened: Open) -> None:
    vendor = Vendor(well())
    runtime, instance = opened(vendor)
    assert await admit(runtime, instance) == Allowed(check_first=True)
    assert await admit(runtime, instance) == Allowed(check_first=False)
    assert vendor.checks == 1


async def test_a_rotated_key_is_checked_before_it_is_used(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = Vendor(well())
    runtime, instance = opened(vendor)
    await admit(runtime, instance)
    monkeypatch.setenv("ADMISSION_KEY", "key-number-two")
    assert await admit(runtime, instance) == Allowed(check_first=True)
    assert vendor.checks == 2
    assert await admit(runtime, instance) == Allowed(check_first=False)


@pytest.mark.parametrize("other", [well("acct_2"), well("acct_1", "live")])
async def test_a_key_of_another_account_or_mode_reads_nothing(
    opened: Open, monkeypatch: pytest.MonkeyPatch, other: CheckResult
) -> None:
    vendor = Vendor(well())
    runtime, instance = opened(vendor)
    await admit(runtime, instance)
    monkeypatch.setenv("ADMISSION_KEY", "key-of-somebody-else")
    vendor.answers = [other]
    for _ in range(2):  # it stays refused
        answer = await admit(runtime, instance)
        assert isinstance(answer, Refused)
        assert answer.state == "conflict"
        assert "[plugins.vendor-2]" in answer.mend
    remembered = row(runtime)
    assert remembered is not None
    assert (remembered.vendor_account, remembered.mode) == ("acct_1", "test")
    monkeypatch.setenv("ADMISSION_KEY", "key-number-one")
    assert await admit(runtime, instance) == Allowed(check_first=False)


async def test_a_vendor_that_cannot_be_reached_is_not_believed(opened: Open) -> None:
    vendor = Vendor(RetryableError("503"))
    runtime, instance = opened(vendor)
    with pytest.raises(RetryableError, match="could not be reached"):
        await admit(runtime, instance)
    assert row(runtime) is None


async def test_an_instance_without_a_source_is_admitted(opened: Open) -> None:
    runtime, instance = opened(Vendor())
    assert await admit(runtime, instance) == Allowed(check_first=True)
    assert await admit(runtime, instance) == Allowed(check_first=False)


async def test_a_missing_permission_is_a_finding_and_the_account_is_remembered_all_the_same(opened: Open) -> None:
    runtime, instance = opened(Vendor(missing()))
    result = await check(runtime, instance)
    assert not result.ok
    assert (result.vendor_account, result.mode, result.conflict) == ("acct_1", "test", None)
    remembered = row(runtime)
    assert remembered is not None
    assert remembered.vendor_account == "acct_1"


async def test_a_refused_credential_whose_account_is_unknown_is_not_remembered_as_good(opened: Open) -> None:
    runtime, instance = opened(Vendor(missing(None)))
    assert await admit(runtime, instance) == Allowed(check_first=True)
    assert row(runtime) is None


async def test_a_changed_credential_that_does_not_say_whose_it_is_reads_nothing(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = Vendor(well())
    runtime, instance = opened(vendor)
    await admit(runtime, instance)
    monkeypatch.setenv("ADMISSION_KEY", "key-of-who-knows-whom")
    for answer in (well(None), missing(None), CredentialsError("401")):
        vendor.answers = [answer]
        refused = await admit(runtime, instance)
        assert isinstance(refused, Refused)
        assert "does not tell which vendor account" in refused.reason
    monkeypatch.setenv("ADMISSION_KEY", "key-number-one")
    assert await admit(runtime, instance) == Allowed(check_first=False)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (CredentialsError("401 for sk_live_abcdefgh12345678", guidance="rotate it"), "401 for ***"),
        (ValueError("sk_live_abcdefgh12345678"), "ValueError: ***"),
        ({"ok": True}, "returned a dict, not a CheckResult"),
        (None, "returned a NoneType"),
    ],
)
async def test_whatever_a_check_does_is_a_finding(opened: Open, answer: Any, words: str) -> None:
    runtime, instance = opened(Vendor(answer))
    result = await check(runtime, instance)
    assert not result.ok
    assert words in result.findings[0].message
    assert "rotate it" not in result.findings[0].message  # that is the mend
    assert row(runtime) is None


async def test_texts_of_findings_are_redacted(opened: Open) -> None:
    finding = Finding(name="key", ok=False, message="key-number-one is refused", mend="mail a@b.example")
    runtime, instance = opened(Vendor(CheckResult(findings=[finding])))
    instance.config.api_key.reveal()
    result = await check(runtime, instance)
    assert (result.findings[0].message, result.findings[0].mend) == ("*** is refused", "mail ***")


async def test_two_sources_must_agree_on_the_account(opened: Open) -> None:
    runtime, instance = opened(Vendor(well("acct_1"), well("acct_2")))
    result = await check(runtime, instance)
    assert not result.ok
    assert "two vendor accounts answer" in result.findings[-1].message


async def test_a_pause_ends_when_the_new_key_is_well(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = Vendor(well())
    runtime, instance = opened(vendor)
    await admit(runtime, instance)
    assert await note_failure(runtime, instance, CredentialsError("401")) == "paused"
    assert isinstance(await admit(runtime, instance), Refused)
    assert vendor.checks == 1
    monkeypatch.setenv("ADMISSION_KEY", "key-number-two")
    assert isinstance(await admit(runtime, instance), Allowed)
    remembered = row(runtime)
    assert remembered is not None
    assert remembered.state == "ok"
    assert [(event.kind, event.instance, event.state) for event in vendor.events] == [("instance.changed", "vendor", "paused")]


async def test_the_breaker_opens_after_five_runs_and_says_so_once(opened: Open) -> None:
    vendor = Vendor(well())
    runtime, instance = opened(vendor)
    states = [await note_failure(runtime, instance, FatalError("broken")) for _ in range(6)]
    assert states == ["ok"] * 4 + ["disabled"] * 2
    assert [event.state for event in vendor.events] == ["disabled"]
    answer = await admit(runtime, instance)
    assert isinstance(answer, Refused)
    assert answer.state == "disabled"
    assert vendor.checks == 0


async def test_a_success_in_between_keeps_it_closed(opened: Open) -> None:
    runtime, instance = opened(Vendor(well()))
    for _ in range(3):
        for _ in range(4):
            await note_failure(runtime, instance, FatalError("broken"))
        await note_success(runtime, instance)
    assert isinstance(await admit(runtime, instance), Allowed)


async def test_a_provider_that_is_down_is_no_reason_to_forget(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, instance = opened(Vendor(well()))
    await admit(runtime, instance)

    def down() -> str:
        raise RetryableError("the vault is away")

    monkeypatch.setattr(instance, "digest", down)
    with pytest.raises(RetryableError):
        await admit(runtime, instance)
    assert await note_failure(runtime, instance, CredentialsError("401")) == "paused"
    monkeypatch.undo()
    monkeypatch.setenv("ADMISSION_KEY", "key-number-one")
    assert isinstance(await admit(runtime, instance), Allowed)


class Ready(MessageAction):
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def templates(self) -> list[Template]:
        return []

    async def send(self, delivery: Any, envelope: Any) -> Outcome:
        return Outcome.done()

    async def check(self) -> CheckResult | None:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


class Sender(Vendor):
    """A plugin that only acts."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    @hookimpl
    def actions(self) -> list[Any]:
        return [Ready(self.answer)]


@pytest.mark.parametrize(
    ("answer", "found"),
    [(None, []), (well(None, None), [True]), (missing(None), [False]), (RetryableError("no answer"), [False])],
)
async def test_an_action_can_be_checked_where_there_is_no_source(opened: Open, answer: Any, found: list[bool]) -> None:
    runtime, instance = opened(Sender(answer))
    result = await check(runtime, instance)
    assert [finding.ok for finding in result.findings] == found
    assert result.unreachable == isinstance(answer, RetryableError)
