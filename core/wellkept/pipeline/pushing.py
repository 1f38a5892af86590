"""``[[push]]``: core's own policy, which keeps properties at a vendor equal to columns of the frame.

How values leave. Money goes as decimal text in units of its currency (``"1234.50"``), never in minor units. A date goes as an
ISO day in UTC. Other numbers are rounded to four decimals, so that noise moves nothing, and whole ones go as integers. An
unknown value is never pushed: what stands at the vendor is kept, unless it was computed for another customer before a split.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

from wellkept.effects import Effect, ScorePush, Target
from wellkept.errors import ConfigError
from wellkept.expressions import Expression, parse
from wellkept.frame import Column, Frame, Row, Value
from wellkept.money import to_decimal
from wellkept.pipeline.corrections import Corrections, corrections
from wellkept.pipeline.frames import HOLDING, Failure, no_column, slices
from wellkept.pipeline.planning import Origin, Planner
from wellkept.records import Json
from wellkept.settings import Push
from wellkept.store import outbox, policy_states
from wellkept.store.engine import Reader, Store, Tx
from wellkept.store.succession import move_states

VERSION = "1"

Outward = str | int | float | bool


class PushRun:
    """Pushes one ``[[push]]``.

    Each property is primed on its own, so that one that is added later moves only with changes as well.

    Args:
        store: The store.
        push: What a person wrote.
        frame: The frame, scores included.
        planner: Plans the effects.
        check: Makes sure, inside a transaction, that the run may commit.
        now: The current instant, epoch ms.
    """

    def __init__(
        self, store: Store, push: Push, frame: Frame, planner: Planner, *, check: Callable[[Reader], None], now: int
    ) -> None:
        self._store = store
        self._push = push
        self._frame = frame
        self._planner = planner
        self._check = check
        self._now = now
        self._where: Expression | None = None
        self._primed: dict[str, bool] = {}
        self._unprimed: dict[str, set[str]] = {}
        self._wrong: Corrections = {}
        self.origin = Origin(policy=f"push/{push.to}", version=VERSION)
        self.holds: dict[str, str] = {}
        """Accounts of which something could not be pushed, and why."""

    def __call__(self) -> Failure | None:
        """Plan what has changed; returns what is wrong with the table, if anything is."""
        problem = self._problem()
        if problem is not None:
            return Failure(instance=self._push.to, name="push", message=problem)
        self._store.write_now(self._begin)
        for accounts in slices(self._frame.accounts):
            self.holds |= self._store.write_now(lambda tx, accounts=accounts: self._part(tx, accounts))  # type: ignore[misc]
        self._store.write_now(self._correct_others)
        if len(self._frame):
            self._store.write_now(self._end)
        return None

    @property
    def primes(self) -> list[str]:
        """The properties whose first run this is."""
        return [name for name, primed in self._primed.items() if not primed]

    def _problem(self) -> str | None:
        push, columns = self._push, self._frame.columns
        if not self._planner.serves(push.to, ScorePush.capability):
            return f"no enabled instance {push.to!r} serves {ScorePush.capability}; enable it, or take the table away"
        for name in push.properties.values():
            if name not in columns:
                return no_column(name, columns)
        try:
            self._where = parse(push.where, names=columns, condition=True) if push.where else None
        except ConfigError as error:
            return f"where: {error}"
        return None

    def _policy(self, name: str) -> str:
        return f"{self.origin.policy}/{name}"

    def _begin(self, tx: Tx) -> None:
        self._check(tx)
        move_states(tx, [self._policy(name) for name in self._push.properties], self._now)
        for name in self._push.properties:
            policy = self._policy(name)
            self._primed[name] = self._push.first == "all" or policy_states.standing(tx, policy).primed
            self._unprimed[name] = policy_states.unprimed(tx, policy)
            policy_states.take_part(tx, policy, VERSION, self._now)
        self._wrong = corrections(tx, self._push.to, ScorePush.capability)

    def _end(self, tx: Tx) -> None:
        self._check(tx)
        for name in self._push.properties:
            policy_states.set_primed(tx, self._policy(name), self._now)

    def _part(self, tx: Tx, accounts: Sequence[str]) -> dict[str, str]:
        """Plan some accounts, and return those that are on hold."""
        self._check(tx)
        holds: dict[str, str] = {}
        for account in accounts:
            row = self._frame.row(account)
            reason = self._account(tx, row)
            if reason is not None:
                holds[account] = reason
        return holds

    def _account(self, tx: Tx, row: Row) -> str | None:
        """Plan one account, and say why it is on hold, if it is."""
        names = self._push.properties
        blind = sorted(name for name in self._where.names if row.gap(name) in HOLDING) if self._where else []
        stale = set(names) if blind else {name for name, column in names.items() if row.gap(column) in HOLDING}
        late = {name for name in names if row.account in self._unprimed[name]}
        wanted = self._where is None or self._where.holds(row)
        fields: dict[str, Outward] = {}
        first: dict[str, Outward] = {}
        for name, column in names.items():
            value = outward(row[column], self._frame.columns[column])
            if value is not None and wanted and name not in stale:
                (fields if self._primed[name] and name not in late else first)[name] = value
        self._plan(tx, row, fields, first)
        for name in names:
            if name in stale and not self._primed[name]:
                policy_states.set_unprimed(tx, self._policy(name), [row.account])
            if name in late and name not in stale:
                policy_states.clear_unprimed(tx, self._policy(name), [row.account])
        unbelieved = blind or sorted(names[name] for name in stale)
        return f"{', '.join(unbelieved)} cannot be believed" if unbelieved else None

    def _correct_others(self, tx: Tx) -> None:
        """Put back what stands at records of accounts that are in no frame: of tests, say, and of who is no customer."""
        self._check(tx)
        for account in sorted(self._wrong.keys() - set(self._frame.accounts)):
            for target, fields in self._wrong[account].items():
                self._put_back(tx, account, target, fields, ())

    def _put_back(self, tx: Tx, account: str, target: Target, fields: Mapping[str, Json], own: Collection[str]) -> None:
        """Plan what belongs in the place of values of another customer, but for properties that have a value of their own."""
        wanted = {name: value for name, value in fields.items() if name in self._push.properties and name not in own}
        if wanted:
            effect = Effect(
                payload=ScorePush(properties=wanted),
                account=account,
                target=target,
                reason=f"{', '.join(sorted(wanted))} was another customer's, from which this record has been split",
            )
            self._planner.plan_fields(tx, effect, target, wanted, self.origin)

    def _plan(self, tx: Tx, row: Row, fields: Mapping[str, Outward], first: Mapping[str, Outward]) -> None:
        wrong = self._wrong.get(row.account, {})
        for target, values in wrong.items():
            self._put_back(tx, row.account, target, values, fields)
        if not fields and not first:
            return
        capability = ScorePush.capability
        for target in self._planner.targets(tx, capability, row.account, instance=self._push.to):
            if first:
                outbox.baseline(tx, target, capability, first, self._now)
            if fields:
                effect = Effect(
                    payload=ScorePush(properties=fields),
                    account=row.account,
                    target=target,
                    reason=f"[[push]] keeps {', '.join(sorted(fields))} at {self._push.to} up to date",
                )
                self._planner.plan_fields(tx, effect, target, fields, self.origin)


def outward(value: Value, column: Column) -> Outward | None:
    """Return a cell as it leaves for a vendor; see the module."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if column.unit == "money" and column.currency and isinstance(value, int):
        return format(to_decimal(value, column.currency), "f")
    if column.unit == "date":
        return datetime.fromtimestamp(value / 1000, UTC).date().isoformat()
    rounded = round(value, 4)
    return int(rounded) if rounded == int(rounded) else rounded
