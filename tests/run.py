"""`make test` and `make test-full`: the suite on each engine; what is skipped is said loudly.

The last line is the sum of all stages, for people and programs. With CI=true nothing may be skipped.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests import engines
from tests.settings_names import ROOT, setting_names

COUNTED = ("tests", "failures", "errors", "skipped")
PROCESSES, BROWSERS = ("tests/system", "tests/frame"), ("tests/browser",)  # mostly wait for others
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}  # hundreds of processes start: each would compile the project anew
QUICK = {"TEST_EXAMPLES": "20"}
NOTHING_FOUND = 5  # what pytest ends with when a stage has no test


@dataclass(frozen=True, slots=True)
class Stage:
    title: str
    marks: str
    settings: dict[str, str]
    """For the environment, besides those of the caller that are not ours."""
    paths: tuple[str, ...] = ()
    """What of the suite, as pytest's arguments say it; empty: all of it."""

    @property
    def heading(self) -> str:
        return f"{self.title}: pytest -m '{self.marks}'"


def stages(*, full: bool, browser: bool, production: bool) -> list[Stage]:
    """Each engine several times, side by side: what waits for processes or a browser, and the rest."""
    marks = "not bench" if full else "not bench and not slow"
    rest = tuple(f"--ignore={path}" for path in PROCESSES + BROWSERS)
    speed = {} if full else QUICK
    found = [
        Stage("SQLite and the embedded broker", marks, speed, rest),
        Stage("SQLite and the embedded broker, processes", marks, speed, PROCESSES),
    ]
    if browser:
        found.append(Stage("SQLite and the embedded broker, browsers", marks, speed, BROWSERS))
    if production:
        engine = marks if full else f"engine and {marks}"
        found += [
            Stage("PostgreSQL and Redis", engine, speed | engines.production(), rest),
            Stage("PostgreSQL and Redis, processes", engine, speed | engines.production(beside=1), PROCESSES),
        ]
        if browser and full:  # what is slow here is slow by its number of screens, which see no engine
            quick = f"{marks} and not slow"
            found.append(Stage("PostgreSQL and Redis, browsers", quick, speed | engines.production(beside=2), BROWSERS))
    return found


def clean_environment(data_dir: Path, settings: dict[str, str]) -> dict[str, str]:
    """The caller's environment with every setting of ours at its default."""
    ours = dict.fromkeys(setting_names(), "") | {"FLUXTRACKER_DATA_DIR": str(data_dir)}
    return {**os.environ, **COMPILED, **ours, **settings}


def run(stage: Stage, folder: Path, extra: list[str], output: IO[str] | None = None) -> Counter[str]:
    """Run one stage; a stage that could not run at all counts as one failure."""
    folder.mkdir(exist_ok=True)
    report = folder / "report.xml"
    code = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-m", stage.marks, f"--junitxml={report}", *stage.paths, *extra],
        cwd=ROOT,
        env=clean_environment(folder / "data", stage.settings),
        check=False,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
    ).returncode
    counts = counted(report)
    if code not in (0, NOTHING_FOUND) and not counts["failures"] + counts["errors"]:
        counts["errors"] += 1
    return counts


def run_all(found: list[Stage], folder: Path, extra: list[str]) -> Counter[str]:
    """All stages at once: the first is watched, what the others say comes after it."""
    with ThreadPoolExecutor() as pool:
        logs = [(folder / f"{number}.log").open("w+") for number in range(1, len(found))]
        later = [
            pool.submit(run, stage, folder / str(number), extra, log)
            for number, (stage, log) in enumerate(zip(found[1:], logs, strict=True))
        ]
        say(found[0].heading)
        total = run(found[0], folder / "first", extra)
        for stage, log, counts in zip(found[1:], logs, later, strict=True):
            total += counts.result()
            say(stage.heading)
            log.seek(0)
            sys.stdout.write(log.read())
            log.close()
    return total


def counted(report: Path) -> Counter[str]:
    try:
        suite = ET.parse(report).getroot().find("testsuite")
    except (OSError, ET.ParseError):
        suite = None
    return Counter({key: int(suite.get(key, 0)) if suite is not None else 0 for key in COUNTED})


def closing_line(total: Counter[str]) -> str:
    failed = total["failures"] + total["errors"]
    passed = max(total["tests"] - failed - total["skipped"], 0)
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    return f"{passed} passed, {failed} failed{skipped}"


def say(text: str) -> None:
    sys.stdout.write(f"\n=== {text} ===\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.run")
    parser.add_argument("--full", action="store_true", help="the slow ones too, everything on both engines")
    options, extra = parser.parse_known_args()
    missing, browser = engines.missing(), engines.chromium()
    skipped = [f"the tests on PostgreSQL and Redis ({reason})" for reason in missing]
    skipped += [] if browser else ["the browser tests (no chromium; apt-get install chromium)"]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = stages(full=options.full, browser=bool(browser), production=not missing)
        total = run_all(found, Path(folder), extra)
    for what in skipped:
        say(f"SKIPPED: {what}")
    failed = bool(total["failures"] + total["errors"]) or not total["tests"]
    if os.environ.get("CI") == "true" and (skipped or total["skipped"]):
        say("nothing may be skipped in CI")
        failed = True
    say(f"{time.monotonic() - started:.0f} s")
    sys.stdout.write(closing_line(total) + "\n")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
