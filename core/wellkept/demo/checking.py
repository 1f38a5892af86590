"""Hold what was received against what happened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from wellkept.demo.report import Check
from wellkept.effects import MessageSend, ScorePush, TaskCreate
from wellkept.pipeline.pushing import outward
from wellkept.records import Account
from wellkept.steps import Steps
from wellkept.store import accounts as room
from wellkept.store import outbox
from wellkept.testing.links import LinkReport, judge
from wellkept.testing.simulation import Happening, Receipt
from wellkept.testing.world import Seen, World

if TYPE_CHECKING:
    from wellkept.frame import Frame
    from wellkept.pipeline.pushing import Outward
    from wellkept.runtime import Runtime
    from wellkept.store import Reader

Values = Mapping[str, Mapping[str, "Outward | None"]]
"""Account, property, value: what the pushed columns say, in the form in which it leaves."""


def pushed_values(runtime: Runtime, steps: Steps) -> Values:
    """Return what the pushed columns say at present."""
    frame = steps.frame()
    columns = sorted({column for push in runtime.settings.push for column in push.properties.values()})
    return {row.account: {name: outward(row[name], frame.columns[name]) for name in columns} for row in frame.rows()}


class Checker:
    """Compares, after the second run.

    Args:
        runtime: The open installation.
        steps: Its steps.
        happenings: What happened, by instance.
        received: What was received since, by instance.
    """

    def __init__(
        self,
        runtime: Runtime,
        steps: Steps,
        happenings: Mapping[str, Sequence[Happening]],
        received: Mapping[str, Sequence[Receipt]],
    ) -> None:
        self._runtime = runtime
        self._steps = steps
        self._happenings = happenings
        self._received = received
        self.names: dict[tuple[str, str], str] = {}
        self.bystanders = 0

    def checks(self, before: Values, run: str) -> list[Check]:
        """Return what was compared.

        Args:
            before: What the pushed columns said after the first run.
            run: The second run.
        """
        after = pushed_values(self._runtime, self._steps)
        changed = frozenset(account for account, values in after.items() if values != before.get(account))
        with self._runtime.store.read() as reader:
            touched = self._touched(reader, after)
            effects = [item for item in outbox.find(reader, run=run) if item.state == "done"]
            found = [Check(what="scores", expected=touched, found=changed), *self._pushes(reader, changed)]
        fired = frozenset(_fired(self._steps.frame(sorted(changed)), before))
        for capability in (MessageSend.capability, TaskCreate.capability):
            done = [item for item in effects if item.capability == capability]
            accounts = frozenset(item.account or "" for item in done)
            found.append(Check(what=capability, expected=fired, found=accounts))
            arrived = sum(item.capability == capability for items in self._received.values() for item in items)
            if arrived != len(done):
                found.append(
                    Check(
                        what=f"{capability} at the vendors",
                        expected=frozenset({str(len(done))}),
                        found=frozenset({str(arrived)}),
                    )
                )
        return found

    def _touched(self, reader: Reader, frame: Iterable[str]) -> frozenset[str]:
        """Return the customers to whom something happened."""
        customers, found = set(frame), set()
        for instance, happenings in self._happenings.items():
            for item in happenings:
                account = self._account(reader, instance, item.id)
                if account in customers:
                    found.add(account)
                else:
                    self.bystanders += 1
        return frozenset(found)

    def _pushes(self, reader: Reader, changed: frozenset[str]) -> Iterator[Check]:
        """Yield, for each vendor that scores are pushed to, whom it knows of those that changed, and whom it was told about."""
        for instance in dict.fromkeys(push.to for push in self._runtime.settings.push):
            expected = frozenset(
                account
                for account in changed
                if any(place == instance for place, _ in self._runtime.tables.owned(reader, Account, account))
            )
            told = [item for item in self._received.get(instance, ()) if item.capability == ScorePush.capability]
            found = frozenset(self._account(reader, instance, item.subject) for item in told)
            yield Check(what=f"pushed to {instance}", expected=expected, found=found)

    def _account(self, reader: Reader, instance: str, id_: str) -> str:
        """Return the account of a vendor's customer, and remember its name."""
        account = self._runtime.tables.account_of(reader, Account, instance, id_)
        known = room.account(reader, account) if account else None
        if known is not None and known.name:
            self.names[instance, id_] = known.name
        return account or f"unknown customer {id_} of {instance}"


def _fired(frame: Frame, before: Values) -> Iterator[str]:
    """Yield the customers whom the example's rule is about: large ones that have turned red."""
    for row in frame.rows():
        large = isinstance(row["mrr"], int) and row["mrr"] > 500_00
        if large and row["health_band"] == "red" and before.get(row.account, {}).get("health_band") != "red":
            yield row.account


def judge_links(runtime: Runtime, world: World, records: Mapping[str, Mapping[str, Seen]]) -> LinkReport:
    """Hold the links against the truth.

    Args:
        runtime: The open installation.
        world: The market.
        records: What is behind each vendor's account record, by instance and id.
    """
    with runtime.store.read() as reader:
        linked = {
            seen: account
            for instance, known in records.items()
            for id_, seen in known.items()
            if (account := room.account_of(reader, instance, id_)) is not None
        }
    return judge(world, linked)
