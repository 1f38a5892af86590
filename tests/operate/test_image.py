"""The image, built by a real engine from the Containerfile as it is, and run as its user.

Where `buildah` is installed and we are root. There is no registry to take the base image from, and no network: the base is an
empty one that borrows this machine's system and Python, read-only, and dependencies are those of the test's own environment.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASE = "docker.io/library/python:3.13-slim"
BORROWED = ("/usr", *([] if sys.base_prefix.startswith("/usr") else [sys.base_prefix]))
SERVE = """
wellkept serve --host 127.0.0.1 --port 0 --log-format json > /tmp/said 2>&1 & server=$!
until grep -q "serving on" /tmp/said; do kill -0 $server || exit 9; done
export WELLKEPT_PORT=$(sed -n 's/.*serving on http:..127.0.0.1:\\([0-9]*\\).*/\\1/p' /tmp/said)
python /opt/wellkept/healthcheck.py || exit 8
kill -TERM $server && wait $server && test -s /var/lib/wellkept/wellkept.db
"""

pytestmark = [
    pytest.mark.skipif(shutil.which("buildah") is None, reason="needs buildah"),
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to build without an engine's service"
    ),
]


class Engine:
    """Buildah, with a storage of its own."""

    def __init__(self, folder: Path) -> None:
        self._storage = ["--root", str(folder / "root"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(["buildah", *self._storage, *arguments], capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout.strip()


@pytest.fixture(scope="module")
def borrowed() -> list[str]:
    """Options that lend parts of this machine."""
    lent = {path: path for path in BORROWED} | {sysconfig.get_path("purelib"): "/dependencies"}
    return [part for path, place in lent.items() for part in ("-v", f"{path}:{place}:ro")]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, borrowed: list[str]) -> Iterator[Engine]:
    """An engine that has built the image ``wellkept``."""
    pytest.importorskip("hatchling", reason="building without a network needs hatchling here")
    folder = tmp_path_factory.mktemp("engine")
    run = Engine(folder)
    base = folder / "base"
    for name in ("bin", "etc", "tmp", "opt", "var/lib", "src", "dependencies", *(path.lstrip("/") for path in BORROWED)):
        (base / name).mkdir(parents=True, exist_ok=True)
    for name in ("lib", "lib64"):
        (base / name).symlink_to(f"usr/{name}")
    for name in ("sh", "install"):  # what steps call is looked for before anything is lent
        shutil.copy(shutil.which(name) or name, base / "bin" / name)
    (base / "tmp").chmod(0o1777)
    (base / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    empty = run("from", "scratch")
    run("copy", "--quiet", empty, str(base), "/")
    run("config", "--env", f"PATH={Path(sys.base_prefix) / 'bin'}:/usr/bin:/bin", empty)
    offline = {"PYTHONPATH": "/dependencies", "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "false"}
    for name, value in offline.items():
        run("config", "--env", f"{name}={value}", empty)
    run("commit", "--quiet", empty, BASE)
    deploy = ROOT / "deploy"
    files = ["--ignorefile", str(deploy / "Containerfile.dockerignore"), "-f", str(deploy / "Containerfile")]
    build = ["build", "--quiet", "--isolation", "chroot", "--pull-never", "--format", "docker", *borrowed, *files]
    run(*build, "-t", "wellkept", str(ROOT))
    yield run
    run("rm", "--all")
    run("rmi", "--all", "--force")


def test_it_is_built_as_it_is_written(engine: Engine) -> None:
    found = json.loads(engine("inspect", "--type", "image", "wellkept"))["Docker"]["config"]
    assert found["User"] == "10001:10001"
    assert found["StopSignal"] == "SIGTERM"
    assert found["Entrypoint"] == ["/opt/wellkept/bin/wellkept"]
    assert found["Cmd"][0] == "serve"
    assert found["Healthcheck"]["Test"][-1] == "/opt/wellkept/healthcheck.py"
    assert list(found["Volumes"]) == ["/var/lib/wellkept"]


def test_it_serves_as_its_user_answers_its_health_check_and_stops(engine: Engine, borrowed: list[str], tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir(mode=0o755)
    store = '[wellkept]\nstore = "/var/lib/wellkept/wellkept.db"\nkey = "file:/var/lib/wellkept/wellkept.key"\n'
    (config / "plugins.toml").write_text(f"{store}[plugins.health]\n")
    container = engine("from", "--pull-never", "wellkept")
    run = ["run", "--isolation", "chroot", *borrowed, "-v", f"{config}:/etc/wellkept:ro", container, "--", "sh", "-c"]
    assert engine(*run, "id -u") == "10001"
    engine(*run, "touch /opt/wellkept/written", code=1)
    assert {"stripe", "zendesk", "sql"} <= set(engine(*run, "wellkept plugins list").split())
    engine(*run, SERVE)
