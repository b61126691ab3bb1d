"""Run `make bench`: syncs, the CPU of requests and the load that the web server bears, in one table."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import engines
from tests.bench import cpu, engine, load, messages, syncs
from tests.bench.figures import Figure, table
from tests.run import clean_environment
from tests.settings_names import ROOT

FEW, MANY = 20_000, 1_000_000  # payments
FILLED_WITHIN_S = 200  # a slow machine gets fewer than MANY
COMPUTED = {"from nothing": 120 * FEW / MANY, "after a day changed": 0.5}  # s
COST = {"other requests": 1.5, "searches": 4}  # of many payments, in the CPU of the same with few


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--payments", type=int, help=f"default: {MANY:,}, or what is filled in {FILLED_WITHIN_S} s")
    arguments = parser.parse_args()
    reason = trouble(arguments.engine)
    if reason:
        sys.stderr.write(f"error: {reason}\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        for line in table(figures(Path(folder), arguments.engine, arguments.payments)):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    return 0


def trouble(name: str) -> str:
    """Why nothing can be measured here; empty: it can."""
    if not shutil.which("wrk"):
        return "make bench needs wrk; on Debian and Ubuntu: apt-get install wrk"
    return "; ".join(engines.missing()) if name == "postgresql" else ""


def figures(folder: Path, name: str, payments: int | None) -> Iterator[Figure]:
    homes = [folder / part for part in ("syncs", "few", "many", "messages")]
    for home in homes:
        home.mkdir()
    with engine.settings(name) as settings:
        yield from syncs.figures(homes[0], settings["DATABASE_URL"])
    with engine.settings(name) as settings:
        few = measured(FEW, clean_environment(homes[1], settings), "--economics")
    with engine.settings(name) as settings:
        yield from messages.figures(homes[3], settings["DATABASE_URL"])
    yield from economics(few)
    payments = payments or min(MANY, int(FEW * FILLED_WITHIN_S / few["fill_s"]))
    with engine.settings(name) as settings:
        environment = clean_environment(homes[2], settings)
        many = measured(payments, environment)
        load_1, _, _ = os.getloadavg()
        yield Figure("payments in the ledger", payments, "")
        yield Figure("load of the machine before, 1 minute", load_1, "")
        yield from (
            Figure(f"CPU, uncached: {path}", many["ms"][path], "ms", most) for path, most in cpu.TARGETS.items()
        )
        yield from costs(few["ms"], many["ms"])
        yield from load.figures(environment, folder)


def economics(few: dict[str, dict[str, float]]) -> Iterator[Figure]:
    """The splits and lives of few payments, and reads over three years: those cost by days, not by payments."""
    for (name, most_s), value in zip(COMPUTED.items(), few["computed_s"].values(), strict=True):
        yield Figure(f"splits and lives of {FEW:,} payments, {name}: CPU", value, "s", most_s)
    for address, ms in few["economics_ms"].items():
        yield Figure(f"CPU, uncached, 1,095 days: {address.partition('?')[0]}", ms, "ms", 60)


def costs(few: dict[str, float], many: dict[str, float]) -> Iterator[Figure]:
    for (kind, most), paths in zip(COST.items(), (cpu.TARGETS, cpu.SEARCHES), strict=True):
        yield Figure(f"cost of many payments, {kind}", max(many[path] / few[path] for path in paths), "x", most)


def measured(payments: int, environment: dict[str, str], *options: str) -> Any:
    """Fill the database and measure requests in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.cpu", str(payments), *options],
        cwd=ROOT,
        env=environment | {"DJANGO_SETTINGS_MODULE": "fluxtracker.settings"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    raise SystemExit(main())
