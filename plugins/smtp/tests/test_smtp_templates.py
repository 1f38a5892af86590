from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wellkept.errors import ConfigError, RejectedError
from wellkept_smtp.templates import Templates, paragraphs

GIVEN = {"account_name": "Acme", "recipient_name": None, "unsubscribe_url": "https://w.example/u"}
OWN: dict[str, dict[str, Any]] = {
    "alert": {"title": "t", "reasons": ["r"], "text": "x"},
    "note": {"title": "t", "text": "x"},
    "task": {"title": "t", "body": "b", "due": "2026-11-22"},
    "payment_failed": {"amount": "12.00 USD", "update_url": "https://pay.example/1", "sender": "Ann"},
    "card_expiring": {"expires": "2026-12-31", "card": "Visa 4242", "update_url": "https://pay.example/1", "sender": "Ann"},
    "tips": {"title": "t", "tips": ["a", "b"], "sender": "Ann"},
}


def test_built_ins_are_complete_in_both_languages() -> None:
    templates = Templates()
    assert set(templates.all) == set(OWN)
    for template in templates.describe():
        assert template.locales == ("en", "zh")
        for locale in template.locales:
            full = templates.render(template.name, locale, {**GIVEN, **OWN[template.name]})
            required = {name: OWN[template.name][name] for name in template.variables}
            bare = templates.render(template.name, locale, {**GIVEN, **required, "account_name": None})
            for rendered in (full, bare):
                assert "None" not in rendered.subject + rendered.text
                assert "{" not in rendered.subject + rendered.text
                assert "\n\n\n" not in rendered.text
                assert f'<html lang="{locale}">' in rendered.html
    assert [item.name for item in templates.describe() if item.purpose == "marketing"] == ["tips"]


@pytest.mark.parametrize(
    ("locale", "found"),
    [("zh", "zh"), ("zh-CN", "zh"), ("zh_CN", "zh"), ("ZH-Hans-CN", "zh"), ("en-GB", "en"), ("de", "en"), ("", "en")],
)
def test_the_nearest_language_is_taken(locale: str, found: str) -> None:
    assert Templates().all["alert"].choose(locale) == found


def write(folder: Path, name: str, text: str) -> Templates:
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return Templates(folder)


HEAD = 'purpose = "transactional"\nvariables = ["who"]\n[en]\nsubject = "s"\n'


def test_own_templates_come_first(tmp_path: Path) -> None:
    write(tmp_path, "alert", HEAD + "text = 'mine, {{ who }}'")
    templates = write(tmp_path, "hello", HEAD + "text = 'hello {{ who }}'\nhtml = '<b>{{ who }}</b>'")
    assert set(templates.all) == {*OWN, "hello"}
    assert templates.render("alert", "zh", {**GIVEN, "who": "you"}).text == "mine, you\n"
    rendered = templates.render("hello", "en", {**GIVEN, "who": "<i>&"})
    assert rendered.text == "hello <i>&\n"
    assert "<b>&lt;i&gt;&amp;</b>" in rendered.html


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[en]\nsubject = ''\ntext = ''", "purpose"),
        ('purpose = "spam"\n[en]\nsubject = ""\ntext = ""', "purpose"),
        ('purpose = "transactional"\n', "no language"),
        ('purpose = "transactional"\nfoo = 1\n[en]\nsubject = ""\ntext = ""', "foo"),
        ('purpose = "transactional"\n[en]\nsubject = ""\ntext = ""\nbody = ""', "body"),
        ('purpose = "transactional"\n[en]\nsubject = ""', "text"),
        ('purpose = "transactional"\n[klingon_]\nsubject = ""\ntext = ""', "not a language tag"),
        (HEAD + "text = '{{ what }}'", "uses 'what'"),
        (HEAD + "text = '{% if %}'", "line 1"),
        (HEAD.replace("transactional", "marketing") + "text = '{{ who }}'", "how to unsubscribe"),
        (HEAD.replace("transactional", "marketing") + "text = '{{ unsubscribe_url }}'\nhtml = 'x'", "how to unsubscribe"),
        ("purpose = ", "not a TOML file"),
    ],
)
def test_a_wrong_template_is_found_when_it_is_read(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        write(tmp_path, "broken", text).describe()
    assert caught.value.path == tmp_path / "broken.toml"


def test_names_and_folders(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name is made of"):
        write(tmp_path, "Not good", HEAD + "text = ''").describe()
    with pytest.raises(ConfigError, match="does not exist"):
        Templates(tmp_path / "none").describe()


@pytest.mark.parametrize(
    "source",
    [
        "{{ who.__class__.__mro__ }}",
        "{{ ''.__class__ }}",
        "{{ who.append(1) }}",
        "{{ who.format('x').__init__.__globals__ }}",
        "{% for i in range(10000000) %}x{% endfor %}",
        "{% include 'x' %}",
        "{{ 1 // 0 }}",
    ],
)
def test_the_sandbox_holds(tmp_path: Path, source: str) -> None:
    templates = write(tmp_path, "sly", HEAD + f'text = "{source}"')
    with pytest.raises(RejectedError) as caught:
        templates.render("sly", "en", {**GIVEN, "who": ["secret value"]})
    assert "secret value" not in str(caught.value)


def test_text_becomes_html() -> None:
    made = paragraphs("a <b> & c\nsecond line\n\nsee https://w.example/x?a=1&b=2.")
    assert made == (
        "<p>a &lt;b&gt; &amp; c<br>\nsecond line</p>\n"
        '<p>see <a href="https://w.example/x?a=1&amp;b=2">https://w.example/x?a=1&amp;b=2</a>.</p>'
    )


def test_a_subject_is_one_short_line(tmp_path: Path) -> None:
    templates = write(tmp_path, "long", HEAD.replace('"s"', '"{{ who }}"') + "text = 'x'")
    assert templates.render("long", "en", {**GIVEN, "who": "a\r\nBcc: b"}).subject == "a Bcc: b"
    assert len(templates.render("long", "en", {**GIVEN, "who": "x" * 999}).subject) == 200
    with pytest.raises(RejectedError, match="no subject"):
        templates.render("long", "en", {**GIVEN, "who": "\n"})
