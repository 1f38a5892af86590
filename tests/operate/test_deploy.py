"""The build script, offline and into a folder; the unit and the image, as far as can be told without running either."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from wellkept.settings import Serve
from wellkept.testing import Server

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CUT_OFF = 5  # wellkept.serve.server.CUT_OFF_SECONDS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="services and images are Linux's")


def offline(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command without a network, where the kernel lets us take it away."""
    fence = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*fence, "true"], capture_output=True, check=False).returncode:
        fence = []
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "VIRTUAL_ENV"))},
        "PYTHONPATH": sysconfig.get_path("purelib"),  # for the dependencies, which are left out
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
        **options.pop("env", {}),
    }
    return subprocess.run([*fence, *command], capture_output=True, text=True, check=False, timeout=200, env=env, **options)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image and the service run, built as they are."""
    pytest.importorskip("hatchling", reason="building without a network needs hatchling here")
    prefix = tmp_path_factory.mktemp("opt") / "wellkept"
    options = ["--prefix", str(prefix), "--python", sys.executable, "--plugins", "stripe smtp", "--no-deps"]
    done = offline("sh", str(DEPLOY / "build.sh"), *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "wellkept 0.1.0\n"
    return prefix


def test_what_was_built_runs_by_itself(built: Path, tmp_path: Path) -> None:
    """From the new environment, not from this checkout, in an empty folder."""
    code = "import wellkept, wellkept_stripe, sys; print(wellkept.__file__, wellkept_stripe.__file__, sep='\\n')"
    done = offline(str(built / "bin/python"), "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(line.startswith(str(built)) for line in done.stdout.split())
    done = offline(str(built / "bin/wellkept"), "plugins", "list", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {f'"plugin": "{name}"' in done.stdout for name in ("stripe", "smtp")} == {True}
    (tmp_path / "plugins.toml").write_text("")
    done = offline(str(built / "bin/wellkept"), "score", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("wellkept.db"))
    assert list(built.rglob("0001_initial.py")), "migrations belong into the wheel"


def test_the_build_leaves_nothing_half_made_and_overwrites_nothing(tmp_path: Path) -> None:
    script = str(DEPLOY / "build.sh")
    there = tmp_path / "there"
    there.mkdir()
    assert "exists already" in offline("sh", script, "--prefix", str(there)).stderr
    assert "there is no plugin nobody" in offline("sh", script, "--prefix", str(tmp_path / "new"), "--plugins", "nobody").stderr
    options = ["--prefix", str(tmp_path / "new"), "--python", sys.executable, "--plugins", "", "--wheels", str(there)]
    done = offline("sh", script, *options, env={"PYTHONPATH": ""})
    assert done.returncode != 0  # the folder has no dependencies
    assert not (tmp_path / "new").exists()
    assert offline("sh", script, "--oops").returncode == 2


def test_the_build_writes_nothing_into_the_checkout(built: Path) -> None:
    assert not list(ROOT.glob("build")) + list(ROOT.glob("dist")) + list(ROOT.glob("plugins/*/build"))


# --- systemd ---


def unit() -> list[tuple[str, str]]:
    lines = (DEPLOY / "wellkept.service").read_text().splitlines()
    return [(key, value) for key, mark, value in (line.partition("=") for line in lines) if mark and not key.startswith("#")]


def test_the_unit_gives_a_run_the_time_to_park() -> None:
    settings = dict(unit())
    assert int(settings["TimeoutStopSec"]) > Serve().stop_seconds + CUT_OFF
    assert (settings["KillSignal"], settings["Restart"]) == ("SIGTERM", "on-failure")


def test_the_unit_runs_what_the_build_makes(built: Path) -> None:
    command = dict(unit())["ExecStart"].split()
    assert command[0] == "/opt/wellkept/bin/wellkept"
    assert (built / "bin/wellkept").exists()
    done = offline(str(built / "bin/wellkept"), *command[1:], "--help")
    assert done.returncode == 0, done.stderr


def test_the_unit_can_write_to_its_store_alone() -> None:
    settings = dict(unit())
    assert settings["User"] != "root"
    assert (settings["ProtectSystem"], settings["StateDirectory"]) == ("strict", "wellkept")
    assert "ReadWritePaths" not in settings
    assert settings["CapabilityBoundingSet"] == ""
    assert settings["NoNewPrivileges"] == "yes"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_the_unit_and_finds_it_hardened(built: Path, tmp_path: Path) -> None:
    file = tmp_path / "wellkept.service"
    file.write_text((DEPLOY / "wellkept.service").read_text().replace("/opt/wellkept", str(built)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "wellkept" in line]
    assert (done.returncode, complaints) == (0, []), done.stderr
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-600:]  # exposure 2.0 of 10 at most


# --- the image ---


def steps() -> list[tuple[str, str]]:
    """The image's steps: instruction and the rest."""
    text = (DEPLOY / "Containerfile").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def last(word: str) -> str:
    return [rest for name, rest in steps() if name == word][-1]


def arguments(text: str) -> list[str]:
    found: list[str] = re.findall(r'"([^"]*)"', text)
    return found


def test_all_that_is_copied_is_there_and_not_left_out() -> None:
    ignored = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    for word, rest in steps():
        if word == "COPY" and not rest.startswith("--from"):
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists(), name
                assert f"!{Path(name).parts[0]}" in ignored, name
    assert {"**/*.db", "**/*.key"} <= set(ignored)


def test_the_image_builds_with_the_script_that_was_tested() -> None:
    (command,) = [arguments(rest) for word, rest in steps() if word == "RUN" and "build.sh" in rest]
    assert command[:2] == ["sh", "deploy/build.sh"]
    assert command[2:] == ["--prefix", "/opt/wellkept"]
    assert f"--from=build {command[3]} {command[3]}" in [rest for word, rest in steps() if word == "COPY"]


def test_the_image_runs_as_nobody_in_particular() -> None:
    names = [word for word, _ in steps()]
    user, _, group = last("USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0
    after = names[len(names) - names[::-1].index("USER") :]
    assert not {"RUN", "COPY", "ADD"} & set(after), "nothing is done as root after that"
    made = [arguments(rest) for word, rest in steps() if word == "RUN" and "/var/lib/wellkept" in rest]
    assert made[0][made[0].index("-o") + 1] == user


def test_the_image_starts_and_stops_the_server(built: Path) -> None:
    assert arguments(last("ENTRYPOINT")) == ["/opt/wellkept/bin/wellkept"]  # no shell between, which would keep signals
    assert last("STOPSIGNAL") == "SIGTERM"
    command = arguments(last("CMD"))
    done = offline(str(built / "bin/wellkept"), *command, "--help")
    assert done.returncode == 0, done.stderr
    assert (command[0], int(command[command.index("--port") + 1])) == ("serve", int(last("EXPOSE")))
    stop = re.search(r"--stop-timeout (\d+)", (ROOT / "docs/operate.md").read_text())
    assert stop is not None
    assert int(stop[1]) > Serve().stop_seconds + CUT_OFF


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (None, 1)])
def test_the_health_check_asks_the_server(status: int | None, code: int) -> None:
    asked: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def check(port: str) -> int:
        env = {**os.environ, "WELLKEPT_PORT": port, "http_proxy": "http://127.0.0.1:9"}
        return subprocess.run(
            [sys.executable, str(DEPLOY / "healthcheck.py")], env=env, capture_output=True, check=False
        ).returncode

    if status is None:
        assert check("9") == code
        return
    with Server(app) as server:
        assert check(server.url.rpartition(":")[2]) == code
    assert asked == ["/health/live"]


def test_the_health_check_is_the_image_s() -> None:
    check = arguments(last("HEALTHCHECK"))
    copied = {target: source for word, rest in steps() if word == "COPY" for source, _, target in [rest.rpartition(" ")]}
    assert (ROOT / copied[check[1]]) == DEPLOY / "healthcheck.py"


def test_the_shell_understands_the_script() -> None:
    assert subprocess.run(["sh", "-n", str(DEPLOY / "build.sh")], check=False).returncode == 0
    assert os.access(DEPLOY / "build.sh", os.X_OK)
