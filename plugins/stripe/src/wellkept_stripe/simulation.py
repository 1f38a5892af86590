"""The demo's Stripe account: fictional customers, some of whom get into trouble, and the metadata that was pushed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from wellkept.records import Json
from wellkept.testing import Server
from wellkept.testing.simulation import Happening, Receipt, Setting
from wellkept.testing.world import Seen
from wellkept_stripe.simulator import StripeSimulator

SHARE = 0.03
"""Of the customers, how many something happens to; at least `FEWEST`, at most `MOST`."""
FEWEST, MOST = 4, 15

FATES = frozenset({"thriving", "steady", "failing", "new"})
"""Who is not in trouble elsewhere already, so that what happens here shows."""

PREFIX = "metadata["


class StripeSimulation:
    """See `wellkept.testing.simulation.Simulation`."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._simulator = StripeSimulator(world=setting.world, clock=setting.clock, seed=setting.seed, rate_limit=25)
        self._server = Server(self._simulator)
        self._seen = 0

    def start(self) -> Mapping[str, Json]:
        """Start the server; the key goes into a file, as it would at a customer's."""
        self._server.start()
        key = self._setting.folder / "stripe.key"
        key.touch(mode=0o600)
        key.write_text(self._simulator.key, encoding="utf-8")
        return {"api_key": f"file:{key.name}", "api_base": self._server.url}

    def records(self) -> Mapping[str, Seen]:
        """Return what is behind the customers."""
        return {id_: Seen("billing", sighting.ref) for id_, sighting in self._simulator.sightings.items()}

    def unfold(self) -> Sequence[Happening]:
        """Let payments fail, customers want to leave, seats go, and those who owed money pay."""
        simulator, draw = self._simulator, random.Random(f"demo/{self._setting.seed}")  # noqa: S311 - a simulation
        well = [sub["customer"] for sub in self._subscriptions("active") if not sub["cancel_at_period_end"]]
        owing = [sub["customer"] for sub in self._subscriptions("past_due")]
        draw.shuffle(well)
        draw.shuffle(owing)
        count = min(MOST, max(FEWEST, round(self._setting.accounts * SHARE)))
        events: Sequence[tuple[list[str], Callable[[str], object], str]] = (
            (well, lambda id_: simulator.fail_payment(id_, "insufficient_funds"), "a payment was declined"),
            (well, lambda id_: simulator.cancel_at_period_end(id_, feedback="too_expensive"), "wants to leave"),
            (well, lambda id_: simulator.fail_payment(id_, "expired_card"), "the card has expired"),
            (owing, simulator.recover, "paid what was owed"),
        )
        happenings = []
        for number in range(count):
            customers, happen, text = events[number % len(events)]
            if not customers:
                customers, happen, text = events[0]
            if customers:
                id_ = customers.pop()
                happen(id_)
                happenings.append(Happening(id=id_, text=text))
        return happenings

    def received(self) -> Sequence[Receipt]:
        """Return the metadata that was written, by customer."""
        requests = self._simulator.log.matching("/v1/customers/*", "POST")
        new, self._seen = requests[self._seen :], len(requests)
        return [
            Receipt(subject=entry.path.rpartition("/")[2], text=", ".join(_pairs(entry.params)))
            for entry in new
        ]  # fmt: skip

    def close(self) -> None:
        """Stop the server."""
        self._server.close()

    def _subscriptions(self, status: str) -> list[Mapping[str, str]]:
        """Return subscriptions of customers on this stage who are otherwise as well as theirs says."""
        stage = {company.key for company in self._setting.stage("billing") if company.fate in FATES}
        ours = {id_ for id_, sighting in self._simulator.sightings.items() if sighting.main and sighting.company.key in stage}
        with self._simulator.lock:
            return [sub for sub in self._simulator.state.all("subscription", status=status) if sub["customer"] in ours]


def _pairs(params: Mapping[str, Json]) -> list[str]:
    metadata = params.get("metadata")
    if isinstance(metadata, Mapping):
        return [f"{name}={value}" for name, value in sorted(metadata.items())]
    return [f"{name[len(PREFIX) : -1]}={value}" for name, value in sorted(params.items()) if name.startswith(PREFIX)]
