"""What `wellkept demo` needs of a plugin: somebody to talk to, things that happen there, and what arrived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from wellkept.clock import Clock
from wellkept.records import Json
from wellkept.testing.world import SYSTEMS, Company, Seen, System, World


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a simulation is made for; the settings of ``provide("simulation", ...)``, as attributes.

    Attributes:
        accounts: How many fictional customers.
        seed: Decides everything that is drawn.
        clock: The demo's time.
        folder: Where it may write files, such as its API key; `plugins.toml` stands here.
    """

    accounts: int
    seed: int
    clock: Clock
    folder: Path

    @cached_property
    def world(self) -> World:
        """The one market that all simulations made for this setting know."""
        return World(accounts=self.accounts, seed=self.seed, now=self.clock.now())

    def stage(self, system: System) -> list[Company]:
        """Return the customers to whom something may happen at a kind of system, in the order of the market.

        No customer is on two stages, so that what happens at one vendor does not undo what happens at another.
        """
        place = SYSTEMS.index(system)
        return [company for at, company in enumerate(self.world.companies) if at % len(SYSTEMS) == place]


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """Something that happened to one customer.

    Attributes:
        id: The vendor's id of the customer.
        text: What, in a few words.
    """

    id: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """Something that Wellkept did to the vendor.

    Attributes:
        subject: The vendor's id of the customer, or the recipient's address.
        text: What arrived, in a few words.
        capability: What was asked of the vendor.
    """

    subject: str
    text: str
    capability: str = "score.push"


class Simulation(Protocol):
    """A vendor on loopback. A plugin returns one from ``provide("simulation", {"setting": Setting(...)})``."""

    def start(self) -> Mapping[str, Json]:
        """Start serving, and return the keys of ``[plugins.NAME]`` that lead there."""
        ...

    def records(self) -> Mapping[str, Seen]:
        """Return what is behind each account record, by the vendor's id: the truth that links are held against.

        Records that came later, and those of a vendor who knows no accounts, are not in it.
        """
        ...

    def unfold(self) -> Sequence[Happening]:
        """Let things happen to some customers, each of which changes what is known about that customer."""
        ...

    def received(self) -> Sequence[Receipt]:
        """Return what arrived since the start, or since the last call."""
        ...

    def close(self) -> None:
        """Stop serving."""
        ...
