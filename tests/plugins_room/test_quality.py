"""The quality scale: every rule finds what breaks it, and a reason is no way around what was not declared."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from wellkept.plugins import load_named
from wellkept.plugins.examine import Offer, examine
from wellkept.plugins.quality import LEVELS, RULES, Verdict, level_of, undeclarable, verdicts
from wellkept.testing.distributions import write_distribution

README = """
# Acme

```toml
not toml
```

```toml
[plugins.other]
x = 1
```

```toml
[plugins.acme-eu]
plugin = "acme"
api_key = "env:ACME_KEY"
```

`api_key` is the key.
"""

CONFIG = '''
from pydantic import BaseModel, ConfigDict
from wellkept.secrets import Secret

class Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
    api_key: Secret
    """The key."""
'''

SOURCE = """
from wellkept import CheckResult, Measure, PluginInfo, Stream, WebhookSource, hookimpl
from wellkept.records import Account

class Acme(WebhookSource):
    def __init__(self, ctx):
        self.ctx = ctx
    def streams(self):
        return [Stream(name="companies", records=(Account,), doc="Companies.", scopes=("read",))]
    async def check(self): ...
    def read(self, request): ...
    async def fetch(self, stream, ids): ...
    def receive(self, request): ...
    async def estimate(self, stream, cursor): ...

class Plugin:
    @hookimpl
    def describe(self):
        return PluginInfo(name="acme", api="1.0", summary="Reads Acme.", config="wellkept_acme.config:Keys", quality=QUALITY)
    @hookimpl
    def sources(self, ctx):
        return [Acme(ctx)]
    @hookimpl
    def measures(self):
        return [Measure(name="companies", record=Account, aggregate="count", doc="Companies.", unit="count")]
    @hookimpl
    def provide(self, kind):
        return None

plugin = Plugin()
"""

TESTS = """
class TestAcme(Case, SourceTests):
    bad_rows = {}
    def change(self, vendor, stream): ...
class TestHooks(Case, WebhookTests):
    pass
"""

Ship = Callable[..., Offer]


@pytest.fixture
def ship(site: Path, monkeypatch: pytest.MonkeyPatch) -> Ship:
    """Install a source tree of a plugin that keeps every rule but those that the changes break, and open it."""

    def go(
        *,
        source: str = SOURCE,
        config: str = CONFIG,
        readme: str = README + "\n## Limits\n",
        tests: str = TESTS,
        quality: dict[str, str] | None = None,
        typed: bool = True,
        simulator: bool = True,
        tree: bool = True,
        requires: tuple[str, ...] = ("wellkept>=0.1,<1",),
    ) -> Offer:
        project = site.parent / "project"
        package = project / "src" / "wellkept_acme"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(source.replace("QUALITY", repr(quality or {})), encoding="utf-8")
        (package / "config.py").write_text(config, encoding="utf-8")
        if typed:
            (package / "py.typed").touch()
        if simulator:
            (package / "simulator.py").write_text("import httpx", encoding="utf-8")
        if tree:
            (project / "pyproject.toml").write_text('[project]\nname = "wellkept-acme"\n', encoding="utf-8")
            (project / "README.md").write_text(readme, encoding="utf-8")
            (project / "tests").mkdir()
            (project / "tests" / "test_acme.py").write_text(tests, encoding="utf-8")
        monkeypatch.syspath_prepend(package.parent)
        write_distribution(
            site, "wellkept-acme", plugins={"acme": "wellkept_acme:plugin"}, requires=requires, description=readme
        )
        for name in [name for name in sys.modules if name.startswith("wellkept_acme")]:
            monkeypatch.delitem(sys.modules, name)
        return examine(load_named(["acme"]).loaded["acme"])

    return go


def found(offer: Offer) -> dict[str, Verdict]:
    return {verdict.rule: verdict for verdict in verdicts(offer)}


def missed(offer: Offer) -> dict[str, str | None]:
    return {name: verdict.reason for name, verdict in found(offer).items() if verdict.state == "missed"}


def test_one_that_keeps_everything_is_gold_and_says_what_it_offers(ship: Ship) -> None:
    offer = ship()
    assert missed(offer) == {}
    assert level_of(verdicts(offer)) == "gold"
    assert [stream.name for stream in offer.streams] == ["companies"]
    assert [measure.name for measure in offer.measures] == ["companies"]
    assert offer.opened


BREAKS = {
    "opens": ({"source": SOURCE.replace('name="companies", records', 'name="No Name", records')}, "cannot name a stream"),
    "config-strict": ({"config": CONFIG.replace('extra="forbid", ', "")}, 'without extra="forbid": Keys'),
    "config-documented": ({"config": CONFIG.replace('"""The key."""', "")}, "without a sentence: Keys.api_key"),
    "secrets-are-references": (
        {"config": CONFIG + '    auth_token: str = ""\n    """A token."""\n', "readme": README + "auth_token\n## Limits"},
        "not of the type Secret: Keys.auth_token",
    ),
    "streams-documented": ({"source": SOURCE.replace('doc="Companies.", scopes', 'doc="", scopes')}, "companies"),
    "measures-documented": ({"source": SOURCE.replace('doc="Companies.", unit', 'doc="", unit')}, "companies"),
    "requirements": ({"requires": ("wellkept>=0.1",)}, "has no lower or no upper bound"),
    "silent": ({"source": SOURCE + "\ndef unused():\n    print(1)\n"}, "print() at __init__.py:"),
    "readme": ({"readme": "# Acme\n## Limits\n"}, "not a word about api_key"),
    "standard-tests": ({"tests": TESTS.replace("WebhookTests", "Other")}, "no WebhookTests"),
    "simulator": ({"simulator": False}, "no module `simulator`"),
    "typed": ({"typed": False}, "no py.typed"),
    "streams-scoped": ({"source": SOURCE.replace(', scopes=("read",)', "")}, "without scopes: companies"),
    "core-http": ({"source": "import urllib.request\n" + SOURCE},
                  "imports urllib.request in __init__.py"),
    "limits-told": ({"readme": README}, "no section about limits"),
    "bad-rows": ({"tests": TESTS.replace("bad_rows", "others")}, "do not say: bad_rows"),
    "webhooks": ({"source": SOURCE.replace("WebhookSource", "FetchingSource")}, "no source takes webhooks"),
    "estimate": ({"source": SOURCE.replace("async def estimate", "async def other")}, "no estimate: Acme"),
    "demo": ({"source": SOURCE.replace("def provide(self, kind)", "def observe(self, event)")}, "no hook `provide`"),
}  # fmt: skip


@pytest.mark.parametrize("rule", BREAKS)
def test_what_breaks_a_rule_is_found(ship: Ship, rule: str) -> None:
    changes, words = BREAKS[rule]
    offer = ship(**changes)
    assert words in (missed(offer).get(rule) or ""), missed(offer)
    level = next(item.level for item in RULES if item.name == rule)
    reached = level_of(verdicts(offer))
    assert reached is None or LEVELS.index(reached) < LEVELS.index(level)


def test_every_rule_but_that_of_the_deprecated_is_broken_above() -> None:
    assert {rule.name for rule in RULES} - BREAKS.keys() == {"api-current"}


def test_the_use_of_what_will_go_is_found(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    from wellkept import deprecation
    from wellkept.deprecation import Deprecated

    entry = Deprecated("wellkept.Stream", "1.1", "2.0", "use another")
    monkeypatch.setitem(deprecation.REGISTER, "wellkept.Stream", entry)
    assert missed(ship())["api-current"] == str(entry)


def test_a_declared_reason_stands_and_one_for_a_kept_rule_changes_nothing(ship: Ship) -> None:
    quality = {"webhooks": "Acme has none.", "typed": "no need", "wings": "It cannot fly."}
    offer = ship(source=SOURCE.replace("WebhookSource", "FetchingSource"), quality=quality)
    verdict = found(offer)["webhooks"]
    assert (verdict.state, verdict.reason) == ("declared", "Acme has none.")
    assert found(offer)["typed"].state == "kept"
    assert level_of(verdicts(offer)) == "gold"
    assert undeclarable(offer) == ["wings"]


def test_without_the_source_tree_what_it_would_show_is_unknown(ship: Ship) -> None:
    offer = ship(tree=False)
    states = {name: verdict.state for name, verdict in found(offer).items()}
    assert states["standard-tests"] == states["bad-rows"] == "unknown"
    assert states["readme"] == states["opens"] == "kept"  # its metadata hold the README
    assert level_of(verdicts(offer)) == "bronze"


def test_what_a_plugin_prints_while_it_is_opened_is_found(ship: Ship) -> None:
    chatty = SOURCE.replace("return [Acme(ctx)]", "__import__('sys').stdout.write('x')\n        return [Acme(ctx)]")
    assert "wrote 1 line to standard output" in (missed(ship(source=dedent(chatty)))["silent"] or "")


def test_rules_that_do_not_concern_a_plugin_count_as_kept(ship: Ship) -> None:
    offer = ship(source=SOURCE.replace("def sources(self, ctx)", "def scorers(self, ctx)").replace("[Acme(ctx)]", "[]"))
    states = {name: verdict.state for name, verdict in found(offer).items()}
    assert {name for name, state in states.items() if state == "none"} == {
        "streams-documented", "streams-scoped", "standard-tests", "simulator", "core-http", "limits-told", "bad-rows",
        "webhooks", "estimate", "demo",
    }  # fmt: skip
    assert level_of(verdicts(offer)) == "gold"
