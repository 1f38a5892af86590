"""Each plugin is loaded on its own; whatever goes wrong is told by name, distribution and reason, and the rest run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from wellkept import PluginInfo, hookimpl
from wellkept.config import loads
from wellkept.hookspecs import API
from wellkept.plugins import HOOKS, load_named, load_plugins
from wellkept.problems import Problem

Install = Callable[..., None]


def only(problems: list[Problem]) -> Problem:
    [problem] = problems
    return problem


def test_only_what_the_configuration_names_and_enables_is_imported(install: Install) -> None:
    install("alpha")
    install("beta")
    install("gamma")
    config = loads("[plugins.alpha]\n[plugins.beta]\nenabled = false\n", Path("plugins.toml"))
    plugins = load_plugins(config)
    assert list(plugins.loaded) == ["alpha"]
    assert plugins.problems == []
    assert "wellkept_beta_1_0_module" not in sys.modules
    assert "wellkept_gamma_1_0_module" not in sys.modules


def test_what_is_known_of_a_loaded_plugin_is_exact(install: Install) -> None:
    install("alpha", "@hookimpl\ndef sources(self, ctx):\n    return []", version="3.1")
    loaded = load_named(["alpha"]).loaded["alpha"]
    assert loaded.distribution == "wellkept-alpha 3.1"
    assert loaded.hooks == ("describe", "sources")
    assert loaded.info.summary == "The plugin alpha."


BROKEN: Mapping[str, tuple[str, str, str, str]] = {
    "missing import": ("import nothing_like_this", "load", "No module named 'nothing_like_this'", "pip install --upgrade"),
    "syntax": ("def (:", "load", "SyntaxError", ""),
    "crash": ("1 / 0", "load", "ZeroDivisionError", ""),
    "exit": ("raise SystemExit(0)", "load", "it tried to end the program", ""),
    "os exit hook": ("import sys\nsys.exit('bye')", "load", "it tried to end the program", ""),
    "base exception": ("class Odd(BaseException): pass\nraise Odd('x')", "load", "Odd: x", ""),
    "generator exit": ("raise GeneratorExit", "load", "GeneratorExit", ""),
    "recursion": ("def f(): f()\nf()", "load", "RecursionError", ""),
    "no such object": ("x = 1", "load", "has no attribute 'plugin'", ""),
    "no hooks": ("class P: pass\nplugin = P()", "describe", "no `describe` hook", "hookimpl"),
    "none": ("plugin = None", "describe", "no `describe` hook", ""),
    "a class": (
        "from wellkept import hookimpl\nclass plugin:\n    @hookimpl\n    def describe(self): pass",
        "describe",
        "names the class plugin",
        "an instance",
    ),
    "describe crashes": (
        "from wellkept import hookimpl\nclass P:\n    @hookimpl\n    def describe(self): raise KeyError('x')\nplugin = P()",
        "describe",
        "KeyError",
        "",
    ),
    "describe returns nonsense": (
        "from wellkept import hookimpl\nclass P:\n    @hookimpl\n    def describe(self): return {'name': 'bad'}\nplugin = P()",
        "describe",
        "returned a dict",
        "PluginInfo",
    ),
    "describe is async": (
        "from wellkept import hookimpl\nclass P:\n    @hookimpl\n    async def describe(self): pass\nplugin = P()",
        "describe",
        "returned a coroutine",
        "remove `async`",
    ),
    "another name": (
        """
        from wellkept import hookimpl, PluginInfo
        class P:
            @hookimpl
            def describe(self):
                return PluginInfo(name='other', api='1.0', summary='')
        plugin = P()
        """,
        "describe",
        "calls itself 'other', its entry point 'bad'",
        "one name",
    ),
    "hostile attributes": (
        """
        class P:
            @property
            def sources(self):
                raise SystemExit
            def __getattr__(self, name):
                raise RuntimeError(name)
        plugin = P()
        """,
        "describe",
        "",
        "",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_told_and_its_neighbours_run(install: Install, case: str) -> None:
    source, stage, reason, mend = BROKEN[case]
    install("alpha")
    install("bad", source=source, version="0.3")
    install("zeta")
    config = loads("[plugins.alpha]\n[plugins.bad-eu]\nplugin = 'bad'\n[plugins.zeta]\n", Path("plugins.toml"))
    plugins = load_plugins(config)
    assert list(plugins.loaded) == ["alpha", "zeta"]
    problem = only(plugins.problems)
    assert (problem.instance, problem.plugin, problem.distribution) == ("bad-eu", "bad", "wellkept-bad 0.3")
    assert problem.stage == stage
    assert reason in problem.reason
    assert mend in (problem.mend or "")
    assert "bad-eu (plugin bad) [wellkept-bad 0.3]: " in str(problem)


def test_an_interrupt_from_the_keyboard_is_not_swallowed(install: Install) -> None:
    install("bad", source="raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_named(["bad"])


def test_every_instance_of_a_broken_plugin_is_told(install: Install) -> None:
    install("bad", source="1 / 0")
    config = loads("[plugins.bad]\n[plugins.bad-eu]\nplugin = 'bad'\n", Path("plugins.toml"))
    assert [problem.instance for problem in load_plugins(config).problems] == ["bad", "bad-eu"]


def test_a_secret_in_an_import_error_is_not_repeated(install: Install) -> None:
    install("bad", source="raise RuntimeError('key sk_live_abcdefgh12345678')")
    assert "sk_live" not in str(only(load_named(["bad"]).problems))


def test_a_plugin_that_is_not_installed(install: Install) -> None:
    install("stripe-like")
    problem = only(load_named(["stripe-lke"]).problems)
    assert problem.stage == "find"
    assert problem.mend == "did you mean 'stripe-like'?; or `pip install wellkept-stripe-lke`"


def test_an_ambiguous_name_loads_neither(install: Install) -> None:
    install("alpha")
    install("alpha", distribution="other-alpha")
    plugins = load_named(["alpha"])
    assert plugins.loaded == {}
    problem = only(plugins.problems)
    assert "other-alpha 1.0" in problem.reason
    assert "wellkept-alpha 1.0" in problem.reason
    assert "pip uninstall" in (problem.mend or "")


# --- the API version ---


def plugin(name: str = "thing", *, api: str = "1.0", **hooks: Callable[..., Any]) -> Any:
    """Return a plugin object with these hooks."""

    def describe(_self: object) -> PluginInfo:
        return PluginInfo(name=name, api=api, summary="A thing.")

    members = {hook: hookimpl(function) for hook, function in {"describe": describe, **hooks}.items()}
    return type("Plugin", (), members)()


def nothing(_self: object) -> list[object]:
    return []


def wants_more(_self: object, ctx: object, extra: object) -> list[object]:
    return []


def version(major: int, minor: int) -> str:
    return f"{major}.{minor}"


@pytest.mark.parametrize(
    ("api", "mend"),
    [
        (version(API[0], API[1] + 1), "upgrade wellkept"),
        (version(API[0] + 1, 0), "upgrade wellkept"),
        (version(API[0] - 1, 9), "upgrade the plugin"),
        ("1", 'api="1.0"'),
        ("1.x", 'api="1.0"'),
        ("v1.0", 'api="1.0"'),
        ("1.0.0", 'api="1.0"'),
        (1.0, 'api="1.0"'),
    ],
)
def test_an_unknown_api_version_is_refused(api: str, mend: str) -> None:
    plugins = load_named(["thing"], {"thing": plugin(api=api)})
    problem = only(plugins.problems)
    assert (problem.stage, plugins.loaded) == ("api", {})
    assert mend in (problem.mend or "")


def test_our_own_version_and_older_minors_are_accepted() -> None:
    for minor in range(API[1] + 1):
        assert load_named(["thing"], {"thing": plugin(api=version(API[0], minor))}).problems == []


def test_the_version_is_judged_before_the_hooks() -> None:
    newer = plugin(api=version(API[0] + 1, 0), sources=wants_more, unheard_of=nothing)
    assert only(load_named(["thing"], {"thing": newer}).problems).stage == "api"


# --- the hooks ---


def test_a_mistyped_hook_is_told_with_the_nearest_one() -> None:
    problem = only(load_named(["thing"], {"thing": plugin(sourcess=nothing)}).problems)
    assert problem.stage == "hooks"
    assert "'sourcess', which does not exist" in problem.reason
    assert problem.mend == "did you mean 'sources'?"


def test_a_hook_may_be_optional_or_have_another_name() -> None:
    @hookimpl(optionalhook=True)
    def someday(self: object) -> None: ...

    @hookimpl(specname="sources")
    def my_sources(self: object, ctx: object) -> list[object]:
        return []

    thing = plugin()
    type(thing).someday = someday
    type(thing).my_sources = my_sources
    plugins = load_named(["thing"], {"thing": thing})
    assert plugins.problems == []
    assert plugins.loaded["thing"].hooks == ("describe", "sources")


def test_a_hook_with_an_unknown_argument_is_refused_and_leaves_nothing_behind() -> None:
    bad = plugin("bad", sources=wants_more)
    good = plugin("good", sources=nothing)
    plugins = load_named(["bad", "good"], {"bad": bad, "good": good})
    problem = only(plugins.problems)
    assert (problem.plugin, problem.stage) == ("bad", "hooks")
    assert "extra" in problem.reason
    assert list(plugins.loaded) == ["good"]
    assert plugins.collect("good", "sources", ctx=object()) == []  # type: ignore[arg-type]
    assert len(plugins.problems) == 1


def test_one_object_under_two_names_is_told() -> None:
    thing = plugin("thing")
    assert "calls itself 'thing'" in only(load_named(["thing", "copy"], {"thing": thing, "copy": thing}).problems).reason


def test_an_object_that_was_handed_in_goes_before_an_installed_plugin(install: Install) -> None:
    install("thing", source="1 / 0")
    plugins = load_named(["thing"], {"thing": plugin()})
    assert plugins.problems == []
    assert plugins.loaded["thing"].distribution is None


def test_hooks_are_those_of_the_specification() -> None:
    assert set(HOOKS) == {
        "actions", "commands", "describe", "jobs", "measures", "observe", "policies", "provide", "record_types", "routes",
        "scorers", "sources", "upgrade_state",
    }  # fmt: skip


# --- the configuration model ---


def test_the_model_is_imported_when_it_is_asked_for(install: Install) -> None:
    source = "from pydantic import BaseModel\nclass Options(BaseModel):\n    x: int = 1"
    install("alpha", config="alpha_options:Options", modules={"alpha_options": source})
    loaded = load_named(["alpha"]).loaded["alpha"]
    assert "alpha_options" not in sys.modules
    model = loaded.model()
    assert model is not None
    assert model.__name__ == "Options"


@pytest.mark.parametrize("config", ["alpha_options", "alpha_options:Nothing", "alpha_options:number", ":Options"])
def test_a_model_that_is_none_is_told(install: Install, config: str) -> None:
    install("alpha", config=config, modules={"alpha_options": "number = 1\nclass Options: pass"})
    loaded = load_named(["alpha"]).loaded["alpha"]
    with pytest.raises(Exception, match="is not a pydantic model"):
        loaded.model()
