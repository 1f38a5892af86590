from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wellkept.errors import RetryableError
from wellkept.testing import Fault
from wellkept_mixpanel.config import REGIONS, Hosts

Start = Callable[..., Any]


def found(result: Any) -> dict[str, tuple[bool, str, str | None]]:
    return {finding.name: (finding.ok, finding.message, finding.mend) for finding in result.findings}


async def test_all_is_well(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    link = connector(simulator)
    result = await link.source.check()
    assert result.ok
    assert (result.vendor_account, result.mode) == (str(simulator.project_id), None)
    findings = found(result)
    assert list(findings) == ["project", "profiles", "export", "groups", "token", "accounts"]
    assert f"project {simulator.project_id}, region us, service account wellkept." in findings["project"][1]
    assert findings["groups"][1] == "4 group profiles"
    assert "is not tried" in findings["token"][1]
    assert simulator.log.effects == type(simulator.log.effects)()
    assert len(simulator.log.requests) == 3


@pytest.mark.parametrize(
    ("options", "name", "mend"),
    [
        ({"secret_value": "wrong-secret"}, "project", "check project_id, service_account and secret"),
        ({"service_account": "nobody"}, "project", "check project_id, service_account and secret"),
        ({"project_id": 7}, "project", "check project_id, service_account and secret"),
        ({"data_group_id": "5"}, "groups", "copy the id of the group key"),
    ],
)
async def test_what_is_wrong_is_named(simulate: Start, connector: Start, options: Any, name: str, mend: str) -> None:
    result = await connector(simulate(), **options).source.check()
    assert not result.ok
    wrong = [finding for finding in result.findings if not finding.ok]
    assert [finding.name for finding in wrong] == [name]
    assert mend in wrong[0].mend
    if name == "project":
        assert result.vendor_account is None


async def test_a_missing_permission(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    simulator.add_service_account(simulator.service_account, simulator.secret, "consumer")
    result = await connector(simulator).source.check()
    assert {name for name, (ok, _, _) in found(result).items() if not ok} == {"profiles", "export", "groups"}
    assert all("role Analyst" in mend for ok, _, mend in found(result).values() if not ok and mend)
    assert result.vendor_account == str(simulator.project_id)


async def test_the_wrong_region(simulate: Start, connector: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project is looked for in the other regions, and the one that knows it is named."""
    here, there = simulate(), simulate(project_id=99)
    for region in ("us", "in"):
        monkeypatch.setitem(REGIONS, region, Hosts(here.url, here.url, here.url))
    monkeypatch.setitem(REGIONS, "eu", Hosts(there.url, there.url, there.url))
    keys = {"api_base": None, "project_id": 99, "service_account": there.service_account}
    link = connector(here, secret_value=there.secret, **keys)
    (finding,) = (await link.source.check()).findings
    assert (finding.name, finding.ok, finding.mend) == ("region", False, 'set region = "eu"')
    right = connector(here, secret_value=there.secret, region="eu", data_group_id=there.data_group_id, **keys)
    assert (await right.source.check()).ok


async def test_little_to_work_with(simulate: Start, connector: Start) -> None:
    simulator = simulate(sightings=[])
    link = connector(simulator, token=None, group_key=None, data_group_id=None)
    result = await link.source.check()
    assert result.ok
    findings = found(result)
    assert "there was no event on 2026-11-20" in findings["export"][1]
    assert "nothing can be written" in findings["token"][1]
    assert "no property says" in findings["accounts"][1]
    groupless = await connector(simulator, data_group_id=None).source.check()
    assert found(groupless)["token"][:2] == (False, "a token is set, but there are no groups to write to")


async def test_a_mixpanel_that_cannot_be_reached(simulate: Start, connector: Start) -> None:
    simulator = simulate()
    simulator.faults.add(Fault(kind="status", status=503, times=None))
    with pytest.raises(RetryableError):
        await connector(simulator).source.check()
