"""No registered secret survives in what is logged, in any encoding; shapes of secrets and personal data neither."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import re
import traceback
import urllib.parse
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wellkept.errors import ConfigError, RetryableError
from wellkept.redact import LIMIT, MASK, RedactingFilter, RedactingFormatter, Redactor, install

SECRETS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=24),
    st.text("ab*'\"\\/&<+=%\n", min_size=4, max_size=10),
    st.from_regex(r"[A-Za-z0-9_./+=-]{8,40}", fullmatch=True),
).filter(lambda value: len(value.strip()) >= 4)
AROUND = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)

ENCODERS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": lambda text: json.dumps({"k": text}),
    "json utf-8": lambda text: json.dumps([text], ensure_ascii=False),
    "json, slashes escaped": lambda text: json.dumps(text).replace("/", "\\/"),
    "json in json": lambda text: json.dumps(json.dumps({"k": text}, ensure_ascii=False), ensure_ascii=False),
    "repr": repr,
    "repr with both quotes": lambda text: repr(f"'\"{text}"),
    "ascii": ascii,
    "bytes": lambda text: repr(text.encode()),
    "bytes with both quotes": lambda text: repr(b"'\"" + text.encode()),
    "dict": lambda text: str({"k": [text]}),
    "url": urllib.parse.quote,
    "url, all": lambda text: urllib.parse.quote(text, safe=""),
    "url, lower": lambda text: re.sub("%..", lambda match: match[0].lower(), urllib.parse.quote(text, safe="")),
    "form": lambda text: urllib.parse.urlencode({"k": text}),
    "html": html.escape,
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
}


def registered(*values: str) -> Redactor:
    redactor = Redactor()
    for value in values:
        redactor.register(value)
    return redactor


@settings(max_examples=150, deadline=None)
@given(SECRETS, AROUND, AROUND)
@example("a***", "a", "")
@example("****", "", "")
@example("-----BEGIN KEY-----\nabcdefghijklmnop\n-----END KEY-----\n", "", "")
def test_no_encoding_of_a_secret_survives(secret: str, before: str, after: str) -> None:
    redactor = registered(secret)
    for name, encode in ENCODERS.items():
        encoded = encode(secret)
        clean = redactor.text(f"{before} {encoded} {after}")
        assert secret not in clean, name
        assert encoded not in clean, name


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=5), st.from_regex(r"[A-Za-z0-9_]{10,30}", fullmatch=True), st.binary(max_size=5))
def test_base64_of_something_around_a_secret_gives_none_of_it_away(before: bytes, secret: str, after: bytes) -> None:
    """As in HTTP's Basic scheme: what is left must not decode to more than a few of its characters."""
    redactor = registered(secret)
    whole = base64.b64encode(before + secret.encode() + after).decode()
    clean = redactor.text(whole)
    assert MASK in clean
    left = sum(len(part.rstrip("=")) for part in clean.split(MASK)) * 6 // 8
    assert left <= len(before) + len(after) + 4


@settings(max_examples=100, deadline=None)
@given(st.lists(SECRETS, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_secrets_that_overlap_do_not_shield_each_other(secrets: list[str], random: object) -> None:
    redactor = registered(*secrets)
    text = "".join(secrets) + " ".join(reversed(secrets)) + secrets[0][:-1] + secrets[1]
    clean = redactor.text(text)
    assert not [secret for secret in secrets if secret in clean]


class _Log:
    """Loggers as other libraries have them: with handlers and formatters of their own."""

    def __init__(self, name: str, formatter: logging.Formatter | None = None) -> None:
        self.stream = io.StringIO()
        self.logger = logging.getLogger(name)
        self.logger.setLevel(logging.DEBUG)
        self.logger.propagate = False
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(formatter)
        self.logger.addHandler(self.handler)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def close(self) -> None:
        self.logger.removeHandler(self.handler)


def _fail() -> None:
    raise ValueError("bad key correct-horse") from RuntimeError("cause: correct-horse")


@pytest.fixture
def foreign() -> Iterator[_Log]:
    log = _Log("somebody.elses.library", logging.Formatter("%(name)s %(message)s %(args)s"))
    yield log
    log.close()


def test_other_libraries_loggers_are_redacted_arguments_and_tracebacks_included(foreign: _Log) -> None:
    redactor = registered("correct-horse")
    with install(redactor):
        foreign.logger.warning("calling with %s and %r", "correct-horse", {"Authorization": "Bearer abc123456"})
        try:
            _fail()
        except ValueError:
            foreign.logger.exception("failed for %s", "correct-horse")
        foreign.logger.error("stack", stack_info=True)
    assert "correct-horse" not in foreign.text
    assert "abc123456" not in foreign.text
    assert "ValueError: bad key ***" in foreign.text
    assert "RuntimeError: cause: ***" in foreign.text


def test_a_handler_added_while_installed_and_one_that_reads_exc_info_see_nothing(foreign: _Log) -> None:
    class Peeking(logging.Handler):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[str] = []

        def emit(self, record: logging.LogRecord) -> None:
            self.seen.append(repr(vars(record)))
            if record.exc_info and record.exc_info[1]:
                self.seen.append("".join(traceback.format_exception(record.exc_info[1])))

    redactor = registered("correct-horse")
    peeking = Peeking()
    with install(redactor):
        foreign.logger.addHandler(peeking)
        try:
            _fail()
        except ValueError:
            foreign.logger.exception("x %s", ["correct-horse"])
    foreign.logger.removeHandler(peeking)
    assert len(peeking.seen) == 1
    assert "correct-horse" not in peeking.seen[0]


def test_a_wrong_number_of_arguments_does_not_print_them(foreign: _Log) -> None:
    with install(registered("correct-horse")):
        foreign.logger.warning("only %s", "one", "correct-horse")  # noqa: PLE1205 - the mistake at hand
    assert "correct-horse" not in foreign.text
    assert "arguments do not fit" in foreign.text


def test_extra_fields_are_redacted_by_formatter_and_filter() -> None:
    redactor = registered("correct-horse")
    formatted = _Log("ours", RedactingFormatter(logging.Formatter("%(message)s %(detail)s"), redactor))
    filtered = _Log("theirs", logging.Formatter("%(message)s %(detail)s"))
    filtered.handler.addFilter(RedactingFilter(redactor))
    for log in (formatted, filtered):
        log.logger.warning("correct-horse %s", "x", extra={"detail": {"key": ["correct-horse"]}})
        log.close()
        assert log.text == "*** x {'key': ['***']}\n"


def test_root_handlers_are_redacted_and_given_back() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    formatter = logging.Formatter("%(message)s %(secret_extra)s")
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.addHandler(handler)
    factory = logging.getLogRecordFactory()
    try:
        with install(registered("correct-horse")), install(registered("correct-horse")):
            root.warning("m", extra={"secret_extra": "correct-horse"})
    finally:
        root.removeHandler(handler)
    assert stream.getvalue() == "m ***\n"
    assert handler.formatter is formatter
    assert handler.filters == []
    assert logging.getLogRecordFactory() is factory


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("{'Authorization': 'Basic dXNlcjpwYXNz', 'Accept': 'x'}", "{'Authorization': ***, 'Accept': 'x'}"),
        ("(b'authorization', b'Bearer plainwords')", "(b'authorization', ***)"),
        ("got Bearer ya29.a0AfH6SMBx_1 back", "got Bearer *** back"),
        ("sk_live_4eC39HqLyjWDarjtT1zdp7dc and rk_test_12345678", "*** and ***"),
        ("whsec_abcdefgh12345678", "***"),
        ("pi_3MtwBwLkdIwHu7ix28a3tqPa_secret_YrKJUKribcBjcG8HVhfZluoGH", "***"),
        ("xoxb-123456789012-abcdefghijkl", "***"),
        ("pat-na1-11111111-2222-3333-4444-555555555555", "***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "***"),
        ("AKIAIOSFODNN7EXAMPLE", "***"),
        ("https://user:pa%20ss@host/path", "https://***@host/path"),
        ("postgresql://u:p@db:5432/x", "postgresql://***@db:5432/x"),
        ('{"api_key": "abc", "n": 1}', '{"api_key": ***, "n": 1}'),
        ('{"client_secret":"a\\"b","n":1}', '{"client_secret":***,"n":1}'),
        ("GET /x?access_token=abc&page=2", "GET /x?access_token=***&page=2"),
        ("connect(password='it\\'s', user='x')", "connect(password=***, user='x')"),
        ("smtp_password: hunter2hunter2", "smtp_password: ***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "***"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE and the rest is cut off", "***"),
        ("mail to Ada.Lovelace+x@example.co.uk now", "mail to *** now"),
        ("user=ada%40example.com&x=1", "user=***&x=1"),
        ("用户 张三@例子.公司 登录", "用户 *** 登录"),
        ("card 4242424242424242 used", "card *** used"),
        ("card 4242 4242 4242 4242 12/30", "card *** 12/30"),
        ("3 4242-4242-4242-4242 5", "3 *** 5"),
        ("amex 378282246310005.", "amex ***."),
    ],
)
def test_shapes_are_recognised(text: str, clean: str) -> None:
    assert Redactor().text(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "plugins.toml:3: plugins.stripe.api_key: write a reference such as 'env:NAME' or 'file:path', never the secret itself",
        "api_key = env:STRIPE_API_KEY and token='file:secrets/x'",
        "the token expired; basic authentication is off; Bearer tokens are used",
        "at 1795219200000 read 4242424242424241 rows of in_1MtHbELkdIwHu7ixl4OzzPMv, pi_3MtwBwLkdIwHu7ix28a3tqPa",
        "0.4242424242424242 and 2026-11-21T00:00:00Z and 00000000-0000-4000-8000-000000000000",
        "pip install wellkept-stripe==0.1.0 --index-url https://host:8080/simple",
    ],
)
def test_ordinary_texts_are_left_alone(text: str) -> None:
    assert Redactor().text(text) == text


def test_an_exception_becomes_one_redacted_line() -> None:
    redactor = registered("correct-horse")

    class OddError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("correct-horse")

    assert redactor.exception(ValueError("a\nb correct-horse")) == "ValueError: a b ***"
    assert redactor.exception(RetryableError("vendor: correct-horse")) == "vendor: ***"
    assert redactor.exception(ConfigError("m", key="k", guidance="do correct-horse")) == "k: m (do ***)"
    assert redactor.exception(KeyboardInterrupt()) == "KeyboardInterrupt"
    assert redactor.exception(OddError()) == "OddError"


def test_data_is_redacted_at_every_depth() -> None:
    redactor = registered("correct-horse")
    value = {"correct-horse": [{"x": ("correct-horse", 1, None, True)}]}
    assert redactor.data(value) == {MASK: [{"x": [MASK, 1, None, True]}]}


def test_masking_a_shape_does_not_make_a_secret() -> None:
    assert registered("id ***!").text("id ada@example.com!") == "***"


def test_a_short_value_is_not_registered() -> None:
    assert registered("abc").text("abc") == "abc"


def test_of_very_many_values_those_used_last_are_remembered() -> None:
    redactor = registered("the-static-key", *(f"rotated-token-{number}" for number in range(LIMIT - 1)))
    redactor.register("the-static-key")
    redactor.register("one-token-more")
    text = "the-static-key one-token-more rotated-token-0 rotated-token-1"
    assert redactor.text(text) == "*** *** rotated-token-0 ***"


def test_what_is_registered_meanwhile_can_be_forgotten() -> None:
    redactor = Redactor()
    redactor.register("known-before")
    with redactor.forgetting():
        redactor.register("known-meanwhile")
        assert redactor.text("known-before known-meanwhile") == "*** ***"
    assert redactor.text("known-before known-meanwhile") == "*** known-meanwhile"
