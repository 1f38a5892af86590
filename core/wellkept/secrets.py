"""Secrets are references: ``env:NAME``, ``file:path``, or a provider's own. The value is fetched when it is used.

A provider is a plugin instance that answers the hook ``provide("secrets", settings)`` with a `SecretProvider`. Its
instance's name is the scheme: with ``[plugins.vault]``, ``api_key = "vault:kv/billing#key"`` asks it for ``kv/billing#key``.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from wellkept.errors import ConfigError, WellkeptError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
    from pydantic_core import core_schema

T = TypeVar("T")

BUILT_IN = ("env", "file")
"""Schemes that need no provider."""

SHORTEST = 4
"""Characters. A shorter value is refused: it could not be kept out of logs without making them unreadable."""

MARK = "wellkept-secret"
"""The `format` of a secret in a JSON schema."""

_REFERENCE = re.compile(r"(?P<scheme>[a-z][a-z0-9_-]*):(?P<rest>\S.*)", re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_log = logging.getLogger(__name__)


class SecretProvider(Protocol):
    """What a plugin returns from ``provide("secrets", settings)``."""

    def get(self, path: str) -> str | None:
        """Return the present value of a secret, None where there is none. Called each time that the secret is used.

        Raises:
            RetryableError: The vault cannot be reached at the moment.
            CredentialsError: The vault refuses us.
        """
        ...


def split(reference: str) -> tuple[str, str] | None:
    """Return the scheme of a reference and what follows it, or None for a text that is no reference."""
    match = _REFERENCE.fullmatch(reference)
    if match is None or (match["scheme"] == "env" and not _VARIABLE.fullmatch(match["rest"])):
        return None
    return match["scheme"], match["rest"]


class Resolver:
    """Turns references into values, and tells the redactor every value that it has seen.

    Args:
        base: What paths after ``file:`` are relative to: the folder of `plugins.toml`.
        register: Is given every value; `wellkept.redact.Redactor.register`.
        provider: Finds the provider for a scheme that is not built in; returns None for an unknown one.
    """

    def __init__(
        self,
        base: Path,
        register: Callable[[str], None],
        provider: Callable[[str], SecretProvider | None] = lambda _scheme: None,
    ) -> None:
        self._base = base
        self._register = register
        self._provider = provider
        self._warned: set[Path] = set()
        self._asking: ContextVar[tuple[str, ...]] = ContextVar("asking", default=())

    def file(self, rest: str) -> Path:
        """Return the file behind ``file:rest``."""
        return self._base / Path(rest).expanduser()

    def value(self, reference: str) -> str:
        """Return the present value.

        Raises:
            ConfigError: There is no such secret, or it is empty or too short. Names the reference, never the value.
        """
        parts = split(reference)
        if parts is None:
            raise ConfigError("a secret is not a reference", guidance="write env:NAME or file:path, never the secret itself")
        scheme, rest = parts
        if scheme == "env":
            value, mend = os.environ.get(rest), f"set the environment variable {rest}"
        elif scheme == "file":
            path = self.file(rest)
            value, mend = self._read(reference, path), f"put the secret into {path}"
        else:
            value, mend = self._ask(scheme, rest, reference), f"store it where {scheme!r} looks for {rest!r}"
        if not value:
            raise ConfigError(f"there is no secret behind {reference!r}", guidance=mend)
        if len(value) < SHORTEST:
            raise ConfigError(
                f"the secret behind {reference!r} has fewer than {SHORTEST} characters", guidance="use a longer one"
            )
        self._register(value)
        return value

    def _read(self, reference: str, path: Path) -> str | None:
        try:
            with path.open("rb") as file:
                text, mode = file.read().decode(), os.fstat(file.fileno()).st_mode
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error.strerror)
            raise ConfigError(f"the secret behind {reference!r} cannot be read: {reason}", guidance=f"look at {path}") from None
        if os.name == "posix" and mode & 0o077 and path not in self._warned:
            self._warned.add(path)
            _log.warning("%s can be read by other users of this machine; run `chmod 600 %s`", path, path)
        return text.removesuffix("\n").removesuffix("\r")

    def _ask(self, scheme: str, rest: str, reference: str) -> str | None:
        asking = (*self._asking.get(), scheme)
        if scheme in asking[:-1]:
            raise ConfigError(
                f"{reference!r} needs itself: {' asks '.join(asking)}",
                guidance="give the provider its own credential as env:NAME or file:path",
            )
        token = self._asking.set(asking)
        try:
            value: object = self._provider_of(scheme, reference).get(rest)
        except WellkeptError:
            raise
        except Exception as error:  # noqa: BLE001 - a provider is a plugin; its message might hold the secret
            raise ConfigError(f"the provider {scheme!r} failed for {reference!r}: {type(error).__name__}") from None
        finally:
            self._asking.reset(token)
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"the provider {scheme!r} gave {type(value).__name__} for {reference!r}, not text")
        return value

    def _provider_of(self, scheme: str, reference: str) -> SecretProvider:
        provider = self._provider(scheme)
        if provider is None:
            raise ConfigError(
                f"nothing provides the secrets of {scheme!r}, wanted by {reference!r}",
                guidance=f"write env:NAME or file:path, or add [plugins.{scheme}] for a plugin that provides secrets",
            )
        return provider


class Secret:
    """A reference to a secret, as the type of a configuration field.

    Its text form, repr and JSON are the reference, never the value.

    Args:
        reference: ``env:NAME``, ``file:path``, or ``PROVIDER:...``.
    """

    __slots__ = ("_resolver", "reference")

    def __init__(self, reference: str) -> None:
        self.reference = reference
        self._resolver: Resolver | None = None

    def reveal(self) -> str:
        """Return the present value, read anew each time, so that a rotated secret needs no restart.

        Keep it no longer than needed. Every value is registered with the redactor before it is returned.

        Raises:
            ConfigError: There is no such secret; names the reference and what to do.
        """
        return (self._resolver or _default_resolver()).value(self.reference)

    def bound(self, resolver: Resolver) -> Secret:
        """Return the same reference, to be resolved by `resolver`."""
        secret = Secret(self.reference)
        secret._resolver = resolver
        return secret

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reference == self.reference

    def __hash__(self) -> int:
        return hash(self.reference)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        from pydantic_core import core_schema

        return core_schema.with_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda secret: secret.reference),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": MARK, "pattern": r"^[a-z][a-z0-9_-]*:\S", "examples": ["env:NAME", "file:path"]}

    @classmethod
    def _validate(cls, value: object, info: ValidationInfo) -> Secret:
        """Accept a reference; with ``{"schemes": ...}`` as validation context, only one of those schemes or a built-in one."""
        if isinstance(value, Secret):
            return value
        if isinstance(value, str) and (parts := split(value)):
            schemes = info.context.get("schemes") if isinstance(info.context, dict) else None
            if schemes is None or parts[0] in schemes or parts[0] in BUILT_IN:
                return cls(value)
        msg = "write a reference such as 'env:NAME' or 'file:path', never the secret itself"
        raise ValueError(msg)


def bind(value: T, resolver: Resolver) -> T:
    """Return a validated configuration whose secrets, defaults included, are resolved by `resolver`.

    Models, lists, tuples and dicts are copied where they hold a secret; everything else is passed through.
    """
    return _bind(value, resolver)  # type: ignore[no-any-return]


def _bind(value: Any, resolver: Resolver) -> Any:
    from pydantic import BaseModel

    if isinstance(value, Secret):
        return value.bound(resolver)
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        bound = {name: _bind(item, resolver) for name, item in fields.items()}
        changed = {name: item for name, item in bound.items() if item is not fields[name]}
        return value.model_copy(update=changed) if changed else value
    if isinstance(value, dict):
        items = {key: _bind(item, resolver) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in value) else value
    if type(value) in {list, tuple}:
        parts = [_bind(item, resolver) for item in value]
        return type(value)(parts) if any(new is not old for new, old in zip(parts, value, strict=True)) else value
    return value


def secrets_in(value: object) -> list[Secret]:
    """Return the secrets of a validated configuration, in the order of its fields."""
    from pydantic import BaseModel

    if isinstance(value, Secret):
        return [value]
    if isinstance(value, BaseModel):
        return [found for name in type(value).model_fields for found in secrets_in(getattr(value, name))]
    if isinstance(value, dict):
        return [found for item in value.values() for found in secrets_in(item)]
    if isinstance(value, (list, tuple)):
        return [found for item in value for found in secrets_in(item)]
    return []


def _default_resolver() -> Resolver:
    """Serve secrets that no configuration has bound: those that a test or a script made itself."""
    from wellkept.redact import REDACTOR

    return Resolver(Path(), REDACTOR.register)
