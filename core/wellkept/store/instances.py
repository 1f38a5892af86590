"""What the store remembers of each instance: the vendor account behind it, and the breaker.

State ``ok`` runs. ``paused`` waits for another configuration or secret: the vendor refused the credential. ``disabled`` waits
for `wellkept plugins enable`: the last `LIMIT` runs failed for good. A transient fault changes nothing, however often it comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from wellkept.errors import ConfigError, CredentialsError, LeaseLostError, RetryableError, StoreError
from wellkept.redact import redact_exception
from wellkept.store.engine import Reader, Tx

State = Literal["ok", "paused", "disabled"]

LIMIT = 5
"""Failed runs in a row, none of them for a transient reason, after which an instance is disabled."""


class Remembered(NamedTuple):
    """The row of an instance."""

    instance: str
    plugin: str
    vendor_account: str | None = None
    mode: str | None = None
    state: State = "ok"
    reason: str | None = None
    since: int | None = None
    failures: int = 0
    config_digest: str | None = None
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """The instance may run.

    Attributes:
        check_first: Its configuration or a secret changed since the vendor account was last seen (or it never was): look
            whose credential it is now, before anything is read or sent.
    """

    check_first: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The instance must not run.

    Attributes:
        state: Why, in one word.
        reason: Why, for people; redacted.
        mend: What to do about it.
    """

    state: Literal["paused", "disabled", "conflict"]
    reason: str
    mend: str


_COLUMNS = ", ".join(Remembered._fields)


def load(reader: Reader, instance: str) -> Remembered | None:
    """Return what is remembered of an instance, None for one that never ran."""
    row = reader.one(f"SELECT {_COLUMNS} FROM instances WHERE instance = ?", (instance,))  # noqa: S608 - constants
    return None if row is None else Remembered(*row)


def overview(reader: Reader) -> list[Remembered]:
    """Return all instances that were ever used, by name."""
    return [Remembered(*row) for row in reader.rows(f"SELECT {_COLUMNS} FROM instances ORDER BY instance")]  # noqa: S608


def may_run(reader: Reader, instance: str, plugin: str, digest: Callable[[], str]) -> Allowed | Refused:
    """Say whether an instance may run now.

    Args:
        reader: The store.
        instance: Its name.
        plugin: The plugin that it now belongs to.
        digest: Returns a keyed digest of its configuration with the present values of its secrets.
    """
    row = load(reader, instance)
    if row is None:
        return Allowed(check_first=True)
    if row.plugin != plugin:
        return Refused("conflict", f"the data of {instance!r} came from the plugin {row.plugin!r}", _rename(instance))
    if row.state == "disabled":
        return Refused("disabled", row.reason or "disabled", f"mend the cause, then run `wellkept plugins enable {instance}`")
    changed = row.config_digest != digest()
    if row.state == "paused" and not changed:
        mend = f"change the credential or its permissions, or run `wellkept plugins enable {instance}` to try again"
        return Refused("paused", row.reason or "paused", mend)
    return Allowed(check_first=changed or row.state == "paused")


def remember_account(
    tx: Tx,
    instance: str,
    plugin: str,
    *,
    account: str | None,
    mode: str | None,
    healthy: bool,
    digest: str,
    now: int,
    expires_at: int | None = None,
) -> None:
    """Note which vendor account answers to an instance's credential.

    The first one is kept. Rotating a key of the same account needs nothing. A source that cannot tell is believed, unless the
    account is known already and the configuration or secret has changed since: then it could be anybody's.

    Args:
        tx: The transaction.
        instance: Its name.
        plugin: Its plugin.
        account: The vendor's id of the account, None if the source cannot tell.
        mode: ``live`` or ``test``, None if the source cannot tell.
        healthy: The check found nothing amiss: a paused instance runs again.
        digest: See `may_run`.
        now: Epoch ms.
        expires_at: When the credential ends, epoch ms; None if nobody can tell.

    Raises:
        ConfigError: It is, or could be, another account, mode or plugin than before; nothing is changed.
    """
    _ensure(tx, instance, plugin, now)
    row = load(tx, instance)
    if row is not None:
        refuse_other(row, plugin, account, mode)
        if account is None and row.vendor_account is not None and digest != row.config_digest:
            raise ConfigError(
                f"the changed credential of {instance!r} does not tell which vendor account it belongs to;"
                f" the stored data are of {row.vendor_account!r}",
                guidance="use one that works and may read its own account, or put the old one back",
            )
    tx.execute(
        "UPDATE instances SET vendor_account = COALESCE(vendor_account, ?), mode = COALESCE(mode, ?), config_digest = ?,"
        " expires_at = ? WHERE instance = ?",
        (account, mode, digest, expires_at, instance),
    )
    if healthy:
        tx.execute(
            "UPDATE instances SET state = 'ok', reason = NULL, since = ? WHERE instance = ? AND state = 'paused'",
            (now, instance),
        )


def refuse_other(row: Remembered, plugin: str, account: str | None, mode: str | None) -> None:
    """Make sure that a vendor account is the remembered one; also for what a webhook says of itself.

    Raises:
        ConfigError: It is another account, another mode or another plugin.
    """
    if row.plugin != plugin:
        raise ConfigError(
            f"{row.instance!r} belongs to the plugin {row.plugin!r}, not {plugin!r}", guidance=_rename(row.instance)
        )
    if account is not None and row.vendor_account not in {None, account}:
        raise ConfigError(
            f"the credential of {row.instance!r} belongs to the vendor account {account!r};"
            f" the stored data are of {row.vendor_account!r}",
            guidance=_rename(row.instance),
        )
    if mode is not None and row.mode not in {None, mode}:
        raise ConfigError(
            f"the credential of {row.instance!r} is for {mode} mode; the stored data are of {row.mode} mode",
            guidance=_rename(row.instance),
        )


def record_success(tx: Tx, instance: str, plugin: str, now: int) -> None:
    """Note a run in which the instance worked: failures in a row start from nothing. A disabled one stays so."""
    _ensure(tx, instance, plugin, now)
    tx.execute("UPDATE instances SET failures = 0 WHERE instance = ? AND state <> 'disabled'", (instance,))


def record_failure(tx: Tx, instance: str, plugin: str, error: BaseException, *, digest: str, now: int) -> State:
    """Note a run in which the instance failed, and return its state after it.

    Call it once per run and instance, when nothing of the instance succeeded, with the gravest of its errors; and at once
    for a `CredentialsError`, whatever else succeeded. What is no error of ours counts as permanent. A store that cannot be
    written, or a lease that was lost, is not the instance's fault.

    Args:
        tx: The transaction.
        instance: Its name.
        plugin: Its plugin.
        error: What happened.
        digest: See `may_run`.
        now: Epoch ms.
    """
    _ensure(tx, instance, plugin, now)
    if isinstance(error, CredentialsError):
        _set_state(tx, instance, "paused", redact_exception(error), now)
        tx.execute("UPDATE instances SET config_digest = ? WHERE instance = ?", (digest, instance))
    elif isinstance(error, Exception) and not isinstance(error, (RetryableError, StoreError, LeaseLostError)):
        tx.execute("UPDATE instances SET failures = failures + 1 WHERE instance = ?", (instance,))
        failures = int(tx.value("SELECT failures FROM instances WHERE instance = ?", (instance,)))
        if failures >= LIMIT:
            _set_state(tx, instance, "disabled", f"{failures} runs in a row failed: {redact_exception(error)}", now)
    state: State = tx.value("SELECT state FROM instances WHERE instance = ?", (instance,))
    return state


def enable(tx: Tx, instance: str, now: int) -> bool:
    """Let an instance run again, with nothing against it; False for one that is not remembered."""
    changed = tx.execute(
        "UPDATE instances SET state = 'ok', reason = NULL, failures = 0, config_digest = NULL, since = ? WHERE instance = ?",
        (now, instance),
    )
    return changed == 1


def _set_state(tx: Tx, instance: str, state: State, reason: str, now: int) -> None:
    """Change the state; a disabled instance is not paused on top of it."""
    tx.execute(
        "UPDATE instances SET state = ?, reason = ?, since = ? WHERE instance = ? AND state <> 'disabled'",
        (state, reason, now, instance),
    )


def _ensure(tx: Tx, instance: str, plugin: str, now: int) -> None:
    tx.execute(
        "INSERT INTO instances (instance, plugin, since) VALUES (?, ?, ?) ON CONFLICT (instance) DO NOTHING",
        (instance, plugin, now),
    )


def _rename(instance: str) -> str:
    return f'give the new one a table of its own, [plugins.{instance}-2] with `plugin = "..."`, or put the old credential back'
