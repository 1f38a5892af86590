"""Problems: what kept one instance or plugin from working while the others go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from wellkept.errors import ConfigError, WellkeptError
from wellkept.redact import redact_exception, redact_text

Stage = Literal[
    "config", "find", "requirements", "load", "describe", "api", "hooks", "collect", "state", "deprecated", "stdout"
]
"""Where it happened: reading the configuration, finding the plugin, what its distribution requires, importing it, asking it who
it is, its API version, its hook declarations, calling a hook, the state of the instance in the store, its use of what will go,
or its writing to standard output."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that does not work, whose fault it is, and what to do. Texts are redacted.

    Attributes:
        stage: Where it happened.
        reason: What happened; names file, line and key where there are any.
        mend: What to do about it, as an imperative sentence.
        instance: The table of `plugins.toml` concerned.
        plugin: The plugin concerned.
        distribution: What ships the plugin, with its version: ``wellkept-stripe 0.1.0``.
    """

    stage: Stage
    reason: str
    mend: str | None = None
    instance: str | None = None
    plugin: str | None = None
    distribution: str | None = None

    @classmethod
    def of(
        cls,
        error: BaseException,
        *,
        stage: Stage,
        instance: str | None = None,
        plugin: str | None = None,
        distribution: str | None = None,
    ) -> Problem:
        """Return the problem behind an exception, redacted."""
        mend = error.guidance if isinstance(error, WellkeptError) else None
        if isinstance(error, ConfigError):
            reason = redact_text(error.text)
        elif isinstance(error, WellkeptError):
            reason = redact_text(error.message)
        else:
            reason = redact_exception(error)
        return cls(
            stage=stage,
            reason=reason,
            mend=redact_text(mend) if mend else None,
            instance=instance,
            plugin=plugin,
            distribution=distribution,
        )

    def __str__(self) -> str:
        plugin = f"plugin {self.plugin}" if self.plugin and self.plugin != self.instance else None
        who = " ".join(part for part in (self.instance, f"({plugin})" if plugin and self.instance else plugin) if part)
        origin = f" [{self.distribution}]" if self.distribution else ""
        return f"{who}{origin}: {self.reason}" if who or origin else self.reason

    def document(self) -> dict[str, Any]:
        """Return the problem as plain data, for ``--json``."""
        return asdict(self)


class ProblemsError(ConfigError):
    """There are problems, and the configuration is broken as a whole or ``--strict`` makes every problem fatal.

    Args:
        problems: At least one.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{first}{more}", guidance=first.mend)
        self.problems = tuple(problems)
