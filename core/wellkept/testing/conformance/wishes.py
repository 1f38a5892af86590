"""The plugin of the kit that plans what a test wants to see done, for accounts of its own where the tested plugin has none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import ClassVar

from wellkept.context import PluginInfo
from wellkept.effects import Effect, Payload, Target
from wellkept.frame import Frame
from wellkept.hookspecs import hookimpl
from wellkept.policy import Policy
from wellkept.records import Account, Person, Record
from wellkept.source import Batch, CheckResult, ReadRequest, Source, Stream

WISHES = "wishes"
"""Its name, and that of its policy."""


class Wishes(Policy):
    """Plans one effect for each of the accounts that it was told of."""

    name = "wishes"
    version: ClassVar[str] = "1"
    uses: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self.payload: Payload | None = None
        self.targets: Mapping[str, Target | None] = {}
        self.round = 0

    def decide(self, frame: Frame) -> Iterable[Effect]:
        """Return what the test wants."""
        if self.payload is None:
            return
        for account in frame.accounts:
            if account in self.targets:
                key = "" if self.payload.kind == "state" else f"{account}/{self.round}"
                target = self.targets[account]
                yield Effect(key=key, payload=self.payload, account=account, target=target, reason="a conformance test")


class _Customers(Source):
    """Customers of nobody in particular, for plugins that know none."""

    def __init__(self, customers: Sequence[str | Record]) -> None:
        self._customers = customers

    def streams(self) -> Sequence[Stream]:
        return [Stream(name="customers", records=(Account, Person), doc="Made-up customers.", deletes="absence")]

    async def check(self) -> CheckResult:
        return CheckResult(findings=[], vendor_account="nobody")

    async def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        del request
        yield Batch(records=[_record(customer) for customer in self._customers], complete=True)


class _Plugin:
    def __init__(self, wishes: Wishes, customers: Sequence[str | Record]) -> None:
        self._wishes = wishes
        self._customers = customers

    @hookimpl
    def describe(self) -> PluginInfo:
        return PluginInfo(name=WISHES, api="1.0", summary="Plans what a test wants to see done.")

    @hookimpl
    def policies(self) -> Sequence[Policy]:
        return [self._wishes]

    @hookimpl
    def sources(self) -> Sequence[Source]:
        return [_Customers(self._customers)] if self._customers else []


def _record(customer: str | Record) -> Record:
    if isinstance(customer, Record):
        return customer
    return Account(id=customer, version=1, name=f"Firm of {customer}", email=customer)


def wishes_plugin(wishes: Wishes, customers: Sequence[str | Record]) -> object:
    """Return the plugin.

    Args:
        wishes: Its policy.
        customers: Addresses of accounts to make up, or whole records.
    """
    return _Plugin(wishes, customers)
