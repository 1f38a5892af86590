from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wellkept.testing import Spec, SpecMismatch

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
JSON = {"content-type": "application/json"}
TOKEN = {"Token": "t-1"}
SPECS = Path(__file__).parents[3] / "shared" / "specs"


@pytest.mark.parametrize(
    ("method", "url", "options"),
    [
        ("GET", "/parcels?limit=1&status=new&status=sent&sort=a,b&page[size]=3&sent[gte]=5", {"headers": TOKEN}),
        ("GET", "https://parcels.example/api/parcels?sent=5", {"headers": TOKEN}),
        ("get", "/parcels/17", {}),
        ("GET", "/parcels/mine", {}),
        ("POST", "/parcels", {"headers": FORM, "body": b"weight=1.5&fragile=true&items[0][count]=2&labels[to]=x"}),
        ("POST", "/parcels", {"headers": FORM, "body": b"weight=2&labels="}),
        ("POST", "/parcels", {"headers": JSON, "body": b'{"weight": 2, "items": [{"count": 1}]}'}),
    ],
)
def test_requests_that_fit(spec: Spec, method: str, url: str, options: dict[str, Any]) -> None:
    assert spec.check_request(method, url, **options).name.startswith(method.upper())


@pytest.mark.parametrize(
    ("method", "url", "options", "pointer"),
    [
        ("GET", "/nothing", {}, "/path"),
        ("DELETE", "/parcels", {}, "/path"),
        ("GET", "/parcels/x", {}, "/path/id"),
        ("GET", "/parcels", {}, "/header/token"),
        ("GET", "/parcels", {"headers": {"token": "x"}}, "/header/token"),
        ("GET", "/parcels?colour=red", {"headers": TOKEN}, "/query/colour"),
        ("GET", "/parcels?limit=0", {"headers": TOKEN}, "/query/limit"),
        ("GET", "/parcels?limit=many", {"headers": TOKEN}, "/query/limit"),
        ("GET", "/parcels?status=lost", {"headers": TOKEN}, "/query/status/0"),
        ("GET", "/parcels?sort=a,c", {"headers": TOKEN}, "/query/sort/1"),
        ("GET", "/parcels?sent[lt]=5", {"headers": TOKEN}, "/query/sent"),
        ("GET", "/parcels?sent=1&sent[gte]=5", {"headers": TOKEN}, "/query"),
        ("POST", "/parcels", {"headers": FORM}, "/body"),
        ("POST", "/parcels", {"headers": FORM, "body": b"wieght=1"}, "/body"),
        ("POST", "/parcels", {"headers": FORM, "body": b"weight=1&items[0][count]=two"}, "/body/items/0/count"),
        ("POST", "/parcels", {"headers": JSON, "body": b"{"}, "/body"),
        ("POST", "/parcels", {"headers": JSON, "body": b'{"weight": "1"}'}, "/body/weight"),
        ("POST", "/parcels", {"headers": {"content-type": "text/csv"}, "body": b"1"}, "/body"),
        ("GET", "/parcels/1", {"headers": FORM, "body": b"a=1"}, "/body"),
    ],
)
def test_requests_that_do_not_fit(spec: Spec, method: str, url: str, options: dict[str, Any], pointer: str) -> None:
    with pytest.raises(SpecMismatch) as caught:
        spec.check_request(method, url, **options)
    assert caught.value.pointer == pointer
    assert caught.value.operation.startswith(f"{method} /")


def test_unknown_names_may_be_allowed(description: Path) -> None:
    spec = Spec.load(description, unknown_names="allow", strip_suffix=".json")
    assert spec.check_request("GET", "/parcels.json?colour=red", headers=TOKEN).name == "GET /parcels"


def answer(spec: Spec, value: Any, status: int = 200, url: str = "/parcels", method: str = "GET") -> None:
    spec.check_response(method, url, status=status, headers=JSON, body=json.dumps(value).encode())


def test_answers_that_fit(spec: Spec) -> None:
    answer(spec, {"data": [{"id": 1, "note": None, "next": {"id": 2}}]})
    answer(spec, {}, status=201, method="POST")
    answer(spec, "anything", status=404)
    spec.check_response("GET", "/parcels", status=404, headers={}, body=b"gone")


@pytest.mark.parametrize(
    ("value", "status", "pointer"),
    [
        ({"data": [{"id": 1}, {"id": 2, "next": {"id": "3"}}]}, 200, "/answer/data/1/next/id"),
        ({"data": [{"id": 1, "note": 5}]}, 200, "/answer/data/0/note"),
        ({}, 200, "/answer"),
        ({}, 302, "/answer"),
    ],
)
def test_answers_that_do_not_fit(spec: Spec, value: Any, status: int, pointer: str) -> None:
    with pytest.raises(SpecMismatch) as caught:
        answer(spec, value, status)
    assert caught.value.pointer == pointer


def test_an_answer_of_another_kind(spec: Spec) -> None:
    with pytest.raises(SpecMismatch, match="text/html"):
        spec.check_response("GET", "/parcels", status=200, headers={"content-type": "text/html"}, body=b"<p>")
    with pytest.raises(SpecMismatch, match="not JSON"):
        spec.check_response("GET", "/parcels", status=200, headers=JSON, body=b"{")


def test_a_named_object(spec: Spec) -> None:
    spec.check_object("Parcel", {"id": 1})
    with pytest.raises(SpecMismatch, match="Parcel at /id"):
        spec.check_object("Parcel", {"id": None})


def test_swagger_2_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text('{"swagger": "2.0"}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"old\.json is not OpenAPI 3"):
        Spec.load(path)


@pytest.mark.parametrize(
    ("file", "method", "url", "headers", "body"),
    [
        ("stripe/stripe-v1-billing-from-sdk-16.1.0.json", "GET", "/v1/invoices?created[gte]=1&expand[]=data.payments", {}, b""),
        ("stripe/stripe-v1-billing-from-sdk-16.1.0.json", "POST", "/v1/customers/cus_1", FORM, b"metadata[health]=72"),
        ("zendesk/support-merged.json", "GET", "/api/v2/tickets.json?page[size]=100", {}, b""),
        (
            "hubspot/crm-2026-03-from-sdk-0.1.0a9.json",
            "GET",
            "/crm/objects/2026-03/companies?limit=100&archived=false",
            {},
            b"",
        ),
    ],
)
def test_descriptions_of_real_vendors(file: str, method: str, url: str, headers: dict[str, str], body: bytes) -> None:
    if not (SPECS / file).exists():
        pytest.skip(f"{file} is not here")
    incomplete = file.startswith("zendesk")
    spec = Spec.load(SPECS / file, unknown_names="allow" if incomplete else "fail", strip_suffix=".json")
    spec.check_request(method, url, headers=headers, body=body)


def test_a_description_in_yaml_says_what_it_would_say_in_json(tmp_path: Path) -> None:
    path = tmp_path / "parcels.yaml"
    path.write_text(
        "openapi: 3.0.2\n"
        "paths:\n"
        "  /parcels:\n"
        "    get:\n"
        "      parameters:\n"
        "      - {in: query, name: day, schema: {type: string, enum: [2026-11-21], nullable: true}}\n"
        "      responses:\n"
        "        200: {content: {application/json: {schema: {type: integer}}}}\n"
    )
    spec = Spec.load(path)
    spec.check_request("GET", "/parcels?day=2026-11-21")
    spec.check_response("GET", "/parcels", status=200, headers=JSON, body=b"7")
    with pytest.raises(SpecMismatch):
        spec.check_request("GET", "/parcels?day=2026-11-22")
    with pytest.raises(SpecMismatch):
        spec.check_response("GET", "/parcels", status=200, headers=JSON, body=b'"7"')
