"""One rule as a machine: it remembers, per account, whether its condition held and when it acted last."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from wellkept import Column, Effect, Fact, Facts, Machine, MessageSend, Row, Step, TaskCreate, Value, Verdict
from wellkept.expressions import parse
from wellkept.money import show
from wellkept_playbooks.config import DoTable, RuleTable, fill, places


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule remembers of one account.

    Attributes:
        active: The condition held when it was last known.
        number: How many episodes began.
        acted_at: When the rule acted last, or pretended to, epoch ms.
        arm: Whether it acted or pretended then.
    """

    active: bool = False
    number: int = 0
    acted_at: int | None = None
    arm: Literal["act", "holdout"] | None = None


class Rule(Machine[Episode]):
    """See the README for what a rule means.

    Args:
        table: The rule as it was written.
    """

    version = "1"
    state = Episode

    def __init__(self, table: RuleTable) -> None:
        self.name = table.name
        self.table = table
        self._when = parse(table.when, condition=True)
        self._unless = parse(table.unless, condition=True) if table.unless else None
        texts = [text for do in table.do for text in (do.title, do.text, do.note, *do.variables.values()) if text]
        self._shown = tuple(sorted(self._when.names))
        self._uses = self._when.names.union(self._unless.names if self._unless else (), *map(places, texts))

    @property
    def uses(self) -> frozenset[str]:
        """The columns of its conditions and texts."""
        return self._uses

    def bind(self, columns: Mapping[str, Column]) -> None:
        """Hold the conditions against the columns' units: dollars must not be compared with a column in yen.

        Raises:
            ConfigError: They do not fit; names the place in the condition.
        """
        for text in (self.table.when, self.table.unless):
            if text:
                parse(text, names=columns, condition=True)

    def initial(self, subject: str) -> Episode:
        """Return the state of an account that the rule never saw."""
        del subject
        return Episode()

    def step(self, state: Episode, fact: Fact) -> Step[Episode]:
        """Begin or end an episode; act when one begins."""
        if fact.row is None:
            return Step(state=state)
        holds = self._when.evaluate(fact.row)
        if holds is None:
            return Step(state=state)
        if bool(holds) == state.active:
            return self.go_on(state, fact)
        if not holds:
            return Step(state=msgspec.structs.replace(state, active=False))
        begun = msgspec.structs.replace(state, active=True, number=state.number + 1)
        if fact.priming or self._cooling(state, fact.at) or self.excepted(fact.row):
            return Step(state=begun)
        arm = self.arm(fact.row.account)
        begun = msgspec.structs.replace(begun, acted_at=fact.at, arm=arm)
        return Step(state=begun) if arm == "holdout" else self.act(begun, fact)

    def act(self, state: Episode, fact: Fact) -> Step[Episode]:
        """Do what the rule says for the account as such."""
        dos = [(index, do) for index, do in enumerate(self.table.do) if not do.on_tickets]
        return Step(state=state, effects=[self._effect(index, do, state, fact) for index, do in dos])

    def go_on(self, state: Episode, fact: Fact) -> Step[Episode]:
        """Answer a fact that neither begins nor ends an episode."""
        del fact
        return Step(state=state)

    def recheck(self, effect: Effect, facts: Facts) -> Verdict:
        """Expire what is over, hold what is unknown."""
        row = facts.row(effect.account) if effect.account else None
        if row is None:
            return Verdict.expire("the account is gone")
        holds = self._when.evaluate(row)
        if holds is None:
            return Verdict.hold(f"`when` is unknown at present: {self._unknown(row)}")
        if not holds:
            return Verdict.expire("`when` no longer holds")
        if self.excepted(row):
            return Verdict.expire("`unless` holds, or is unknown")
        return Verdict.proceed()

    def arm(self, account: str) -> Literal["act", "holdout"]:
        """Return an account's arm: a pure function of the rule's name and the account, so that it never changes."""
        digest = hashlib.sha256(f"{self.name}\0{account}".encode()).digest()
        drawn = int.from_bytes(digest[:8], "big") / 2**64
        return "holdout" if drawn < self.table.holdout else "act"

    def _cooling(self, state: Episode, now: int) -> bool:
        if self.table.cooldown is None or state.acted_at is None:
            return False
        return now < state.acted_at + self.table.cooldown

    def excepted(self, row: Row) -> bool:
        """Say whether `unless` holds, or is unknown."""
        return self._unless is not None and self._unless.evaluate(row) is not False

    def _unknown(self, row: Row) -> str:
        return ", ".join(f"{name} ({row.gap(name)})" for name in self._shown if row[name] is None) or self.table.when

    def figures(self, row: Row) -> Mapping[str, str]:
        """Return the columns that the rule uses, for people."""
        columns = row.frame().columns
        return {name: words(row[name], columns[name]) for name in self._uses}

    def seen(self, figures: Mapping[str, str]) -> str:
        """Return what the rule looked at, as a sentence."""
        return ", ".join(f"{name}: {figures[name]}" for name in self._shown)

    def _effect(self, index: int, do: DoTable, episode: Episode, fact: Fact) -> Effect:
        if fact.row is None:
            raise ValueError("an effect needs the account's row")
        figures = self.figures(fact.row)
        return Effect(
            key=f"{fact.row.account}/{episode.number}/{index}",
            payload=self._payload(do, figures, fact.at),
            account=fact.row.account,
            reason=f"{self.name}: {self.seen(figures)}",
            approval=self.table.approval,
        )

    def _payload(self, do: DoTable, figures: Mapping[str, str], now: int) -> MessageSend | TaskCreate:
        title = fill(do.title, figures) if do.title else self.name
        text = fill(do.text, figures) if do.text else self.seen(figures)
        if do.task is not None:
            return TaskCreate(title=title, body=text, assignee=do.task, due_at=now + do.due if do.due else None)
        more = {name: fill(value, figures) for name, value in do.variables.items()}
        return MessageSend(template=do.template, to=do.mail or "team", variables={"title": title, "text": text, **more})


def words(value: Value, column: Column) -> str:
    """Return a cell for people: money with its currency, figures without noise."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column.unit == "money" and column.currency and isinstance(value, int):
        return show(value, column.currency)
    if isinstance(value, float):
        return f"{Decimal(str(value)).quantize(Decimal('0.1')).normalize():f}"
    return str(value)
