"""The standard tests of what every plugin that speaks to a vendor has: a configuration, secrets and a check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from wellkept.admission import Checked
from wellkept.records import Json
from wellkept.testing.clock import FakeClock
from wellkept.testing.conformance.apart import changed, ends
from wellkept.testing.conformance.bench import Bench, everything_logged
from wellkept.testing.conformance.case import Case, dispose
from wellkept.testing.conformance.written import Written, shown, without
from wellkept.testing.simulator import Simulator
from wellkept.testing.switch import Switch


class PluginTests(Case):
    """The standard tests of configuration and credentials.

    `SourceTests` has them too; subclass this one for a plugin without a source, as ``class TestAcme(PluginTests)``.
    """

    # --- to be overridden, where the vendor can do it ---

    def troubles(self, vendor: Any) -> Mapping[str, Callable[[], object]]:
        """Return what may be wrong, or otherwise, with an account, a credential or the configuration, by name.

        Each is called on a vendor of its own and lets it be so; a mapping that it returns gives keys of the plugin's table that
        differ then. What is wrong with the configuration, or else what the check and the streams say, stands in a file beside
        the test.
        """
        del vendor
        return {}

    # --- the tests ---

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

    def test_check_says_the_same(
        self,
        simulator: Any,
        simulator_server: tuple[Switch, str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        request: pytest.FixtureRequest,
    ) -> None:
        """Credentials: what a check finds, scope by scope, when all is well and in each trouble, stands in a file.

        So does what it asks for when all is well, and what a first read does then, in pages as large as they are in earnest.
        """
        switch, url = simulator_server
        told = dict[str, Any]()
        for name in ("all is well", *self.troubles(simulator)):
            clock = FakeClock(self.start)
            vendor = self.vendor(clock)
            switch.app = vendor if isinstance(vendor, Simulator) else None
            keys = changed(self.keys(vendor, url), self.troubles(vendor)[name]() if told else None)
            for variable, value in self.secrets(vendor).items():
                monkeypatch.setenv(variable, value)
            with Bench(tmp_path / name, self.plugin, keys, clock=clock, settings=self.settings) as bench:
                found = _found(bench)
            if not told and isinstance(vendor, Simulator):
                found = {**found, "requests": shown(vendor.log.requests)}
            told[name] = without(found, [url, str(tmp_path), *self.hidden(vendor)])
            dispose(vendor)
            self.small_pages(monkeypatch)
        switch.app = None
        Written(self, request).holds("check.findings", told)


def _found(bench: Bench) -> Mapping[str, Json]:
    """Return what a check says, and how the streams end, as it is written down."""
    bench.runtime.collect()
    if bench.runtime.problems:
        return {"problems": [f"{item}{f' ({item.mend})' if item.mend else ''}" for item in bench.runtime.problems]}
    found = _findings(bench.check())
    if not bench.streams:
        return found
    return {**found, "streams": ends(bench)}


def _findings(result: Checked) -> Mapping[str, Json]:
    """Return what a check found, as it is written down."""
    about = {"account": result.vendor_account, "mode": result.mode, "expires_at": result.expires_at}
    lines = [
        f"{'ok' if finding.ok else 'NOT OK'} {finding.name}: {finding.message}{f' ({finding.mend})' if finding.mend else ''}"
        for finding in result.findings
    ]
    return {**{name: value for name, value in about.items() if value is not None}, "findings": lines}
