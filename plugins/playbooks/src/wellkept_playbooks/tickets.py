"""A rule that also acts on the account's open tickets.

Those are the ones that are open when an episode begins, and those that come while it lasts: who is in trouble and writes again
should not wait in line either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import msgspec

from wellkept import (
    Effect,
    Fact,
    Facts,
    Payload,
    Row,
    Step,
    Target,
    TicketAssign,
    TicketNote,
    TicketPriority,
    TicketTag,
    Verdict,
)
from wellkept.records import Record, Ticket
from wellkept_playbooks.config import DoTable, fill
from wellkept_playbooks.rule import Episode, Rule

OVER = frozenset({"solved", "closed"})


class TicketEpisode(Episode, frozen=True, kw_only=True):
    """What a rule over tickets remembers besides.

    Attributes:
        acted_in: The number of the episode in which it acted last.
        tickets: The tickets that it dealt with then, ``INSTANCE:ID``.
    """

    acted_in: int = 0
    tickets: tuple[str, ...] = ()


class TicketRule(Rule):
    """See the README for what a rule means."""

    state = TicketEpisode
    reads: ClassVar[tuple[type[Record], ...]] = (Ticket,)

    def initial(self, subject: str) -> TicketEpisode:
        """Return the state of an account that the rule never saw."""
        del subject
        return TicketEpisode()

    def act(self, state: Episode, fact: Fact) -> Step[Episode]:
        """Do what the rule says for the account, and for its open tickets."""
        step = super().act(state, fact)
        if not isinstance(state, TicketEpisode):
            return step
        more = self._deal_with_new(msgspec.structs.replace(state, acted_in=state.number, tickets=()), fact)
        return Step(state=more.state, effects=[*step.effects, *more.effects])

    def go_on(self, state: Episode, fact: Fact) -> Step[Episode]:
        """Deal with tickets that came since, while the episode in which the rule acted lasts."""
        if not isinstance(state, TicketEpisode) or not state.active or state.acted_in != state.number:
            return Step(state=state)
        if fact.priming or fact.row is None or self.excepted(fact.row):
            return Step(state=state)
        return self._deal_with_new(state, fact)

    def recheck(self, effect: Effect, facts: Facts) -> Verdict:
        """Expire what is over, and what was meant for a ticket that is."""
        verdict = super().recheck(effect, facts)
        if verdict.action != "proceed" or effect.target is None or effect.target.type != Ticket.type:
            return verdict
        ticket = facts.record(Ticket, effect.target.id, instance=effect.target.instance)
        if ticket is None:
            return Verdict.expire("the ticket is gone")
        return verdict if is_open(ticket) else Verdict.expire("the ticket is solved")

    def _deal_with_new(self, state: TicketEpisode, fact: Fact) -> Step[Episode]:
        if fact.row is None:
            return Step(state=state)
        targets = [target for target in _open(fact) if _name(target) not in state.tickets]
        if not targets:
            return Step(state=state)
        dealt_with = msgspec.structs.replace(state, tickets=(*state.tickets, *map(_name, targets)))
        return Step(state=dealt_with, effects=list(self._effects(targets, state.number, fact.row)))

    def _effects(self, targets: list[Target], episode: int, row: Row) -> Iterator[Effect]:
        figures = self.figures(row)
        for index, do in enumerate(self.table.do):
            payload = self._on_ticket(do, figures)
            if payload is None:
                continue
            for target in targets:
                yield Effect(
                    key=f"{row.account}/{episode}/{index}/{_name(target)}" if payload.kind == "once" else "",
                    payload=payload,
                    account=row.account,
                    target=target,
                    reason=f"{self.name}: {self.seen(figures)}",
                    approval=self.table.approval,
                )

    def _on_ticket(self, do: DoTable, figures: Mapping[str, str]) -> Payload | None:
        """Return what is done to a ticket; None for what is done to the account."""
        if do.priority is not None:
            return TicketPriority(properties={"priority": do.priority})
        if do.tag is not None:
            return TicketTag(properties={do.tag: True})
        if do.note is not None:
            return TicketNote(text=fill(do.note, figures))
        if not do.on_tickets:
            return None
        named: list[tuple[Literal["group", "assignee"], str | None]] = [("group", do.group), ("assignee", do.agent)]
        return TicketAssign(properties={name: value for name, value in named if value is not None})


def is_open(ticket: Ticket) -> bool:
    """Say whether somebody still has to do something about a ticket."""
    return ticket.status not in OVER and ticket.solved_at is None


def _open(fact: Fact) -> list[Target]:
    pairs = zip(fact.related.get(Ticket.type, ()), fact.targets.get(Ticket.type, ()), strict=True)
    return [target for record, target in pairs if isinstance(record, Ticket) and is_open(record)]


def _name(target: Target) -> str:
    return f"{target.instance}:{target.id}"
