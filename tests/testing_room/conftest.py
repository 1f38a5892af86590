"""A small vendor, described in OpenAPI 3.0, and its simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from wellkept.testing import Answer, FakeClock, Server, Simulator, Spec

PARCELS: Mapping[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Parcels", "version": "1"},
    "servers": [{"url": "https://parcels.example/api"}],
    "paths": {
        "/parcels": {
            "parameters": [
                {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 0, "exclusiveMinimum": True}}
            ],
            "get": {
                "parameters": [
                    {"name": "status", "in": "query", "schema": {"type": "array", "items": {"enum": ["new", "sent"]}}},
                    {
                        "name": "sort",
                        "in": "query",
                        "explode": False,
                        "schema": {"type": "array", "items": {"enum": ["a", "b"]}},
                    },
                    {"name": "page[size]", "in": "query", "schema": {"type": "integer"}},
                    {"name": "sent", "in": "query", "schema": {"$ref": "#/components/schemas/When"}},
                    {"name": "token", "in": "header", "required": True, "schema": {"type": "string", "pattern": "^t-"}},
                ],
                "responses": {"200": {"$ref": "#/components/responses/Parcels"}, "4XX": {"description": "refused"}},
            },
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/x-www-form-urlencoded": {"schema": {"$ref": "#/components/schemas/NewParcel"}},
                        "application/json": {"schema": {"$ref": "#/components/schemas/NewParcel"}},
                    },
                },
                "responses": {"201": {"description": "made", "content": {"application/json": {"schema": {"type": "object"}}}}},
            },
        },
        "/parcels/{id}": {
            "get": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
                "responses": {"default": {"description": "any"}},
            }
        },
        "/parcels/mine": {"get": {"responses": {"default": {"description": "any"}}}},
    },
    "components": {
        "responses": {
            "Parcels": {
                "description": "parcels",
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["data"],
                            "properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Parcel"}}},
                        }
                    }
                },
            }
        },
        "schemas": {
            "When": {
                "anyOf": [
                    {"type": "object", "additionalProperties": False, "properties": {"gte": {"type": "integer"}}},
                    {"type": "integer"},
                ]
            },
            "Parcel": {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": {"type": "integer"},
                    "note": {"type": "string", "nullable": True},
                    "next": {"$ref": "#/components/schemas/Parcel"},
                },
            },
            "NewParcel": {
                "type": "object",
                "additionalProperties": False,
                "required": ["weight"],
                "properties": {
                    "weight": {"type": "number"},
                    "fragile": {"type": "boolean"},
                    "items": {"type": "array", "items": {"type": "object", "properties": {"count": {"type": "integer"}}}},
                    "labels": {"anyOf": [{"enum": [""]}, {"type": "object", "additionalProperties": {"type": "string"}}]},
                },
            },
        },
    },
}


class Parcels(Simulator):
    """Keeps parcels; `mistake` makes it answer wrongly."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.parcels: list[dict[str, Any]] = [{"id": 1, "note": "первый"}, {"id": 2, "note": "二"}, {"id": 3, "note": None}]
        self.mistake = False

    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/api/parcels", self._list, methods=["GET"]), Route("/api/parcels", self._make, methods=["POST"])]

    def error(self, status: int, code: str | None = None) -> Answer:
        return Answer(status, {"content-type": "application/json"}, json.dumps({"oops": code or "?"}).encode())

    def scenarios(self) -> Mapping[str, Any]:
        return {"lose": lambda parcel: self.parcels.pop(parcel - 1)["id"]}

    async def _list(self, request: Request) -> Response:
        if request.query_params.get("colour") and not self.mistake:
            return Response(b"no such parameter", 400)
        rows = [{"id": "one"}] if self.mistake else self.parcels
        after = int(request.query_params.get("after", 0))
        return Response(json.dumps({"data": rows[after:]}), media_type="application/json")

    async def _make(self, request: Request) -> Response:
        body = await request.body()
        failed = await self.inside(request)
        if failed is not None:
            return Response(failed.body, failed.status, failed.headers)
        with self.lock:
            self.parcels.append({"id": len(self.parcels) + 1, "note": body.decode()})
        return Response(b"{}", 201, media_type="application/json")


@pytest.fixture
def description(tmp_path: Path) -> Path:
    path = tmp_path / "parcels.json"
    path.write_text(json.dumps(PARCELS), encoding="utf-8")
    return path


@pytest.fixture
def spec(description: Path) -> Spec:
    return Spec.load(description)


@pytest.fixture
def parcels() -> Iterator[tuple[Parcels, str]]:
    simulator = Parcels(clock=FakeClock(), seed=7)
    with Server(simulator) as server:
        yield simulator, server.url


@pytest.fixture
def make_parcels() -> type[Parcels]:
    return Parcels
