"""Which organizations were merged into which.

A merge deletes the loser and moves its users and tickets. Zendesk tells of merges only when it is asked for the winner's, so
when an export shows deleted organizations, those that changed at about the same time are asked, and the answers remembered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from wellkept.errors import RejectedError
from wellkept.http import together
from wellkept_zendesk import wire
from wellkept_zendesk.api import Api
from wellkept_zendesk.mapping import changed_at

if TYPE_CHECKING:
    from wellkept import PluginState

KEY = "merges"

NEAR = 10 * 60_000
"""Milliseconds that lie between the deletion of a loser and the change of its winner at most: merges are jobs."""


class _Answer(msgspec.Struct):
    organization_merges: list[wire.Merge] = []


class Merges:
    """Remembers merges in the instance's durable state."""

    def __init__(self, api: Api, state: PluginState) -> None:
        self._api = api
        self._state = state

    async def known(self) -> Mapping[str, Sequence[str]]:
        """Return losers by winner."""
        found: Mapping[str, Sequence[str]] = await self._state.get(KEY) or {}
        return found

    async def look(self, rows: Sequence[wire.Organization], *, first: bool) -> Mapping[str, Sequence[str]]:
        """Find the merges behind what an export shows, and return all that are known.

        Args:
            rows: A page of the export.
            first: The very first read, whose losers nobody ever saw: they are not looked for.
        """
        known = dict(await self.known())
        deleted = (
            [] if first else [(str(row.id), changed_at(row)) for row in rows if row.deleted_at is not None and _dated(row)]
        )
        lost = {loser for losers in known.values() for loser in losers}
        times = [at for id_, at in deleted if id_ not in lost]
        if not times:
            return known
        winners = [
            str(row.id)
            for row in rows
            if row.deleted_at is None and _dated(row) and any(abs(changed_at(row) - at) <= NEAR for at in times)
        ]
        for winner, losers in zip(winners, await together(winners, self._of), strict=True):
            if losers:
                known[winner] = sorted({*known.get(winner, ()), *losers})
        await self._state.set(KEY, known)
        return known

    async def _of(self, winner: str) -> list[str]:
        answer = await self._api.find(f"/api/v2/organizations/{winner}/merges")
        if answer is None:
            return []
        merges = answer.json(_Answer).organization_merges
        return [str(merge.loser_id) for merge in merges if merge.status == "complete" and str(merge.winner_id) == winner]


def _dated(row: wire.Organization) -> bool:
    """Whether a row says when it changed; one that does not is rejected later, alone."""
    try:
        changed_at(row)
    except RejectedError:
        return False
    return True
