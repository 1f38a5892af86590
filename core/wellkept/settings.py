"""The core's own tables of `plugins.toml`, as pydantic models: what a person may write, with its defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from wellkept.errors import ConfigError
from wellkept.place import password_in
from wellkept.redact import REDACTOR
from wellkept.secrets import BUILT_IN, Secret


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone; use a name such as 'Europe/Berlin'") from error
    return name


def _base_url(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("write the address that this installation has outside, as in https://wellkept.example")
    return address.rstrip("/")


def _without_password(address: str) -> str:
    if password := password_in(address):
        REDACTOR.register(password)
        raise ValueError("a password stands in it; put the whole URL into a variable and write 'env:NAME'")
    return address


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class General(_Table):
    """``[wellkept]``: the installation."""

    store: Annotated[str, Field(min_length=1), AfterValidator(_without_password)] = "wellkept.db"
    """A SQLite file, relative to `plugins.toml`; or PostgreSQL: ``postgresql://USER@HOST/DATABASE`` (a password never stands
    here), or ``env:NAME`` for a variable that holds such a URL."""
    key: Secret = Secret("file:wellkept.key")
    """The installation's key: it seals tokens, signs links and hashes addresses. A missing key *file* is made on first
    use, readable by its owner alone. Keep it with, but apart from, your backups."""
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """Decides where a day ends, and quiet hours."""
    locale: str = "en"
    """The language of mail when neither the recipient nor the account has one."""
    reporting_currency: Annotated[str, Field(pattern=r"^[A-Za-z]{3}$")] = "USD"
    """ISO 4217 code of the currency in which sums over currencies are shown."""
    rates: Path | None = None
    """A CSV file ``day,base,quote,rate``; a figure without a rate is left out, never guessed."""
    public_url: Annotated[str, AfterValidator(_base_url)] | None = None
    """Where this installation's routes can be reached from outside: the address up to `/webhooks/`."""


class Accounts(_Table):
    """``[accounts]``: who is a customer at all."""

    where: str | None = None
    """An expression over the frame's columns; accounts for which it is false or unknown are left out."""


class Identity(_Table):
    """``[identity]``: which vendors' records are one customer."""

    case_sensitive_ids: bool = False
    """Whether external ids that differ in upper and lower case alone are different ones. People type them either way."""
    own_domains: tuple[str, ...] = ()
    """Our own domains: whoever writes from there is nobody's customer."""
    free_domains: tuple[str, ...] = ()
    """Further domains at which anybody can have an address: a provider that the bundled lists miss."""
    shared_domains: tuple[str, ...] = ()
    """Domains that many customers share: of an agency, a reseller, a group. Neither they nor addresses there join anything."""
    not_shared: tuple[str, ...] = ()
    """Domains of one company, whatever the lists say."""
    domains_file: Path | None = None
    """More of these, a domain and ``free``, ``shared``, ``own`` or ``not_shared`` in each line; relative to `plugins.toml`."""
    hub_limit: Annotated[int, Field(ge=2, le=500)] = 20
    """Account records with the same address, phone number, domain or tax number above which it joins nothing."""
    max_records: Annotated[int, Field(ge=2)] = 200
    """Account records that may become one account without a common id or a person's word."""
    test_names: tuple[str, ...] = (
        "test",
        "test account*",
        "test customer*",
        "test company*",
        "test org*",
        "qa test*",
        "sandbox",
    )
    """Patterns (``*``, ``?``) of names of test accounts, in any case."""
    test_domains: tuple[str, ...] = ()
    """Domains of test accounts, beside those that can only be tests."""
    sources: tuple[str, ...] = ()
    """Instances, the most trusted first: whose word counts for an account's name and other fields. What is said last wins
    among those that are not named, and within one."""
    fields: dict[Literal["name", "email", "phone", "country", "locale", "segment", "owner"], tuple[str, ...]] = {}
    """The same for single fields: ``{ name = ["crm"] }``."""


class Freshness(_Table):
    """``[freshness]``: when data no longer count."""

    stale_after_hours: Annotated[float, Field(gt=0)] = 36
    """For streams that do not say themselves."""
    anomaly_drop: Annotated[float, Field(gt=0, le=1)] = 0.5
    """A full read that yields less than this share of the usual rows is not believed."""
    anomaly_min_rows: Annotated[int, Field(ge=0)] = 50
    """Streams with fewer usual rows are not watched."""
    max_deleted_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    """A full read that would delete more than this share of a stream's rows is held."""


class Push(_Table):
    """``[[push]]``: which columns go to which vendor."""

    to: str
    """An instance that serves ``score.push``."""
    properties: dict[str, str]
    """Property name at the vendor = column of the frame."""
    where: str | None = None
    """Only accounts for which this expression holds."""
    first: Literal["changes", "all"] = "changes"
    """What the first run does: ``changes`` takes note of how things are and moves only later changes; ``all`` pushes
    every account once (a large first push waits for approval)."""


class OverrideField(_Table):
    """``[[override]]``: a field of an account's record in which people set a band by hand, at a vendor."""

    source: str
    """The instance whose records have the field."""
    field: Annotated[str, Field(pattern=r"^(extra\.)?[A-Za-z_][A-Za-z0-9_.-]*$")]
    """The field of the account record, usually ``extra.KEY``; its value is a band, empty means none."""
    score: str = "health"
    """Which score it overrides."""
    days: Annotated[int, Field(ge=1, le=30)] = 14
    """How long a value counts, from the run that first sees it. To renew it, clear the field and set it again."""


class Safety(_Table):
    """``[safety]``: how much one run may plan before a person must approve it."""

    max_effects: Annotated[int, Field(ge=1)] = 200
    """Effects that one run may plan."""
    max_share: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Of all accounts; counts only where more than `min_accounts` accounts would be touched."""
    min_accounts: Annotated[int, Field(ge=0)] = 20
    """See `max_share`."""


class Messages(_Table):
    """``[messages]``: what holds for all messages, whoever sends them."""

    quiet_hours: Annotated[str, Field(pattern=r"^\d\d:\d\d-\d\d:\d\d$")] | None = None
    """``21:00-08:00`` in the recipient's zone, else the installation's; messages wait until they end."""
    cap: Annotated[int, Field(ge=1)] = 3
    """Messages to one address ..."""
    cap_days: Annotated[int, Field(ge=1)] = 7
    """... in so many days; transactional ones do not count and are not held."""
    team: list[str] = []
    """Addresses behind the role ``team``; the first one also gets what is for an owner whom nobody knows."""
    via: str | None = None
    """The instance that sends, where several could."""


def _schedule(text: str) -> str:
    from wellkept.schedule import parse

    try:
        parse(text)
    except ConfigError as error:
        raise ValueError(f"{error.message}; {error.guidance}") from error
    return text


class Serve(_Table):
    """``[serve]``: what `wellkept serve` does."""

    host: str = "127.0.0.1"
    """The address to listen on. Put a reverse proxy with TLS before it rather than opening it to the world."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8420
    """The port to listen on; 0 takes a free one."""
    schedule: Annotated[str, AfterValidator(_schedule)] = "every 1 hour"
    """When to sync the instances that have no `schedule` of their own."""
    hints_seconds: Annotated[float, Field(gt=0)] = 10
    """How often, at most, what webhooks hinted at is read."""
    deadline_minutes: Annotated[float, Field(gt=0)] = 240
    """A run that takes longer hangs: it is ended and named, and the next one goes on from its last commits."""
    stop_seconds: Annotated[float, Field(ge=0)] = 30
    """How long a run may take to park its work when the server is told to stop."""
    lease_seconds: Annotated[float, Field(ge=1)] = 60
    """How long a server that gives no sign of life keeps a standby from taking over."""
    body_limit: Annotated[int, Field(ge=1024)] = 1024 * 1024
    """Bytes of the largest webhook that is read."""
    traces: bool = False
    """Whether runs, streams and deliveries are sent as OpenTelemetry traces (``pip install 'wellkept[otel]'``), to where the
    ``OTEL_EXPORTER_OTLP_*`` variables of the environment say."""


Condition = Literal["failed", "partial", "stale", "held", "breaker", "credential", "quota", "dead-letters"]
"""What there are alerts for; `docs/runbook.md` has a section for each."""


def _own_secret(secret: Secret) -> Secret:
    if secret.reference.partition(":")[0] not in BUILT_IN:
        raise ValueError("write env:NAME or file:path: an alert must not need a plugin, nor show its address to all readers")
    return secret


OwnSecret = Annotated[Secret, AfterValidator(_own_secret)]
"""A secret that no plugin provides."""


def _hours(text: str) -> str:
    from wellkept.pipeline.quiet import parse

    try:
        parse(text)
    except ConfigError as error:
        raise ValueError(f"{error.message}; {error.guidance}") from error
    return text


def _one_address(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not (at and local and domain) or any(char.isspace() or not char.isprintable() or char in "<>,;" for char in text):
        raise ValueError("this is no e-mail address; write it plain, as in ops@example.com")
    return text


PlainAddress = Annotated[str, AfterValidator(_one_address)]


class AlertMail(_Table):
    """``[alerts.mail]``: alerts by mail, through a server of their own: no plugin has to work for them."""

    to: Annotated[tuple[PlainAddress, ...], Field(min_length=1)]
    """Who gets them."""
    from_address: PlainAddress
    """Who they come from."""
    host: Annotated[str, Field(min_length=1)]
    """The mail server."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The usual one of the `tls` mode unless given: 587, 465 or 25."""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """``starttls`` is required, never optional; ``tls`` from the first byte; ``none`` sends no password but to this machine."""
    username: str | None = None
    """For the login; none without."""
    password: OwnSecret | None = None
    """Goes with `username`."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        if self.tls == "none" and self.password is not None and self.host not in {"localhost", "127.0.0.1", "::1"}:
            raise ValueError('tls = "none" would send the password to another machine for all to read')
        return self


class AlertWebhook(_Table):
    """``[alerts.webhook]``: alerts as signed JSON."""

    url: OwnSecret
    """Where they are posted to: a reference to the address, since whoever knows such addresses can often write to them."""
    secret: OwnSecret
    """Signs them, as Standard Webhooks says (``webhook-signature``)."""


class Alerts(_Table):
    """``[alerts]``: who is told when something is wrong, and when it is over."""

    name: str | None = None
    """What this installation is called in alerts; the machine's name unless given."""
    mail: AlertMail | None = None
    """By mail."""
    webhook: AlertWebhook | None = None
    """By webhook."""
    ping: OwnSecret | None = None
    """A reference to an address that is fetched after each healthy run, for a monitor outside that notices silence."""
    quiet_hours: Annotated[str, AfterValidator(_hours)] | None = None
    """``21:00-08:00`` in the installation's zone: what is not critical waits until they end."""
    off: frozenset[Condition] = frozenset()
    """Conditions of which nobody wants to hear."""
    credential_days: Annotated[int, Field(ge=1)] = 14
    """How many days before its end a credential is told of."""
    quota_share: Annotated[float, Field(gt=0, le=1)] = 0.9
    """The used part of a quota (of an hour or longer) from which on it is nearly used."""
    dead_letters: Annotated[int, Field(ge=1)] = 10
    """New dead letters of an instance in a day from which on they are growing."""


class Retention(_Table):
    """``[retention]``: how long what nobody needs any more is kept, in days."""

    automatic: bool = True
    """Whether `wellkept serve` prunes once a day; `wellkept prune` does it by hand."""
    runs_days: Annotated[int, Field(ge=7)] = 400
    """The run table, and alerts that are over. Figures of a past day need the runs of that day."""
    hints_days: Annotated[int, Field(ge=1)] = 14
    """The same for the many small runs that webhooks and waiting policies cause."""
    inbox_days: Annotated[int, Field(ge=7)] = 30
    """Webhook hints that were answered. Until then a repetition is known as one."""
    dead_letters_days: Annotated[int, Field(ge=7)] = 90
    """Dead letters that were resolved or dropped, since they last came in. Open ones stay."""
    scores_days: Annotated[int, Field(ge=90)] = 800
    """The history of scores; of each score the last one before that stays."""
    history_days: Annotated[int, Field(ge=400)] | None = None
    """Past versions of records, from which frames of past days are made. None keeps them all."""
    audit_days: Annotated[int, Field(ge=365)] | None = None
    """The texts of the audit chain. None keeps them all; the chain itself stays for ever, and verifies."""


class Logging(_Table):
    """``[logging]``: what is said on standard error."""

    format: Literal["console", "json"] = "console"
    """``console`` for people, ``json`` for machines: one object per line. ``--log-format`` goes before."""


class InstanceHead(BaseModel):
    """The keys of ``[plugins.NAME]`` that core reads itself; all others belong to the plugin."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    plugin: str | None = None
    """Which plugin; the table's own name when left out."""
    enabled: bool = True
    """False keeps the table without using it."""
    schedule: str | None = None
    """When to sync: five cron fields and perhaps a time zone, or ``every 15 minutes``; the one of ``[serve]`` if left out."""
    live: bool | list[str] = False
    """Whether effects really go out: true, or a list of capabilities. Otherwise they are shown and kept."""
    map: dict[str, MappedField] = {}
    """Columns made from custom fields."""


class MappedField(_Table):
    """``[plugins.NAME.map] column = {...}``: a custom field as a column of the frame."""

    record: str = "account"
    """The record type that it is computed from."""
    field: str
    """A field of the record, or ``extra.KEY``."""
    aggregate: Literal["count", "distinct", "sum", "min", "max", "avg", "latest", "any"] = "latest"
    """How the values of an account's records become one."""
    time: str | None = None
    """The instant or day field that places a record in time; needed with `window` and ``latest``."""
    window: int | None = None
    """Days up to the as-of date; all of the past when left out."""
    where: str | None = None
    """Only records for which this expression over their fields holds."""
    unit: Literal["count", "days", "minutes", "ratio", "points", "date", "text", "flag"] = "text"
    """How a reader should take the figure."""
    doc: str = "A custom field."
    """One sentence, shown in explanations."""


class Settings(_Table):
    """The core's own tables, all of them; those of plugins stand beside them in `wellkept.config.Config`."""

    wellkept: General = General()
    """The installation."""
    accounts: Accounts = Accounts()
    """Who is a customer at all."""
    identity: Identity = Identity()
    """Which vendors' records are one customer."""
    freshness: Freshness = Freshness()
    """When data no longer count."""
    push: tuple[Push, ...] = ()
    """Which columns go to which vendor."""
    override: tuple[OverrideField, ...] = ()
    """Where people set bands by hand, at vendors."""
    safety: Safety = Safety()
    """How much one run may plan before a person must approve it."""
    messages: Messages = Messages()
    """What holds for all messages."""
    serve: Serve = Serve()
    """What `wellkept serve` does."""
    alerts: Alerts = Alerts()
    """Who is told when something is wrong."""
    retention: Retention = Retention()
    """How long things are kept."""
    logging: Logging = Logging()
    """What is said on standard error."""


InstanceHead.model_rebuild()
