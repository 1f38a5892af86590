"""`wellkept try` and `wellkept record`: a look at a live account that stores nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wellkept.cli.exits import Exit
from wellkept.store import open_store
from wellkept.testing import Server

Write = Callable[[str], Path]

PLUGIN = """
from wellkept import Batch, CheckResult, Finding, PluginInfo, Reject, Source, Stream, hookimpl
from wellkept.http import Bearer
from wellkept.records import Account

class Acme(Source):
    def __init__(self, ctx):
        self.client = ctx.http(ctx.config.host, auth=Bearer(ctx.config.api_key))
    def streams(self):
        return [
            Stream(name="companies", records=(Account,), doc="Companies."),
            Stream(name="broken", records=(Account,), doc="Fails."),
        ]
    async def check(self):
        await self.client.get("/me")
        return CheckResult(findings=[Finding(name="key", ok=True, message="works")], vendor_account="acct_1")
    async def read(self, request):
        if request.stream.name == "broken":
            raise RuntimeError("a customer's row")
        page = (request.cursor or {}).get("page", 1)
        while page:
            answer = (await self.client.get("/companies", params={"page": page})).json()
            rows, rejects = [], []
            for row in answer["rows"]:
                if row["id"] == "bad":
                    rejects.append(Reject(raw=str(row).encode(), reason="no version", id="bad"))
                else:
                    rows.append(Account(id=row["id"], version=row["version"], name=row["title"], email=row["mail"]))
            page = answer["next"]
            yield Batch(records=rows, rejects=rejects, cursor={"page": page or 1})

class Plugin:
    @hookimpl
    def describe(self):
        return PluginInfo(name="vendor", api="1.0", summary="Acme.", config="wellkept_vendor_options:Options")
    @hookimpl
    def sources(self, ctx):
        return [Acme(ctx)]

plugin = Plugin()
"""


class Vendor:
    """Two pages of companies, and what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.bad = False

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/me", self.me), Route("/companies", self.companies)])

    async def me(self, request: Request) -> Response:
        self.asked.append((request.method, str(request.url.path)))
        return JSONResponse({"account": "acct_1", "token": "good-key-value"})

    async def companies(self, request: Request) -> Response:
        self.asked.append((request.method, f"{request.url.path}?{request.url.query}"))
        page = int(request.query_params["page"])
        rows = [
            {"id": f"c{page}{number}", "version": 1, "title": f"Lovelace {page}{number}", "mail": f"ada{number}@lovelace.org"}
            for number in range(3)
        ]
        if self.bad:
            rows.insert(0, {"id": "bad"})
        return JSONResponse({"rows": rows, "next": page + 1 if page < 2 else None})


@pytest.fixture
def vendor(install: Callable[..., None], configured: Write) -> Iterator[Vendor]:
    install("vendor", PLUGIN)
    vendor = Vendor()
    with Server(vendor.app()) as server:
        configured(f'[plugins.vendor]\napi_key = "env:VENDOR_API_KEY"\nhost = "{server.url}"\n')
        yield vendor


def stored(here: Path) -> dict[str, int]:
    store = open_store(here / "wellkept.db")
    try:
        with store.read() as reader:
            tables = ("r_account", "cursors", "runs", "dead_letters", "instances", "inbox")
            return {name: reader.value(f"SELECT COUNT(*) FROM {name}") for name in tables}
    finally:
        store.close()


# --- try ---


def test_rows_are_shown_beside_what_they_became(run: Any, vendor: Vendor) -> None:
    done = run("try", "vendor", "companies", "--limit", "2")
    assert done.code == Exit.OK, done.err
    lines = done.out.splitlines()
    assert any(line.split() == ["id:", "c10", "type:", "account"] for line in lines)
    assert any(line.startswith("title: Lovelace 10") for line in lines)
    assert any(line.endswith("name: Lovelace 10") for line in lines)
    assert "lovelace.org" not in done.out
    assert "c12" not in done.out
    assert lines[-1] == "Records: 2, requests: 1; there may be more. Nothing was stored."
    assert vendor.asked == [("GET", "/companies?page=1")]


def test_nothing_is_stored(run: Any, vendor: Vendor, here: Path) -> None:
    assert run("try", "vendor", "companies").code == Exit.OK
    assert set(stored(here).values()) == {0}


def test_a_stream_that_ends_says_so_and_json_holds_both_sides(run: Any, vendor: Vendor) -> None:
    document = run("try", "vendor", "companies", "--limit", "100", "--json").document
    assert (document["ended"], document["requests"], len(document["rows"])) == (True, 2, 6)
    assert document["rows"][0] == {
        "vendor": {"id": "c10", "version": 1, "title": "Lovelace 10", "mail": "***"},
        "record": {"type": "account", "id": "c10", "version": 1, "name": "Lovelace 10", "email": "***"},
    }


def test_a_row_that_is_not_understood_is_shown_with_its_reason(run: Any, vendor: Vendor) -> None:
    vendor.bad = True
    done = run("try", "vendor", "companies", "-n", "3")
    assert done.code == Exit.PARTIAL
    assert "Not understood: no version" in done.out


def test_a_plugin_s_failure_is_told_without_its_row(run: Any, vendor: Vendor) -> None:
    done = run("try", "vendor", "broken")
    assert done.code == Exit.FAILED
    assert "RuntimeError at wellkept_vendor.py:" in done.err
    assert "a customer's row" not in done.err


def test_what_is_not_there_is_told_with_what_is(run: Any, vendor: Vendor) -> None:
    assert "did you mean 'vendor'?" in run("try", "vendr", "companies").err
    assert "did you mean 'companies'?" in run("try", "vendor", "company").err


# --- record ---


def test_a_recording_has_every_exchange_and_nobody_in_it(run: Any, vendor: Vendor, here: Path) -> None:
    done = run("record", "vendor")
    assert done.code == Exit.PARTIAL  # one stream is broken
    folder = here / "vendor-recording"
    assert sorted(path.name for path in folder.iterdir()) == [
        "0001-GET-me.json", "0002-GET-companies.json", "0003-GET-companies.json", "0004-GET-companies.json",
        "0005-GET-companies.json", "recording.json",
    ]  # fmt: skip
    text = "".join(path.read_text() for path in folder.iterdir())
    for secret in ("good-key-value", "Lovelace", "lovelace.org", "127.0.0.1"):
        assert secret not in text
    about = json.loads((folder / "recording.json").read_text())
    assert (about["format"], about["plugin"], about["distribution"]) == (1, "vendor", "wellkept-vendor 1.0")
    assert [(item["stream"], item["records"]) for item in about["streams"]] == [("companies", 12), ("broken", 0)]
    assert json.loads((folder / "0002-GET-companies.json").read_text())["request"] == {
        "method": "GET", "path": "/companies", "params": [["page", "1"]],
    }  # fmt: skip
    assert set(stored(here).values()) == {0}


def test_a_folder_with_something_in_it_is_left_alone(run: Any, vendor: Vendor, here: Path) -> None:
    (here / "there").mkdir()
    (here / "there" / "mine.txt").write_text("mine")
    done = run("record", "vendor", "-o", "there")
    assert done.code == Exit.CONFIG
    assert "name a new folder" in done.err
    assert vendor.asked == []
    assert run("record", "vendor", "-o", "new", "-n", "1", "--json").document["folder"] == "new"
