"""Log lines: their form, the fields that they carry, and that both forms are redacted."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept import redact
from wellkept.cli import main
from wellkept.logs import FORMATTERS, ConsoleFormatter, JsonFormatter, log_fields

KEY = "sk_live_51Hnotarealkeyatall"


@contextmanager
def capturing(formatter: logging.Formatter) -> Iterator[io.StringIO]:
    """Write what the root logger gets into a text, as the command line does."""
    out, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    root.addHandler(handler)
    before = root.level
    root.setLevel(logging.INFO)
    try:
        with redact.install():
            yield out
    finally:
        root.setLevel(before)
        root.removeHandler(handler)


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_says_run_instance_and_stream() -> None:
    log = logging.getLogger("wellkept.pipeline")
    with capturing(JsonFormatter()) as out, log_fields(run="r-1"):
        with log_fields(instance="crm", stream="deals"):
            log.warning("slow")
        log.info("done")
    slow, done = objects(out.getvalue())
    assert (slow["run"], slow["instance"], slow["stream"]) == ("r-1", "crm", "deals")
    assert (slow["level"], slow["logger"], slow["message"]) == ("warning", "wellkept.pipeline", "slow")
    assert slow["at"].endswith("Z")
    assert done["run"] == "r-1"
    assert not {"instance", "stream"} & set(done)


def test_a_plugin_s_logger_names_its_instance() -> None:
    with capturing(ConsoleFormatter()) as out, log_fields(run="r-1"):
        logging.getLogger("wellkept.instance.stripe-eu").warning("odd")
        logging.getLogger("other").warning("own", extra={"stream": "s"})
    assert out.getvalue().splitlines() == [
        "WARNING wellkept.instance.stripe-eu: odd [run=r-1 instance=stripe-eu]",
        "WARNING other: own [run=r-1 stream=s]",
    ]


async def test_tasks_beside_each_other_keep_their_fields() -> None:
    log = logging.getLogger("wellkept.test")

    async def one(name: str, gate: asyncio.Event, other: asyncio.Event) -> None:
        with log_fields(instance=name):
            gate.set()
            await other.wait()
            await asyncio.to_thread(log.warning, "x")

    a, b = asyncio.Event(), asyncio.Event()
    with capturing(JsonFormatter()) as out, log_fields(run="r"):
        await asyncio.gather(one("a", a, b), one("b", b, a))
    assert {line["instance"] for line in objects(out.getvalue())} == {"a", "b"}


def test_a_thread_of_somebody_else_has_no_fields() -> None:
    with capturing(JsonFormatter()) as out, log_fields(run="r"):
        thread = threading.Thread(target=logging.getLogger("x").warning, args=("alone",))
        thread.start()
        thread.join()
    assert "run" not in objects(out.getvalue())[0]


@pytest.mark.parametrize("name", ["console", "json"])
def test_no_secret_and_no_person_in_any_form(name: Any) -> None:
    redact.REDACTOR.register("the-very-secret-value")
    with capturing(FORMATTERS[name]()) as out:
        log = logging.getLogger("wellkept.test")
        log.warning("got the-very-secret-value of anna@example.com", extra={"stream": KEY})
        log.error("failed", exc_info=RuntimeError(f"refused {KEY}"))
    text = out.getvalue()
    for secret in ("the-very-secret-value", "anna@example.com", KEY):
        assert secret not in text
    assert "RuntimeError" in text


@given(
    st.lists(
        st.sampled_from(
            ['password="', "'", '"', "\\", "\n", "token: a1b2c3d4e5", "a@b.example", "Authorization: ", "客", "x" * 5, ","]
        )
    )
)
def test_a_line_of_json_stays_json_whatever_is_redacted_in_it(parts: list[str]) -> None:
    with capturing(JsonFormatter()) as out:
        logging.getLogger("wellkept.test").warning("%s", "".join(parts))
    (line,) = objects(out.getvalue())
    assert line["level"] == "warning"


def test_the_command_line_goes_before_the_file(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def lines(*arguments: str) -> str:
        capsys.readouterr()
        assert main(["config", "schema", "-vv", *arguments]) == 0
        logging.getLogger("wellkept.test").debug("unheard")
        return capsys.readouterr().err

    from wellkept.cli import app

    seen: list[type] = []
    before = app.App.begin

    def begin(self: app.App) -> None:
        before(self)
        seen.append(type(logging.getLogger().handlers[-1].formatter))

    monkeypatch.setattr(app.App, "begin", begin)
    (tmp_path / "plugins.toml").write_text('[logging]\nformat = "json"\n')
    lines()
    lines("--log-format", "console")
    (tmp_path / "plugins.toml").write_text("[logging]\n")
    lines()
    lines("--log-format", "json")
    assert seen == [JsonFormatter, ConsoleFormatter, ConsoleFormatter, JsonFormatter]
