"""Unsubscription: core makes the link of a marketing message, and answers it."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wellkept.store import messages

if TYPE_CHECKING:
    from wellkept.clock import Clock
    from wellkept.context import Signer
    from wellkept.store.engine import Store

PURPOSE = "unsubscribe"
"""What the links are signed for. They hold the address's keyed hash, never the address: links end up in logs."""

PATH = "/unsubscribe/"

Language = Literal["en", "zh"]
What = Literal["ask", "done", "bad"]


def link(public_url: str, signer: Signer, address_digest: str) -> str:
    """Return the link for one address. It never expires: an old mail must still be a way out."""
    return f"{public_url.rstrip('/')}{PATH}{signer.sign(PURPOSE, address_digest)}"


async def accept(store: Store, signer: Signer, clock: Clock, token: str) -> bool:
    """Suppress marketing to the address that a link was made for; durable when it returns. False for a forged link."""
    now = clock.now()
    digest = signer.verify(PURPOSE, token, now=now)
    if digest is None:
        return False
    await store.write(lambda tx: messages.suppress(tx, digest, scope="marketing", reason="unsubscribed", now=now), durable=True)
    return True


@dataclass(frozen=True, kw_only=True)
class Page:
    """An answer to whoever follows a link."""

    status: int
    body: str
    headers: Mapping[str, str]


async def answer(store: Store, signer: Signer, clock: Clock, *, method: str, token: str, languages: str) -> Page:
    """Answer a request for a link.

    GET shows a form and changes nothing, because mail scanners follow links. POST unsubscribes, from the form or in one click
    by the mail program (RFC 8058), which sends ``List-Unsubscribe=One-Click`` and no cookies: the link says everything.

    Args:
        store: The store.
        signer: The signer that made the links.
        clock: The only clock.
        method: ``GET``, ``HEAD`` or ``POST``.
        token: The link's last part.
        languages: The Accept-Language header.
    """
    language = language_of(languages)
    if method == "POST":
        return _page(language, "done") if await accept(store, signer, clock, token) else _page(language, "bad")
    genuine = signer.verify(PURPOSE, token, now=clock.now()) is not None
    return _page(language, "ask" if genuine else "bad")


def language_of(accepted: str) -> Language:
    """Choose between English and Chinese by an Accept-Language header (RFC 9110, section 12.5.4); English in doubt."""
    best: tuple[float, Language] = (0.0, "en")
    for part in accepted.split(","):
        tag, _, parameters = part.partition(";")
        primary = tag.strip().lower().partition("-")[0]
        name, _, value = parameters.partition("=")
        try:
            weight = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            weight = 0.0
        if primary == "zh" and weight > best[0]:
            best = (weight, "zh")
        elif primary in {"en", "*"} and weight > best[0]:
            best = (weight, "en")
    return best[1]


_STATUS: Mapping[What, int] = {"ask": 200, "done": 200, "bad": 404}
_TAG: Mapping[Language, str] = {"en": "en", "zh": "zh-Hans"}
_BUTTON: Mapping[Language, str] = {"en": "Stop these messages", "zh": "停止接收"}
_TEXTS: Mapping[Language, Mapping[What, tuple[str, str]]] = {
    "en": {
        "ask": ("Unsubscribe", "Press the button to stop these messages. Messages about your account and payments still come."),
        "done": ("You are unsubscribed", "You will get no more of these messages. You can close this page."),
        "bad": ("This link is not valid", "It is incomplete or damaged. Please copy the whole link from the message."),
    },
    "zh": {
        "ask": ("退订", "点击按钮即可不再接收此类邮件。与您的账户和付款有关的邮件仍会发送。"),
        "done": ("退订成功", "您将不再收到此类邮件。您可以关闭本页面。"),
        "bad": ("链接无效", "链接不完整或已损坏。请从邮件中复制完整的链接。"),
    },
}
_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "Vary": "Accept-Language",
}
_PAGE = """<!doctype html>
<html lang="{tag}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1.125rem/1.6 system-ui, sans-serif; max-width: 32rem; margin: 15vh auto; padding: 0 1rem }}
button {{ font: inherit; padding: .6rem 1.4rem; min-height: 2.75rem; cursor: pointer }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p role="status">{text}</p>
{form}</main>
</body>
</html>
"""
_FORM = '<form method="post"><button type="submit">{button}</button></form>\n'


def _page(language: Language, what: What) -> Page:
    title, text = (html.escape(part) for part in _TEXTS[language][what])
    form = _FORM.format(button=html.escape(_BUTTON[language])) if what == "ask" else ""
    body = _PAGE.format(tag=_TAG[language], title=title, text=text, form=form)
    return Page(status=_STATUS[what], body=body, headers={**_HEADERS, "Content-Language": _TAG[language]})
