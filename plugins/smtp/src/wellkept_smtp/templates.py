"""Templates: one TOML file each, with its languages in tables.

::

    purpose = "transactional"           # or "marketing": needs consent, and must show unsubscribe_url
    variables = ["title"]               # what a policy must give
    optional = ["reasons"]              # what it may give: ask {% if reasons is defined %}

    [en]                                # the first language is the default
    subject = "{{ title }}"
    text = '''
    Hello{% if recipient_name %} {{ recipient_name }}{% endif %}, ...
    '''
    html = '<p>...</p>'                 # made from the text when left out

Besides its variables a template may use `account_name`, `recipient_name` (both may be None) and `unsubscribe_url`. Jinja runs
in its sandbox, and a variable that is missing is an error, never an empty place.
"""

from __future__ import annotations

import html
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from wellkept import Template
from wellkept.errors import ConfigError, RejectedError
from wellkept_smtp.addresses import one_line

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

GIVEN = frozenset({"account_name", "recipient_name", "unsubscribe_url"})
"""What every template may use beside its own variables."""

LONGEST_SUBJECT = 200
"""Characters; what is longer is cut."""

_PAGE = """\
<!doctype html>
<html lang="{locale}">
<head><meta charset="utf-8"></head>
<body>
{body}
</body>
</html>
"""

_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]")


class Wording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A template in one language; all three are Jinja."""

    subject: str
    text: str
    html: str | None = None


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A message ready to be composed."""

    locale: str
    subject: str
    text: str
    html: str


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    purpose: Literal["transactional", "marketing"]
    variables: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


class MailTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """One template in all its languages, the default first."""

    name: str
    purpose: Literal["transactional", "marketing"]
    variables: tuple[str, ...]
    optional: tuple[str, ...]
    wordings: Mapping[str, Wording]

    def choose(self, locale: str) -> str:
        """Return the best language there is for a BCP 47 tag: ``zh-Hans-CN``, then ``zh-Hans``, ``zh``, then the default."""
        known = {name.lower(): name for name in self.wordings}
        wanted = locale.replace("_", "-").lower()
        while wanted:
            if wanted in known:
                return known[wanted]
            wanted = wanted.rpartition("-")[0]
        return next(iter(self.wordings))


class Templates:
    """The built-in templates, and those of a folder, which come first.

    Args:
        folder: The user's own templates.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    @cached_property
    def all(self) -> Mapping[str, MailTemplate]:
        """Every template by name; each was read, parsed and checked.

        Raises:
            ConfigError: A template of the user's cannot be used; names file and place.
        """
        built_in = resources.files("wellkept_smtp") / "templates"
        return {name: self._read(name, file) for name, file in {**dict(_files(built_in)), **self._own()}.items()}

    def describe(self) -> list[Template]:
        """Return what core wants to know of them."""
        return [
            Template(name=item.name, purpose=item.purpose, locales=tuple(item.wordings), variables=item.variables)
            for item in self.all.values()
        ]

    def render(self, name: str, locale: str, values: Mapping[str, Any]) -> Rendered:
        """Fill a template in.

        Raises:
            RejectedError: There is no such template, or it cannot be filled in with these values. Names no values.
        """
        import jinja2

        template = self.all.get(name)
        if template is None:
            raise RejectedError(f"there is no template {name!r}", guidance=f"there are: {', '.join(sorted(self.all))}")
        locale = template.choose(locale)
        wording = template.wordings[locale]
        try:
            subject = one_line(self._plain.from_string(wording.subject).render(values))[:LONGEST_SUBJECT]
            text = self._plain.from_string(wording.text).render(values).strip() + "\n"
            body = paragraphs(text) if wording.html is None else self._escaping.from_string(wording.html).render(values)
        except jinja2.UndefinedError as error:
            raise RejectedError(f"template {name!r} ({locale}): {error.message}") from None
        except Exception as error:  # noqa: BLE001 - a template is a program; its errors might quote values
            raise RejectedError(f"template {name!r} ({locale}) cannot be filled in: {type(error).__name__}") from None
        if not subject:
            raise RejectedError(f"template {name!r} ({locale}) has no subject")
        page = _PAGE.format(locale=locale, body=body.strip())
        return Rendered(locale=locale, subject=subject, text=text, html=page)

    def _own(self) -> dict[str, Traversable]:
        if self._folder is None:
            return {}
        if not self._folder.is_dir():
            raise ConfigError(f"the folder of templates {self._folder} does not exist", key="templates")
        return dict(_files(self._folder))

    def _read(self, name: str, file: Traversable) -> MailTemplate:
        path = Path(str(file))
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"not a TOML file: {error}", path=path) from None
        tables = {key: value for key, value in document.items() if isinstance(value, dict)}
        try:
            head = msgspec.convert({key: value for key, value in document.items() if key not in tables}, _Head)
            wordings = msgspec.convert(tables, dict[str, Wording])
        except msgspec.ValidationError as error:
            raise ConfigError(str(error), path=path) from None
        template = MailTemplate(
            name=name, purpose=head.purpose, variables=head.variables, optional=head.optional, wordings=wordings
        )
        self._check(template, path)
        return template

    def _check(self, template: MailTemplate, path: Path) -> None:
        """Complain about what could only fail when a message is sent."""
        if not _NAME.fullmatch(template.name):
            raise ConfigError("a template's name is made of a-z, 0-9, _ and -", path=path, guidance="rename the file")
        if not template.wordings:
            raise ConfigError("no language", path=path, guidance="add a table such as [en] with subject and text")
        for locale, wording in template.wordings.items():
            if not _LOCALE.fullmatch(locale):
                raise ConfigError("not a language tag", path=path, key=locale, guidance="use a tag such as 'en' or 'zh-TW'")
            for part in ("subject", "text", "html"):
                source = getattr(wording, part)
                if source is None:
                    continue
                used = self._variables(source, path, f"{locale}.{part}")
                unknown = sorted(used - GIVEN - {*template.variables, *template.optional})
                if unknown:
                    raise ConfigError(
                        f"uses {unknown[0]!r}",
                        path=path,
                        key=f"{locale}.{part}",
                        guidance="list it under `variables` or `optional`",
                    )
                if template.purpose == "marketing" and part != "subject" and "unsubscribe_url" not in used:
                    raise ConfigError(
                        "a marketing message must show how to unsubscribe",
                        path=path,
                        key=f"{locale}.{part}",
                        guidance="use {{ unsubscribe_url }} in it",
                    )

    def _variables(self, source: str, path: Path, key: str) -> set[str]:
        from jinja2 import TemplateSyntaxError, meta

        try:
            return meta.find_undeclared_variables(self._plain.parse(source))
        except TemplateSyntaxError as error:
            raise ConfigError(f"line {error.lineno}: {error.message}", path=path, key=key) from None

    @cached_property
    def _plain(self) -> ImmutableSandboxedEnvironment:
        return _environment(autoescape=False)

    @cached_property
    def _escaping(self) -> ImmutableSandboxedEnvironment:
        return _environment(autoescape=True)


def _environment(*, autoescape: bool) -> ImmutableSandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )


def _files(folder: Traversable) -> Iterator[tuple[str, Traversable]]:
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        if file.name.endswith(".toml"):
            yield file.name.removesuffix(".toml"), file


def paragraphs(text: str) -> str:
    """Return plain text as HTML: escaped, blank lines part paragraphs, addresses of web pages become links."""
    blocks = re.split(r"\n\s*\n", text.strip())
    broken = ("<br>\n".join(_linked(line) for line in block.splitlines()) for block in blocks)
    return "\n".join(f"<p>{lines}</p>" for lines in broken)


def _linked(line: str) -> str:
    parts, end = [], 0
    for match in _URL.finditer(line):
        url = html.escape(match[0])
        parts += [html.escape(line[end : match.start()]), f'<a href="{url}">{url}</a>']
        end = match.end()
    return "".join([*parts, html.escape(line[end:])])
