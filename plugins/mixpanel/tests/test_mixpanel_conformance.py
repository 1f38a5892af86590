"""The standard tests, on Mixpanel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from wellkept import ScorePush
from wellkept.testing import FakeClock, Fault, Spec
from wellkept.testing.conformance import ActionTests, Case, SourceTests
from wellkept_mixpanel.simulator import MixpanelSimulator
from wellkept_mixpanel.simulator.state import GROUP_KEY


class Mixpanel(Case):
    plugin = "mixpanel"

    @pytest.fixture
    def description(self, optional_spec: Spec | None) -> Spec | None:
        return optional_spec

    def vendor(self, clock: FakeClock) -> MixpanelSimulator:
        # each test begins with a new store several times an hour, and with it with a new budget: Mixpanel itself must not count
        return MixpanelSimulator(accounts=4, clock=clock, seed=5, page_size=3, limits=False)

    def keys(self, vendor: MixpanelSimulator, url: str) -> Mapping[str, Any]:
        return {
            "project_id": vendor.project_id,
            "service_account": vendor.service_account,
            "secret": "env:MIXPANEL_SECRET",
            "token": "env:MIXPANEL_TOKEN",
            "group_key": GROUP_KEY,
            "data_group_id": vendor.data_group_id,
            "history_days": 6,
            "window_days": 2,
            "lookback_days": 2,
            "unfinished_day": True,
            "profiles_every_hours": 1,
            "api_base": url,
        }

    def secrets(self, vendor: MixpanelSimulator) -> Mapping[str, str]:
        return {"MIXPANEL_SECRET": vendor.secret, "MIXPANEL_TOKEN": vendor.token}


class TestMixpanelSource(Mixpanel, SourceTests):
    reads: ClassVar[Sequence[str]] = ("/api/query/engage",)
    bad_rows: ClassVar[Mapping[str, Fault]] = {
        stream: Fault(kind="row", path="/api/query/engage", rows=("results",), row=1, field="$properties", raw="7")
        for stream in ("groups", "users")
    }

    def change(self, vendor: MixpanelSimulator, stream: str) -> bool:
        if stream == "events":
            for group in vendor.project.groups:
                vendor.stop_using(group, 1)
        else:
            table = vendor.project.groups if stream == "groups" else vendor.project.users
            table[min(table)]["$name"] = "Renamed"
        return True


class TestMixpanelPush(Mixpanel, ActionTests):
    writes = "/groups"
    write_method = "POST"

    def payload(self, number: int) -> ScorePush:
        return ScorePush(properties={"wellkept_health": 50 + number, "wellkept_band": "yellow"})

    def done(self, vendor: MixpanelSimulator, payload: ScorePush) -> Mapping[str, int]:
        wanted = payload.properties.items()
        return {group: 1 for group, properties in vendor.project.groups.items() if wanted <= properties.items()}

    def spoil(self, vendor: MixpanelSimulator) -> bool:
        vendor.refused_ids[min(vendor.project.groups)] = "'$set' is invalid"
        return True
