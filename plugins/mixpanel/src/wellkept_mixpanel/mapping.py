"""From Mixpanel's profiles to canonical records. A property that Mixpanel reserves begins with ``$``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from wellkept.records import Account, Json, Person
from wellkept_mixpanel.wire import Profile, text_of, texts_of

if TYPE_CHECKING:
    from wellkept_mixpanel.config import MixpanelConfig
    from wellkept_mixpanel.days import Calendar

MOST_CUSTOM = 200
"""Custom properties of a profile that are kept; the first ones by name."""

LONGEST_CUSTOM = 1000
"""Characters of a custom property that is kept."""


def person(profile: Profile, config: MixpanelConfig, calendar: Calendar, version: int) -> Person:
    """Return the person behind a user profile."""
    said = profile.properties
    id_ = text_of(profile.distinct_id)
    companies = companies_of(profile, config)
    name = _text(said, "$name") or " ".join(filter(None, (_text(said, "$first_name"), _text(said, "$last_name")))) or None
    return Person(
        id=id_,
        version=version,
        external_id=id_ if config.distinct_id_is_user_id else None,
        account_ref=companies[0] if companies else None,
        other_account_refs=list(companies[1:]),
        account_external_id=companies[0] if companies and config.group_id_is_account_id else None,
        name=name,
        email=_text(said, "$email"),
        phone=_text(said, "$phone"),
        roles=["user"],
        time_zone=_text(said, "$timezone"),
        created_at=_instant(said, "$created", calendar),
        extra=_custom(said),
    )


def companies_of(profile: Profile, config: MixpanelConfig) -> tuple[str, ...]:
    """Return the group ids that a user profile names, in a fixed order."""
    key = config.company_of_user
    return texts_of(profile.properties.get(key)) if key is not None else ()


def group(profile: Profile, config: MixpanelConfig, calendar: Calendar, version: int) -> Account:
    """Return the account behind a group profile."""
    said = profile.properties
    id_ = text_of(profile.distinct_id)
    domain = _text(said, config.domain_property) if config.domain_property else None
    own_id = text_of(said.get(config.external_id_property)) if config.external_id_property else ""
    return Account(
        id=id_,
        version=version,
        external_id=own_id or (id_ if config.group_id_is_account_id else None),
        name=_text(said, "$name"),
        test=bool(config.test_property and said.get(config.test_property) is True),
        email=_text(said, "$email"),
        phone=_text(said, "$phone"),
        domains=[domain] if domain else [],
        created_at=_instant(said, "$created", calendar),
        extra=_custom(said),
    )


def company(id_: str, config: MixpanelConfig, version: int) -> Account:
    """Return the account of which no more is known than that users or events name it.

    A group id may be the company's name; one with a digit in it rather is a mere id, which must not speak against links.
    """
    ours = config.group_id_is_account_id
    telling = not ours and not any(char.isdigit() for char in id_)
    return Account(id=id_, version=version, external_id=id_ if ours else None, name=id_ if telling else None)


def _text(said: Mapping[str, Json], name: str) -> str | None:
    value = said.get(name)
    return value.strip() or None if isinstance(value, str) else None


def _instant(said: Mapping[str, Json], name: str, calendar: Calendar) -> int | None:
    text = _text(said, name)
    try:
        return None if text is None else calendar.instant(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _custom(said: Mapping[str, Json]) -> dict[str, Any]:
    """Return the customer's own properties that are plain values, or lists of them."""
    own = {name: value for name, value in sorted(said.items()) if not name.startswith("$") and _is_plain(value)}
    return dict(list(own.items())[:MOST_CUSTOM])


def _is_plain(value: Json) -> bool:
    if isinstance(value, list):
        return len(value) <= MOST_CUSTOM and all(_is_plain(item) and not isinstance(item, list) for item in value)
    if isinstance(value, str):
        return len(value) <= LONGEST_CUSTOM
    return isinstance(value, (bool, int, float))
