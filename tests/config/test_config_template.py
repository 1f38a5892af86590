"""A first configuration from what plugins say of their own keys: valid, commented, without secrets."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from wellkept import PluginInfo
from wellkept.config import loads, validate
from wellkept.config.template import Choice, questions, render, suggested_reference
from wellkept.secrets import Secret


class Mode(Enum):
    FAST = "fast"


class Inner(BaseModel):
    share: Decimal = Decimal("0.50")
    maybe: int | None = None


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
    api_key: Secret
    """A restricted key.
    It can only read."""
    webhook_secret: Secret | None = None
    host: str = Field(examples=["mail.example"])
    """The server."""
    port: int = 25
    sender: str
    mode: Mode = Mode.FAST
    tags: list[str] = ["a", 'b"\x7f']
    nested: dict[str, int] = {"a b": 1, "c": 2}
    inner: Inner = Inner()
    odd: set[int] = {1}
    folder: Path = Path("somewhere")
    asked: str = Field(alias="as-asked", default="x")


INFO = PluginInfo(name="my-vendor", api="1.0", summary="Talks to a vendor.")


def test_the_file_is_valid_and_has_references_examples_and_comments() -> None:
    text = render([Choice(info=INFO, model=Model, answers={"sender": 'A "b" <a@b.example>'})])
    config = loads(text, Path("plugins.toml"), strict=True)
    model, errors = validate(config, config.tables["my-vendor"], Model)
    assert errors == []
    assert isinstance(model, Model)
    assert model.api_key.reference == "env:MY_VENDOR_API_KEY"
    assert (model.host, model.sender, model.webhook_secret) == ("mail.example", 'A "b" <a@b.example>', None)
    for line in (
        "# Talks to a vendor.",
        "# A restricted key.",
        "# It can only read.",
        '# webhook_secret = "env:MY_VENDOR_WEBHOOK_SECRET"',
        "# port = 25",
        '# mode = "fast"',
        '# tags = ["a", "b\\"\\u007f"]',
        '# folder = "somewhere"',
        '# as-asked = "x"',
        '# nested = { "a b" = 1, "c" = 2 }',
        '# inner = { "share" = 0.50 }',
        "# odd = ...",
    ):
        assert line in text.splitlines()


def test_every_commented_default_is_what_holds_without_it() -> None:
    text = render([Choice(info=INFO, model=Model, answers={"sender": "s"})])
    switched_on = text.replace("\n# port", "\nport").replace("\n# mode", "\nmode").replace("\n# tags", "\ntags")
    switched_on = switched_on.replace("\n# nested", "\nnested").replace("\n# inner", "\ninner")
    plain, errors = validate(loads(text, Path("p")), loads(text, Path("p")).tables["my-vendor"], Model)
    explicit, more = validate(loads(switched_on, Path("p")), loads(switched_on, Path("p")).tables["my-vendor"], Model)
    assert errors == more == []
    assert plain == explicit


def test_what_nobody_answered_is_named_as_required() -> None:
    text = render([Choice(info=INFO, model=Model)])
    assert "# sender = ...  # required" in text.splitlines()
    config = loads(text, Path("plugins.toml"))
    [error] = validate(config, config.tables["my-vendor"], Model)[1]
    assert error.key == "plugins.my-vendor.sender"


def test_only_keys_without_a_default_are_asked_for() -> None:
    assert list(questions(Model)) == ["api_key", "host", "sender"]
    assert questions(None) == {}


def test_references_are_valid_variable_names() -> None:
    assert suggested_reference("env-thing", "api_key") == "env:ENV_THING_API_KEY"


def test_without_plugins_it_is_still_a_configuration() -> None:
    assert loads(render([]), Path("p"), strict=True).tables == {}
