"""The standard tests of what every plugin that speaks to a vendor has: a configuration, secrets and a check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wellkept.records import Json
from wellkept.testing.conformance.bench import Bench, everything_logged
from wellkept.testing.conformance.case import Case


class PluginTests(Case):
    """The standard tests of configuration and credentials.

    `SourceTests` has them too; subclass this one for a plugin without a source, as ``class TestAcme(PluginTests)``.
    """

    def test_unknown_keys_are_refused(self, bench: Bench, table: Mapping[str, Json]) -> None:
        """Configuration: a mistyped key is an error that names it, never a silent default."""
        bench.write({**table, "no_such_key": 1})
        bench.reopen()
        problems = [str(problem) for problem in bench.runtime.problems]
        assert self.plugin not in bench.runtime.instances
        assert any("no_such_key" in text for text in problems), problems

    def test_secrets_are_references(self, bench: Bench, simulator: Any, table: Mapping[str, Json]) -> None:
        """Secrets: a secret in the file itself is refused, and the refusal does not show it."""
        held = {name: value for name, value in table.items() if isinstance(value, str) and value.startswith("env:")}
        assert held or not self.secrets(simulator), "keys() must refer to the variables of secrets() as env:NAME"
        for name in held:
            bench.write({**table, name: "sk_written_into_the_file"})
            bench.reopen()
            problems = [str(problem) for problem in bench.runtime.problems]
            assert self.plugin not in bench.runtime.instances, f"{name} took a secret that stands in the file"
            assert any(name in text for text in problems), problems
            assert not any("sk_written_into_the_file" in text for text in problems), "the refusal shows the secret"

    def test_a_good_credential_passes(self, bench: Bench) -> None:
        """Credentials: where all is well, the check says so, line by line."""
        result = bench.check()
        assert result.ok, [finding.message for finding in result.findings if not finding.ok]
        assert result.findings, "check() finds nothing to say"
        assert all(finding.message for finding in result.findings)

    def test_check_tells_a_refused_credential(self, bench: Bench, simulator: Any) -> None:
        """Credentials: a refused one is a finding with its mend, not an exception, and the secret is not shown."""
        self.refuse(simulator)
        with everything_logged() as log:
            result = bench.check()
        assert not result.ok
        assert not result.unreachable, "a refused credential is none that could not be tried"
        wrong = [finding for finding in result.findings if not finding.ok]
        assert all(finding.mend for finding in wrong), "a finding that is not well says how to mend it"
        told = f"{log.getvalue()} {result}"
        assert not any(value in told for value in self.secrets(simulator).values() if value)
