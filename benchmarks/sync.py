"""Targets 1 to 5: reading. Each is a process of its own against the fixture server; LIMIT runs in turns with it.

    python benchmarks/sync.py [full] [rerun] [changed] [latency] [memory] [--rounds 3] [--rows 10000] [--large 333000]

1 full: three streams of 10,000 rows.  2 rerun: nothing new.  3 changed: 2,000 changed rows.
5 latency: three streams of 30 pages at 50 ms an answer.  4 memory: 10,000 rows, then a million.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from meter import HERE, PYTHON, Cost, Figure, finish, middle, run
from vendor import PAGE, serving

CONFIG = """\
[wellkept]
store = "wellkept.db"
key = "file:wellkept.key"

[plugins.stripe]
api_key = "file:stripe.key"
api_base = "{base}"
requests_per_second = 100
"""
LISTS = ("customers", "subscriptions", "invoices")
NAMES = ("full", "rerun", "changed", "latency", "memory")
LIMIT_PAGES = 30


def house(folder: Path, base: str) -> Path:
    """Make an installation that reads from a server."""
    folder.mkdir()
    (folder / "plugins.toml").write_text(CONFIG.format(base=base))
    key = folder / "stripe.key"
    key.write_text("rk_test_" + "x" * 24)
    key.chmod(0o600)
    return folder


def sync(folder: Path, *more: str) -> Cost:
    """Read the three streams with the command line, as a schedule would."""
    selected = [f"stripe.{name}" for name in LISTS]
    return run([PYTHON, "-m", "wellkept", "sync", *selected, *more], folder=folder)


def point(folder: Path, base: str) -> None:
    """Point an installation to another server."""
    (folder / "plugins.toml").write_text(CONFIG.format(base=base))


def full(rows: int, rounds: int, scratch: Path) -> list[Figure]:
    """Target 1."""
    ours, least = [], []
    with serving(customers=rows) as base:
        for turn in range(rounds):
            ours.append(sync(house(scratch / f"full-{turn}", base)))
            least.append(run([PYTHON, HERE / "limit.py", base, scratch / f"limit-{turn}.db"]))
    records = 3 * rows
    return [
        Figure(
            target=1,
            what=f"full sync of {records:,} rows, CPU",
            value=middle(ours) / middle(least),
            unit="x",
            gate=2,
            stretch=1.5,
        ),
        Figure(target=1, what="- ours, of 100,000 rows", value=middle(ours) / records * 100_000, unit="CPU s"),
        Figure(target=1, what="- LIMIT, of 100,000 rows", value=middle(least) / records * 100_000, unit="CPU s"),
        Figure(target=1, what="- on the clock", value=middle(ours, "wall") / middle(least, "wall"), unit="x"),
        Figure(target=1, what="- memory", value=middle(ours, "mib"), unit="MiB"),
    ]


def again(rows: int, rounds: int, scratch: Path, *, changed: int) -> list[Figure]:
    """Targets 2 and 3."""
    folder = scratch / f"again-{changed}"
    with serving(customers=rows) as base:
        sync(house(folder, base))
        point(folder, base)
        if not changed:
            costs = [sync(folder) for _ in range(rounds)]
    if changed:
        with serving(customers=rows, changed=changed) as base:
            point(folder, base)
            costs = [sync(folder) for _ in range(rounds)]
    nothing = Figure(target=2, what="nothing new, whole process", value=middle(costs), unit="CPU s", gate=0.9, stretch=0.6)
    some = Figure(target=3, what=f"{changed:,} changed rows", value=middle(costs), unit="CPU s", gate=0.8, stretch=0.5)
    return [some if changed else nothing]


def latency(rounds: int, scratch: Path) -> list[Figure]:
    """Target 5."""
    wait, rows = 0.05, LIMIT_PAGES * PAGE
    with serving(customers=rows, latency=wait) as base:
        ours = [sync(house(scratch / f"slow-{turn}", base)) for turn in range(rounds)]
        least = [run([PYTHON, HERE / "limit.py", base, scratch / f"slow-{turn}.db", "--together"]) for turn in range(rounds)]
    floor = LIMIT_PAGES * wait
    return [
        Figure(
            target=5,
            what=f"{LIMIT_PAGES} pages at 50 ms, three streams, on the clock",
            value=middle(ours, "wall"),
            unit="s",
            gate=1.3 * floor + 1,
            stretch=1.15 * floor + 0.7,
        ),
        Figure(target=5, what="- LIMIT, the streams together", value=middle(least, "wall"), unit="s"),
    ]


def memory(large: int, scratch: Path) -> list[Figure]:
    """Target 4."""
    peaks = []
    for rows in (3_400, large):
        with serving(customers=rows) as base:
            peaks.append(sync(house(scratch / f"memory-{rows}", base)).mib)
    what = f"memory for {3 * large:,} rows"
    return [
        Figure(target=4, what=what, value=peaks[1], unit="MiB", gate=120, stretch=90),
        Figure(target=4, what="- against 10,000 rows", value=peaks[1] / peaks[0], unit="x", gate=1.1, stretch=1.05),
    ]


def targets(names: list[str], *, rounds: int, rows: int, large: int) -> list[Figure]:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        found: list[Figure] = []
        if "full" in names:
            found += full(rows, rounds, scratch)
        if "rerun" in names:
            found += again(100, rounds, scratch, changed=0)
        if "changed" in names:
            found += again(4_000, rounds, scratch, changed=2_000)
        if "latency" in names:
            found += latency(rounds, scratch)
        if "memory" in names:
            found += memory(large, scratch)
    return found


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(NAMES)}; all but memory unless given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=10_000, help="rows of each stream")
    parser.add_argument("--large", type=int, default=333_400, help="rows of each stream for memory")
    parser.add_argument("--remember", action="store_true", help="add the figures to the history")
    options = parser.parse_args()
    found = targets(options.names or list(NAMES[:-1]), rounds=options.rounds, rows=options.rows, large=options.large)
    return finish("sync", found, remember=options.remember)


if __name__ == "__main__":
    raise SystemExit(main())
