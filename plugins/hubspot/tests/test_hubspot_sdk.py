"""HubSpot's own SDKs against the simulator, unchanged: the old one on v3 and v4 paths, the new one on dated paths."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

Start = Callable[..., Any]


@pytest.fixture
def wired(simulate: Start, spec: Any) -> tuple[Any, Any, Any]:
    """The simulator with both descriptions, the old SDK and the new one."""
    from hubspot import HubSpot
    from hubspot_sdk import HubSpot as NewHubSpot

    simulator = simulate(accounts=8, spec=spec)
    old = HubSpot(access_token=simulator.token, host=simulator.url)
    new = NewHubSpot(access_token=simulator.token, base_url=simulator.url, max_retries=0)
    return simulator, old, new


async def run(work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a synchronous SDK without stopping the event loop."""
    return await asyncio.to_thread(work, *arguments, **options)


async def test_the_old_sdk_reads_and_writes(wired: tuple[Any, Any, Any]) -> None:
    from hubspot.crm.companies import (
        BatchInputSimplePublicObjectBatchInput,
        BatchReadInputSimplePublicObjectId,
        Filter,
        FilterGroup,
        PublicObjectSearchRequest,
        SimplePublicObjectBatchInput,
        SimplePublicObjectId,
        SimplePublicObjectInput,
        SimplePublicObjectInputForCreate,
    )

    simulator, old, _ = wired
    api = old.crm.companies
    page = await run(api.basic_api.get_page, limit=3, properties=["name", "domain"])
    standing = [thing.id for thing in simulator.state.standing("companies")]
    assert [company.id for company in page.results] == standing[:3]
    more = await run(api.basic_api.get_page, limit=3, after=page.paging.next.after)
    assert more.results[0].id == standing[3]
    made = await run(
        api.basic_api.create,
        simple_public_object_input_for_create=SimplePublicObjectInputForCreate(properties={"name": "Made"}, associations=[]),
    )
    await run(
        api.basic_api.update, made.id, simple_public_object_input=SimplePublicObjectInput(properties={"domain": "made.example"})
    )
    rules = FilterGroup(filters=[Filter(property_name="domain", operator="EQ", value="made.example")])
    request = PublicObjectSearchRequest(
        filter_groups=[rules], limit=5, properties=["name"], sorts=["hs_object_id"], after="0", query=""
    )
    found = await run(api.search_api.do_search, public_object_search_request=request)
    assert (found.total, found.results[0].properties["name"]) == (1, "Made")
    inputs = [SimplePublicObjectBatchInput(id=made.id, properties={"name": "Again"})]
    await run(api.batch_api.update, BatchInputSimplePublicObjectBatchInput(inputs=inputs))
    wanted = BatchReadInputSimplePublicObjectId(
        inputs=[SimplePublicObjectId(id=made.id)], properties=["name"], properties_with_history=[]
    )
    read = await run(api.batch_api.read, wanted)
    assert read.results[0].properties["name"] == "Again"
    await run(api.basic_api.archive, made.id)
    archived = await run(api.basic_api.get_page, archived=True)
    assert [company.id for company in archived.results] == [made.id]
    assert simulator.refused == []


async def test_the_old_sdk_sees_owners_properties_and_links(wired: tuple[Any, Any, Any]) -> None:
    from hubspot.crm.associations.v4 import BatchInputPublicFetchAssociationsBatchRequest, PublicFetchAssociationsBatchRequest
    from hubspot.crm.properties import PropertyCreate, PropertyGroupCreate

    simulator, old, _ = wired
    owners = await run(old.crm.owners.owners_api.get_page)
    assert {owner.email for owner in owners.results} == {owner["email"] for owner in simulator.state.owners.values()}
    await run(old.crm.properties.groups_api.create, "companies", PropertyGroupCreate(name="ours", label="Ours"))
    definition = PropertyCreate(name="ours_score", label="Score", type="number", field_type="number", group_name="ours")
    await run(old.crm.properties.core_api.create, "companies", definition)
    listed = await run(old.crm.properties.core_api.get_all, "companies")
    assert "ours_score" in {found.name for found in listed.results}
    contact = next(thing for thing in simulator.state.standing("contacts"))
    inputs = [PublicFetchAssociationsBatchRequest(id=contact.id)]
    answer = await run(
        old.crm.associations.v4.batch_api.get_page,
        "contacts",
        "companies",
        BatchInputPublicFetchAssociationsBatchRequest(inputs=inputs),
    )
    (found,) = answer.results
    assert {str(end.to_object_id) for end in found.to} == set(simulator.state.links["contacts", "companies"][contact.id])
    assert simulator.refused == []


async def test_the_old_sdk_understands_errors(wired: tuple[Any, Any, Any]) -> None:
    from hubspot.crm.companies.exceptions import ApiException

    _, old, _ = wired
    with pytest.raises(ApiException) as caught:
        await run(old.crm.companies.basic_api.get_by_id, "404")
    assert caught.value.status == 404


async def test_the_new_sdk_reads_and_writes(wired: tuple[Any, Any, Any]) -> None:
    simulator, _, new = wired
    companies = new.crm.objects.companies
    standing = [thing.id for thing in simulator.state.standing("companies")]
    page = await run(companies.list, limit=3, properties=["name", "domain"])
    assert [company.id for company in page.results] == standing[:3]
    every = await run(lambda: [company.id for company in companies.list(limit=3)])
    assert every == standing
    made = await run(companies.create, properties={"name": "Made"}, associations=[])
    await run(companies.update, made.id, properties={"domain": "made.example"})
    found = await run(
        companies.search,
        after="0",
        limit=5,
        filter_groups=[{"filters": [{"propertyName": "domain", "operator": "EQ", "value": "made.example"}]}],
        properties=["name"],
        sorts=["hs_object_id"],
    )
    assert (found.total, found.results[0].properties["name"]) == (1, "Made")
    batch = await run(companies.batch.update, inputs=[{"id": made.id, "properties": {"name": "Again"}}])
    assert batch.status == "COMPLETE"
    owners = await run(new.crm.owners.list)
    assert len(owners.results) == 3
    details = await run(new.account.get)
    assert details.portal_id == simulator.portal_id
    assert simulator.refused == []


async def test_the_new_sdk_understands_errors(wired: tuple[Any, Any, Any]) -> None:
    import hubspot_sdk

    simulator, _, new = wired
    with pytest.raises(hubspot_sdk.NotFoundError):
        await run(new.crm.objects.companies.get, "404")
    with pytest.raises(hubspot_sdk.BadRequestError):
        await run(new.crm.objects.companies.create, properties={"no_such": "x"}, associations=[])
    simulator.revoke(simulator.token)
    with pytest.raises(hubspot_sdk.AuthenticationError):
        await run(new.crm.objects.companies.list)


async def test_a_signature_by_hubspots_own_library(wired: tuple[Any, Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the simulator signs, HubSpot's library believes."""
    import time

    from hubspot.utils.signature import Signature

    simulator, _, _ = wired
    url = "https://wellkept.example/webhooks/hubspot"
    simulator.new_company("One")
    headers, body = simulator.webhook(url, at=int(time.time() * 1000))
    assert Signature.is_valid(
        signature=headers["x-hubspot-signature-v3"],
        client_secret=simulator.webhook_secret,
        request_body=body.decode(),
        http_uri=url,
        http_method="POST",
        signature_version="v3",
        timestamp=headers["x-hubspot-request-timestamp"],
    )
