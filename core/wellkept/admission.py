"""Who may run: checks of credentials, the vendor account behind them, and the breaker, for the steps that call vendors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wellkept.action import Action
from wellkept.errors import ConfigError, RetryableError, WellkeptError
from wellkept.events import Event
from wellkept.plugins.acting import Actor, acting
from wellkept.redact import redact_exception, redact_text
from wellkept.source import CheckResult, Finding, Source
from wellkept.store import Tx, instances
from wellkept.store.instances import Allowed, Refused, State

if TYPE_CHECKING:
    from wellkept.instance import Instance
    from wellkept.runtime import Runtime


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What a check of one instance found.

    Attributes:
        instance: Its name.
        findings: Line by line; texts are redacted.
        vendor_account: The account behind the credential, if a source can tell.
        mode: Whether that account handles real customers, if a source can tell.
        conflict: It is another account, mode or plugin than the stored data are of: what to say about it.
        unreachable: The vendor did not answer, so nothing is known.
        expires_at: When the first of its credentials ends, epoch ms, if a source can tell.
    """

    instance: str
    findings: tuple[Finding, ...]
    vendor_account: str | None = None
    mode: Literal["live", "test"] | None = None
    conflict: Refused | None = None
    unreachable: bool = False
    expires_at: int | None = None

    @property
    def ok(self) -> bool:
        """Whether every finding is well."""
        return all(finding.ok for finding in self.findings)


async def check(runtime: Runtime, instance: Instance) -> Checked:
    """Try an instance's credentials, read-only, and remember the vendor account that answers. Never raises.

    The account is remembered as soon as one answers, even if a permission is missing; a paused instance runs again only if
    nothing is.
    """
    findings: list[Finding] = []
    account: str | None = None
    mode: Literal["live", "test"] | None = None
    unreachable = False
    ends: list[int] = []
    parts: list[Source | Action] = [*instance.sources, *instance.actions.values()]
    for part in parts:
        with acting(Actor(instance.name, "its check")):
            result = await _ask(part)
        if result is None:
            continue
        if isinstance(result, Exception):
            unreachable = unreachable or isinstance(result, RetryableError)
            findings.append(_failed(result))
            continue
        findings += [_clean(finding) for finding in result.findings]
        if account is not None and result.vendor_account not in {None, account}:
            message = f"two vendor accounts answer: {account!r} and {result.vendor_account!r}"
            findings.append(Finding(name="account", ok=False, message=message, mend="use credentials of one account"))
        account, mode = account or result.vendor_account, mode or result.mode
        ends += [result.expires_at] if result.expires_at is not None else []
    expires_at = min(ends, default=None)
    conflict, healthy = None, all(finding.ok for finding in findings)
    if not unreachable and (account is not None or healthy or _is_known(runtime, instance)):
        conflict = await _remember(runtime, instance, account, mode, expires_at, healthy=healthy)
        if conflict is not None:
            findings.append(Finding(name="account", ok=False, message=conflict.reason, mend=conflict.mend))
    return Checked(
        instance=instance.name,
        findings=tuple(findings),
        vendor_account=account,
        mode=mode,
        conflict=conflict,
        unreachable=unreachable,
        expires_at=expires_at,
    )


async def admit(runtime: Runtime, instance: Instance) -> Allowed | Refused:
    """Say whether an instance may read or write now; call it at the start of a run, before anything else of the instance.

    Where the configuration or a secret changed, the credential is checked first, so that the data of two vendor accounts
    never meet under one name.

    Raises:
        RetryableError: The credential must be checked, and the vendor or the secret's provider cannot be reached.
    """
    with runtime.store.read() as reader:
        answer = instances.may_run(reader, instance.name, instance.plugin, instance.digest)
    if isinstance(answer, Refused) or not answer.check_first:
        return answer
    checked = await check(runtime, instance)
    if checked.conflict is not None:
        return checked.conflict
    if checked.unreachable:
        raise RetryableError(f"{instance.name}: the vendor could not be reached to check the credential")
    return answer


async def note_success(runtime: Runtime, instance: Instance) -> None:
    """Note that an instance worked in this run."""
    now = runtime.clock.now()
    await runtime.store.write(lambda tx: instances.record_success(tx, instance.name, instance.plugin, now))


async def note_failure(runtime: Runtime, instance: Instance, error: BaseException) -> State:
    """Note that an instance failed in this run (see `wellkept.store.instances.record_failure`), and return its state.

    A change of state is told to the `observe` hooks.
    """
    digest, now = _digest(instance), runtime.clock.now()

    def job(tx: Tx) -> tuple[State, State]:
        before = instances.load(tx, instance.name)
        after = instances.record_failure(tx, instance.name, instance.plugin, error, digest=digest, now=now)
        return before.state if before else "ok", after

    before, after = await runtime.store.write(job)
    if before != after:
        event = Event(kind="instance.changed", at=now, instance=instance.name, state=after, reason=redact_exception(error))
        runtime.observe(event)
    return after


async def _ask(part: Source | Action) -> CheckResult | Exception | None:
    """Return what a source or an action found; None from an action that leaves it to the source."""
    try:
        result: object = await part.check()
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is a finding
        return error
    if result is None and isinstance(part, Action):
        return None
    if not isinstance(result, CheckResult):
        return TypeError(f"{type(part).__name__}.check returned a {type(result).__name__}, not a CheckResult")
    return result


async def _remember(
    runtime: Runtime, instance: Instance, account: str | None, mode: str | None, expires_at: int | None, *, healthy: bool
) -> Refused | None:
    digest, now = _digest(instance), runtime.clock.now()

    def job(tx: Tx) -> None:
        instances.remember_account(
            tx,
            instance.name,
            instance.plugin,
            account=account,
            mode=mode,
            healthy=healthy,
            digest=digest,
            now=now,
            expires_at=expires_at,
        )

    try:
        await runtime.store.write(job)
    except ConfigError as error:
        return Refused("conflict", error.message, error.guidance or "")
    return None


def _is_known(runtime: Runtime, instance: Instance) -> bool:
    with runtime.store.read() as reader:
        row = instances.load(reader, instance.name)
    return row is not None and row.vendor_account is not None


def _digest(instance: Instance) -> str:
    """Return the digest; one that never matches where it cannot be told, so that nothing is taken for unchanged."""
    try:
        return instance.digest()
    except RetryableError:
        return ""


def _failed(error: Exception) -> Finding:
    name = "reach" if isinstance(error, RetryableError) else "check"
    if not isinstance(error, WellkeptError):
        return Finding(name=name, ok=False, message=redact_exception(error))
    return _clean(Finding(name=name, ok=False, message=error.message, mend=error.guidance))


def _clean(finding: Finding) -> Finding:
    mend = redact_text(finding.mend) if finding.mend else None
    return Finding(name=redact_text(finding.name), ok=finding.ok, message=redact_text(finding.message), mend=mend)
