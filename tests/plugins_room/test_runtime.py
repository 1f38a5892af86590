"""The runtime: configuration, store, plugins and contexts put together, with whatever is wrong left out and told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict

from wellkept import (
    Batch,
    CheckResult,
    Context,
    Event,
    Finding,
    Machine,
    Measure,
    OnceAction,
    PluginInfo,
    ReadRequest,
    Route,
    Scorer,
    Source,
    Step,
    Stream,
    TaskCreate,
    Verdict,
    hookimpl,
)
from wellkept.errors import ConfigError, RejectedError, StoreError
from wellkept.problems import ProblemsError
from wellkept.records import CANONICAL, Account, Invoice, Record
from wellkept.redact import REDACTOR
from wellkept.runtime import Runtime
from wellkept.secrets import Secret
from wellkept.testing import FakeClock, Server

INVOICES = Stream(name="invoices", records=(Invoice,), doc="Bills.")


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")
    api_key: Secret = Secret("env:VENDOR_KEY")
    word: str = "x"


class Reader(Source):
    def __init__(self, *streams: Stream) -> None:
        self.given = streams

    def streams(self) -> Sequence[Stream]:
        return self.given

    async def check(self) -> CheckResult:
        return CheckResult(findings=[Finding(name="key", ok=True, message="works")])

    async def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        yield Batch()


class Tasks(OnceAction[TaskCreate]):
    payload = TaskCreate

    async def deliver(self, deliveries: Any) -> Any: ...

    async def look_up(self, delivery: Any) -> Any: ...


class Judge(Scorer):
    name = "health"
    version: ClassVar[str] = "1"
    uses: Any = frozenset()

    def score(self, frame: Any, previous: Any) -> Any: ...


class Waiting(Machine[Any]):
    version = "1"
    uses: Any = frozenset()
    over = Invoice

    def __init__(self, name: str) -> None:
        self.name = name

    def initial(self, subject: str) -> Any: ...

    def step(self, state: Any, fact: Any) -> Step[Any]:
        return Step(state=state)

    def recheck(self, effect: Any, facts: Any) -> Verdict:
        return Verdict.proceed()


class Own(Record, frozen=True, kw_only=True):
    type: ClassVar[str] = "vendor.price"
    amount: int = 0


class Vendor:
    """A plugin object whose hooks return what a test wants."""

    def __init__(self, name: str = "vendor", *, config: str | None = f"{__name__}:Options", **returns: Any) -> None:
        self.name = name
        self.config = config
        self.returns = returns
        self.contexts: list[Context[Any]] = []
        self.calls: list[str] = []
        self.events: list[Event] = []

    def _give(self, hook: str, ctx: Any = None) -> Any:
        self.calls.append(hook)
        value = self.returns.get(hook, [])
        return value(ctx) if callable(value) else value

    @hookimpl
    def describe(self) -> PluginInfo:
        return PluginInfo(name=self.name, api="1.0", summary="A vendor.", config=self.config)

    @hookimpl
    def sources(self, ctx: Any) -> Any:
        self.contexts.append(ctx)
        return self._give("sources", ctx)

    @hookimpl
    def scorers(self, ctx: Any) -> Any:
        return self._give("scorers", ctx)

    @hookimpl
    def policies(self, ctx: Any) -> Any:
        return self._give("policies", ctx)

    @hookimpl
    def actions(self, ctx: Any) -> Any:
        return self._give("actions", ctx)

    @hookimpl
    def measures(self, ctx: Any) -> Any:
        return self._give("measures", ctx)

    @hookimpl
    def routes(self, ctx: Any) -> Any:
        return self._give("routes", ctx)

    @hookimpl
    def record_types(self) -> Any:
        return self._give("record_types")

    @hookimpl
    def observe(self, event: Event) -> None:
        self.events.append(event)

    @hookimpl
    def provide(self, kind: str, settings: Any) -> object | None:
        back_end = self.returns.get("provide")
        return back_end(kind, settings) if back_end else None


Open = Callable[..., Runtime]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Write a configuration, open it with plugin objects, and close it at the end."""
    runtimes: list[Runtime] = []

    def open_(text: str, *plugins: Any, **options: Any) -> Runtime:
        path = tmp_path / "plugins.toml"
        path.write_text(text, encoding="utf-8")
        runtime = Runtime.open(path, clock=FakeClock(), extra_plugins={plugin.name: plugin for plugin in plugins}, **options)
        runtimes.append(runtime)
        return runtime

    yield open_
    for runtime in runtimes:
        runtime.close()


def reasons(runtime: Runtime) -> list[str]:
    return [problem.reason for problem in runtime.problems]


def test_one_context_per_instance_with_everything_in_it(opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VENDOR_KEY", "the-first-key")
    vendor = Vendor(sources=[Reader(INVOICES)])
    runtime = opened(
        '[wellkept]\nstore = "data/x.db"\npublic_url = "https://x.example/"\n'
        '[plugins.eu]\nplugin = "vendor"\nword = "eu"\n[plugins.vendor]\n',
        vendor,
    )
    assert list(runtime.instances) == ["eu", "vendor"]
    assert vendor.calls == ["record_types", "policies", "policies"]  # nothing else before it is needed
    eu = runtime.instances["eu"]
    assert (eu.name, eu.plugin, eu.info.summary, eu.config.word, eu.distribution) == ("eu", "vendor", "A vendor.", "eu", None)
    assert list(eu.streams) == ["invoices"]
    ctx = vendor.contexts[0]
    assert (ctx.instance, ctx.public_url, ctx.clock) == ("eu", "https://x.example", runtime.clock)
    assert ctx.config.api_key.reveal() == "the-first-key"
    assert ctx.sign.verify("p", ctx.sign.sign("p", "t"), now=0) == "t"
    assert runtime.instances["vendor"].ctx.sign.verify("p", ctx.sign.sign("p", "t"), now=0) is None
    assert (tmp_path / "data" / "x.db").exists()
    assert (tmp_path / "wellkept.key").stat().st_mode & 0o077 == 0
    assert runtime.settings.wellkept.timezone == "UTC"
    assert runtime.problems == []
    assert eu.streams is eu.streams
    assert vendor.calls.count("sources") == 1


def test_an_instance_with_a_mistake_is_left_out_and_told_and_the_others_run(opened: Open) -> None:
    runtime = opened('[plugins.bad]\nplugin = "vendor"\nwrod = "x"\n[plugins.vendor]\n[plugins.absent]\n', Vendor())
    assert list(runtime.instances) == ["vendor"]
    by_instance = {problem.instance: problem for problem in runtime.problems}
    assert set(by_instance) == {"bad", "absent"}
    assert by_instance["bad"].mend == "did you mean 'word'?"
    assert "plugins.toml:3: plugins.bad.wrod: unknown key" in by_instance["bad"].reason
    assert by_instance["absent"].stage == "find"


def test_strict_makes_any_problem_fatal_those_of_hooks_too(opened: Open, tmp_path: Path) -> None:
    with pytest.raises(ProblemsError, match="no installed plugin"):
        opened("[plugins.absent]\n", strict=True)
    with pytest.raises(ProblemsError, match="it returned an int"):
        opened("[plugins.vendor]\n", Vendor(routes=5), strict=True)
    opened("[plugins.vendor]\n", Vendor(), strict=True)


def test_a_failed_opening_leaves_nothing_open(opened: Open) -> None:
    factory = logging.getLogRecordFactory()
    with pytest.raises(ProblemsError):
        opened("[plugins.absent]\n", strict=True)
    assert logging.getLogRecordFactory() is factory


def test_logs_are_redacted_while_it_is_open(
    opened: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("VENDOR_KEY", "the-second-key")
    runtime = opened("[plugins.vendor]\n", Vendor())
    key = runtime.instances["vendor"].config.api_key.reveal()
    runtime.instances["vendor"].ctx.log.warning("using %s", key)
    assert caplog.messages == ["using ***"]
    runtime.close()


# --- streams, actions, columns, names ---


def test_streams_are_unique_known_and_well_named(opened: Open) -> None:
    class Unknown(Record, frozen=True, kw_only=True):
        type: ClassVar[str] = "vendor.unknown"

    broken = Reader()
    monkey: Any = broken
    monkey.streams = lambda: 1 / 0
    vendor = Vendor(
        sources=[
            broken,
            Reader(
                INVOICES,
                Stream(name="Bad Name", records=(Invoice,), doc="d"),
                Stream(name="odd", records=(Unknown,), doc="d"),
                Stream(name="late", records=(Invoice,), doc="d", depends_on=("missing",)),
            ),
            Reader(Stream(name="invoices", records=(Account,), doc="d"), Stream(name="accounts", records=(Account,), doc="d")),
        ]
    )
    runtime = opened("[plugins.vendor]\n", vendor)
    instance = runtime.instances["vendor"]
    assert {name: bound.stream.records for name, bound in instance.streams.items()} == {
        "invoices": (Invoice,),
        "accounts": (Account,),
    }
    assert instance.streams["accounts"].source is instance.sources[2]
    text = "\n".join(reasons(runtime))
    for words in (
        "Reader.streams failed: ZeroDivisionError",
        "'Bad Name' cannot name a stream",
        "yields Unknown, which the hook `record_types` does not declare",
        "two streams are called 'invoices'",
        "'late' depends on 'missing'",
    ):
        assert words in text
    assert {problem.instance for problem in runtime.problems} == {"vendor"}


def test_own_record_types_carry_the_plugins_name_and_get_tables(opened: Open) -> None:
    class Foreign(Record, frozen=True, kw_only=True):
        type: ClassVar[str] = "other.thing"

    class Copy(Record, frozen=True, kw_only=True):
        type: ClassVar[str] = "invoice"

    stream = Stream(name="prices", records=(Own,), doc="d")

    class Odd(Record, frozen=True, kw_only=True):
        type: ClassVar[str] = "vendor.odd"
        cannot: frozenset[int] = frozenset()

    types = [Own, Foreign, Copy, Odd]
    runtime = opened("[plugins.vendor]\n", Vendor(record_types=types, sources=[Reader(stream)]))
    assert runtime.record_types == {**{kind.type: kind for kind in CANONICAL}, "vendor.price": Own}
    assert list(runtime.instances["vendor"].streams) == ["prices"]
    assert "should be called 'vendor.something'" in reasons(runtime)[0]
    assert "'invoice' exists already" in reasons(runtime)[1]
    assert "field cannot has a type" in reasons(runtime)[2]
    assert len(runtime.problems) == 3


def test_a_type_whose_field_changed_its_kind_keeps_its_plugins_streams_out_and_nobody_else(opened: Open) -> None:
    class Before(Record, frozen=True, kw_only=True):
        type: ClassVar[str] = "vendor.thing"
        size: int = 0

    class After(Record, frozen=True, kw_only=True):
        type: ClassVar[str] = "vendor.thing"
        size: str = ""

    opened("[plugins.vendor]\n", Vendor(record_types=[Before])).close()
    sources = [Reader(INVOICES, Stream(name="things", records=(After,), doc="d"))]
    runtime = opened("[plugins.vendor]\n", Vendor(record_types=[After], sources=sources))
    assert "vendor.thing" not in runtime.record_types
    assert list(runtime.instances["vendor"].streams) == ["invoices"]
    assert "size" in reasons(runtime)[0]


def test_actions_are_one_per_capability_and_live_names_them(opened: Open) -> None:
    class Nameless(Tasks):
        payload = None  # type: ignore[assignment]

    first = Tasks()
    runtime = opened('[plugins.vendor]\nlive = ["task.create", "task.creat"]\n', Vendor(actions=[first, Tasks(), Nameless()]))
    instance = runtime.instances["vendor"]
    assert instance.actions == {"task.create": first}
    assert instance.is_live("task.create")
    assert not instance.is_live("score.push")
    text = "\n".join(reasons(runtime))
    assert "two actions serve 'task.create'" in text
    assert "Nameless does not name its payload type" in text
    assert "`live` names 'task.creat'" in text
    assert runtime.problems[-1].mend == "did you mean 'task.create'?"


def test_nothing_is_live_unless_the_configuration_says_so(opened: Open) -> None:
    runtime = opened('[plugins.vendor]\n[plugins.two]\nplugin = "vendor"\nlive = true\n', Vendor())
    assert not runtime.instances["vendor"].is_live("task.create")
    assert runtime.instances["two"].is_live("task.create")


def test_names_of_scorers_and_policies_are_unique_over_all_plugins(opened: Open) -> None:
    one, two = Vendor("one", config=None, scorers=[Judge()]), Vendor("two", config=None, scorers=[Judge()])
    one.returns["policies"] = [Waiting("dunning")]
    two.returns["policies"] = [Waiting("dunning"), Waiting("")]
    runtime = opened("[plugins.two]\n[plugins.one]\n", one, two)
    assert runtime.scorers["health"][0].name == "two"
    assert {name: owner.name for name, (owner, _) in runtime.deciders.items()} == {"dunning": "two"}
    text = "\n".join(reasons(runtime))
    assert "the scorer 'health' is declared by two (two) and by one (one)" in text
    assert "the policy 'dunning' is declared by two (two) and by one (one)" in text
    assert "the policy Waiting has no name" in text


def measure(name: str, **changes: Any) -> Measure:
    return Measure(name=name, record=Invoice, aggregate=changes.pop("aggregate", "count"), doc="d", **changes)


def test_a_column_of_two_plugins_is_a_problem_that_names_both(opened: Open) -> None:
    one = Vendor("one", config=None, measures=[measure("open_invoices"), measure("paid")])
    two = Vendor("two", config=None, measures=[measure("open_invoices", window=30)])
    runtime = opened("[plugins.one]\n[plugins.two]\n", one, two)
    assert runtime.measures == {"open_invoices": measure("open_invoices"), "paid": measure("paid")}
    assert reasons(runtime) == ["the column 'open_invoices' is declared by one (one) and by two (two)"]


def test_instances_of_one_plugin_share_their_columns(opened: Open) -> None:
    vendor = Vendor(measures=lambda ctx: [measure("n", streams=(f"{ctx.instance}.invoices",)), measure("all")])
    runtime = opened('[plugins.vendor]\n[plugins.eu]\nplugin = "vendor"\n', vendor)
    assert runtime.measures["n"].streams == ("vendor.invoices", "eu.invoices")
    assert runtime.measures["all"] == measure("all")
    assert runtime.problems == []


def test_machines_over_records_get_the_changes_of_their_type(opened: Open) -> None:
    runtime = opened("[plugins.vendor]\n", Vendor(policies=[Waiting("dunning")]))
    runtime.store.write_now(
        lambda tx: runtime.tables.upsert(
            tx, "vendor", "s", [Invoice(id="in_1", version=1, account_ref="c", status="open", currency="usd", amount_due=1)], 5
        )
    )
    with runtime.store.read() as reader:
        assert reader.all("SELECT type, instance, id FROM fact_queue") == [("invoice", "vendor", "in_1")]


def test_custom_fields_name_what_exists(opened: Open) -> None:
    runtime = opened(
        "[plugins.vendor]\n[plugins.vendor.map]\n"
        'region = { field = "extra.region" }\nsize = { field = "segmnt" }\nkind = { record = "invoic", field = "status" }\n'
        'due = { record = "invoice", field = "amount_due", time = "due_att" }\n',
        Vendor(),
    )
    assert list(runtime.instances["vendor"].map) == ["region"]
    assert [problem.mend for problem in runtime.problems] == [
        "did you mean 'segment'?",
        "did you mean 'invoice'?",
        "did you mean 'due_at'?",
    ]


def test_routes_and_events_reach_the_plugin(opened: Open) -> None:
    async def app(*_: Any) -> None: ...

    vendor = Vendor(routes=[Route(path="hook", app=app)])
    runtime = opened("[plugins.vendor]\n", vendor)
    assert [route.path for route in runtime.instances["vendor"].routes] == ["hook"]
    event = Event(kind="run.started", at=1)
    runtime.observe(event)
    assert vendor.events == [event]


# --- secrets ---


def test_an_instance_can_provide_secrets_for_the_others(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDOR_KEY", "vault-password")
    asked: list[Any] = []

    class Vault:
        def __init__(self, settings: Any) -> None:
            self.settings = settings

        def get(self, path: str) -> str | None:
            asked.append((path, self.settings["api_key"].reveal()))
            return {"kv/key": "value-from-vault"}.get(path)

    vault = Vendor("safe", provide=lambda kind, settings: Vault(settings) if kind == "secrets" else None)
    vault.config = f"{__name__}:Options"
    runtime = opened('[plugins.vendor]\napi_key = "safe:kv/key"\n[plugins.safe]\n', Vendor(), vault)
    secret = runtime.instances["vendor"].config.api_key
    assert secret.reveal() == "value-from-vault"
    assert asked == [("kv/key", "vault-password")]
    assert REDACTOR.text("value-from-vault") == "***"


def test_an_instance_that_provides_nothing_is_no_scheme(opened: Open) -> None:
    runtime = opened('[plugins.vendor]\napi_key = "safe:kv/key"\n[plugins.safe]\n', Vendor(), Vendor("safe"))
    with pytest.raises(ConfigError, match="nothing provides the secrets of 'safe'"):
        runtime.instances["vendor"].config.api_key.reveal()


def test_the_digest_follows_the_configuration_and_the_secrets_value(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDOR_KEY", "first-value")
    plain = opened("[plugins.vendor]\n", Vendor()).instances["vendor"].digest()
    live = opened("[plugins.vendor]\nlive = true\nschedule = 'every hour'\n", Vendor()).instances["vendor"].digest()
    instance = opened("[plugins.vendor]\nword = 'other'\n", Vendor()).instances["vendor"]
    word = instance.digest()
    assert plain == live != word
    monkeypatch.setenv("VENDOR_KEY", "second-value")
    rotated = instance.digest()
    monkeypatch.delenv("VENDOR_KEY")
    assert len({word, rotated, instance.digest()}) == 3
    assert "second-value" not in rotated


# --- the store and its key ---


def test_a_store_is_not_opened_without_its_key_or_with_another(opened: Open, tmp_path: Path) -> None:
    opened("").close()
    key = tmp_path / "wellkept.key"
    kept = key.read_text()
    key.unlink()
    with pytest.raises(ConfigError, match="is gone"):
        opened("")
    assert not key.exists()
    key.write_text("A" * 43 + "=")
    key.chmod(0o600)
    with pytest.raises(StoreError, match="another installation key"):
        opened("")
    key.write_text(kept)
    opened("")


# --- the views ---


async def test_a_plugin_sees_records_and_its_own_state(opened: Open) -> None:
    runtime = opened('[plugins.vendor]\n[plugins.eu]\nplugin = "vendor"\n', Vendor())
    tables, store = runtime.tables, runtime.store
    await store.write(lambda tx: tables.upsert(tx, "vendor", "s", [Account(id="c1", version=1, name="Ada")], 5))
    await store.write(lambda tx: tables.upsert(tx, "eu", "s", [Account(id="c1", version=1, name="Berta")], 5))
    await store.write(
        lambda tx: tx.execute(
            "INSERT INTO links (type, instance, record_id, account, evidence, at) VALUES ('account', 'eu', 'c1', 'a1', '{}', 1)"
        )
    )
    view = runtime.instances["eu"].ctx.store
    found = await view.record(Account, "c1")
    other = await view.record(Account, "c1", instance="vendor")
    assert found is not None
    assert other is not None
    assert (found.name, other.name) == ("Berta", "Ada")
    assert await view.record(Account, "c2") is None
    assert await view.account_of(Account, "c1") == "a1"
    assert await runtime.instances["vendor"].ctx.store.account_of(Account, "c1") is None
    assert [record.name for record in await view.records(Account, account="a1")] == ["Berta"]


async def test_state_is_kept_per_instance_and_is_plain_data(opened: Open) -> None:
    runtime = opened('[plugins.vendor]\n[plugins.eu]\nplugin = "vendor"\n', Vendor())
    mine, other = runtime.instances["vendor"].ctx.state, runtime.instances["eu"].ctx.state
    value = {"a": [1, 2.5, None, True, "é"]}
    await mine.set("k", value)
    await mine.set("k2", 0)
    assert await mine.get("k") == value
    assert await mine.get("k2") == 0
    assert await other.get("k") is None
    await mine.set("k", None)
    assert await mine.get("k") is None
    for bad in (object(), {1: 2}, {1, 2}, "x" * 70_000, float("nan")):
        with pytest.raises(RejectedError, match="the state 'k'"):
            await mine.set("k", bad)
    assert await mine.get("k") is None


async def test_tokens_are_sealed_with_the_installations_key(opened: Open) -> None:
    runtime = opened("[plugins.vendor]\n", Vendor())
    tokens = runtime.instances["vendor"].ctx.tokens
    await tokens.put("oauth", {"refresh_token": "very-secret"})
    assert await tokens.get("oauth") == {"refresh_token": "very-secret"}
    with runtime.store.read() as reader:
        assert b"very-secret" not in reader.value("SELECT sealed FROM tokens")


async def test_suppressions_are_shared_by_all_instances(opened: Open) -> None:
    runtime = opened('[plugins.vendor]\n[plugins.eu]\nplugin = "vendor"\n', Vendor())
    await runtime.instances["vendor"].ctx.suppressions.add("Ada@Example.com", scope="marketing", reason="unsubscribed")
    assert await runtime.instances["eu"].ctx.suppressions.scope("ada@example.COM") == "marketing"


# --- connections ---


def test_connections_end_with_the_loop_that_opened_them(opened: Open) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b"{}"})

    with Server(app) as server:
        runtime = opened("[plugins.vendor]\n", Vendor())
        client = runtime.instances["vendor"].ctx.http(server.url)

        async def call() -> int:
            return (await client.get("/x")).status

        assert runtime.run(call()) == 200
        assert runtime.run(call()) == 200
