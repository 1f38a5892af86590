"""What will go is told to those who use it: by plugin, by hook or name, and with the version that removes it; once per run."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wellkept
from wellkept import deprecation
from wellkept.deprecation import REGISTER, Deprecated, deprecated
from wellkept.hookspecs import API
from wellkept.plugins import load_named
from wellkept.runtime import Runtime
from wellkept.steps import Steps
from wellkept.testing import FakeClock

Install = Callable[..., None]
DOC = Path(__file__).resolve().parents[2] / "docs" / "writing-a-plugin.md"
SOURCES = "@hookimpl\ndef sources(self, ctx):\n    return []"


@pytest.fixture(autouse=True)
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Deprecated]]:
    """The register, restored afterwards."""
    before = dict(REGISTER)
    deprecation.forget()
    yield REGISTER
    REGISTER.clear()
    REGISTER.update(before)
    deprecation.forget()


def leaving(name: str) -> None:
    REGISTER[name] = Deprecated(name, "1.3", "2.0", "use the hook 'records'")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "wellkept.deprecation"]


def test_whatever_is_entered_is_documented_and_goes_with_a_later_major_version(register: dict[str, Deprecated]) -> None:
    text = DOC.read_text(encoding="utf-8")
    for name, found in register.items():
        assert found.name == name
        assert re.fullmatch(r"\d+\.\d+", found.since)
        assert re.fullmatch(r"\d+\.0", found.removal)
        assert tuple(map(int, found.removal.split("."))) > API
        assert f"`{name}`" in text, f"docs/writing-a-plugin.md does not say what to use instead of {name}"
    assert {name.rpartition(".")[2] for name in register if name.startswith("wellkept.")} >= wellkept._LEAVING


@pytest.mark.parametrize("name", ["hook sources", "hook sources(ctx)"])
def test_a_deprecated_hook_is_told_when_it_is_loaded(install: Install, caplog: pytest.LogCaptureFixture, name: str) -> None:
    leaving(name)
    install("user", SOURCES)
    install("other")
    plugins = load_named(["user", "other"])
    expected = f"{name} is deprecated since plugin API 1.3 and goes with 2.0"
    assert warnings(caplog) == [f"plugin user [wellkept-user 1.0]: {expected}: use the hook 'records'"]
    [remark] = plugins.remarks
    assert (remark.stage, remark.plugin, remark.distribution, remark.reason) == (
        "deprecated", "user", "wellkept-user 1.0", expected,
    )  # fmt: skip
    assert remark.mend == "use the hook 'records'"
    assert plugins.problems == []
    assert list(plugins.loaded) == ["user", "other"]


def test_an_argument_that_a_hook_does_not_take_is_not_told(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    leaving("hook sources(ctx)")
    install("user", "@hookimpl\ndef sources(self):\n    return []")
    assert load_named(["user"]).remarks == []
    assert warnings(caplog) == []


def test_once_per_run_and_again_in_the_next(install: Install, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    leaving("hook sources")
    install("user", SOURCES)
    path = tmp_path / "plugins.toml"
    path.write_text("[plugins.user]\n", encoding="utf-8")
    with Runtime.open(path, clock=FakeClock()) as runtime:
        asyncio.run(Steps(runtime).sync())
        assert len(warnings(caplog)) == 1
        asyncio.run(Steps(runtime).sync())
        assert len(warnings(caplog)) == 2


def test_a_call_of_something_deprecated_is_told_with_its_place(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    @deprecated("wellkept.http.walk", since="1.1", removal="2.0", instead="call pages()")
    def walk(number: int) -> int:
        calls.append(number)
        return number + 1

    install(
        "user", "@hookimpl\ndef sources(self):\n    import wellkept\n    return wellkept.walk(1) and wellkept.walk(2) and []"
    )
    try:
        wellkept.walk = walk  # type: ignore[attr-defined]
        load_named(["user"]).collect("user", "sources", ctx=object())  # type: ignore[arg-type]
    finally:
        del wellkept.walk  # type: ignore[attr-defined]
    [line] = warnings(caplog)
    assert line.startswith("plugin user [wellkept-user 1.0]: wellkept.http.walk is deprecated since plugin API 1.1 and goes")
    assert "(used at wellkept_user_1_0_module.py:" in line
    assert line.endswith(": call pages()")
    assert calls == [1, 2]


def test_core_itself_is_told_nothing(caplog: pytest.LogCaptureFixture) -> None:
    @deprecated("wellkept.http.walk", since="1.1", removal="2.0", instead="call pages()")
    def walk() -> str:
        """Walk."""
        return "done"

    assert (walk(), walk.__doc__) == ("done", "Walk.")
    assert warnings(caplog) == []


def test_a_public_name_that_will_go_still_works_and_is_told(
    install: Install, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving("wellkept.Gap")
    monkeypatch.setattr(wellkept, "_LEAVING", frozenset({"Gap"}))
    monkeypatch.delitem(vars(wellkept), "Gap", raising=False)
    install("user", "@hookimpl\ndef sources(self):\n    from wellkept import Gap\n    assert Gap\n    return []")
    for _ in range(2):
        assert load_named(["user"]).collect("user", "sources", ctx=object()) == []  # type: ignore[arg-type]
    [line] = warnings(caplog)
    assert "plugin user [wellkept-user 1.0]: wellkept.Gap is deprecated" in line


def test_imports_are_found_without_running_anything(tmp_path: Path) -> None:
    leaving("wellkept.http.Basic")
    leaving("wellkept.Gap")
    (tmp_path / "one.py").write_text("from wellkept.http import Basic, Bearer\nraise SystemExit", encoding="utf-8")
    (tmp_path / "two.py").write_text("import wellkept\nx = wellkept.Gap", encoding="utf-8")
    (tmp_path / "broken.py").write_text("def (:", encoding="utf-8")
    assert [item.name for item in deprecation.imported_by(tmp_path)] == ["wellkept.Gap", "wellkept.http.Basic"]


def test_a_hook_specification_may_be_marked() -> None:
    from wellkept.hookspecs import hookspec

    class Spec:
        @deprecated("hook old", since="1.1", removal="2.0", instead="use the hook 'new'")
        @hookspec
        def old(self, ctx: Any) -> None:
            """Old."""

    import pluggy

    manager = pluggy.PluginManager("wellkept")
    manager.add_hookspecs(Spec)
    assert tuple(manager.hook.old.spec.argnames) == ("ctx",)
