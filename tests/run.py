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
from dataclasses import dataclass
from pathlib import Path

from tests import engines
from tests.settings_names import ROOT, setting_names

COUNTED = ("tests", "failures", "errors", "skipped")


@dataclass(frozen=True, slots=True)
class Stage:
    title: str
    marks: str
    settings: dict[str, str]


def stages(*, full: bool, browser: bool, production: bool) -> list[Stage]:
    marks = "not bench" if full else "not bench and not slow"
    marks += "" if browser else " and not browser"
    found = [Stage("SQLite and the embedded broker", marks, {})]
    if production:
        engine = marks if full else f"engine and {marks}"
        found.append(Stage("PostgreSQL and Redis", engine, engines.production()))
    return found


def clean_environment(data_dir: Path, settings: dict[str, str]) -> dict[str, str]:
    """The caller's environment with every setting of ours at its default."""
    ours = dict.fromkeys(setting_names(), "") | {"FLUXTRACKER_DATA_DIR": str(data_dir)}
    return {**os.environ, **ours, **settings}


def run(stage: Stage, folder: Path, extra: list[str]) -> Counter[str]:
    """Run one stage; a stage that could not run at all counts as one failure."""
    say(f"{stage.title}: pytest -m '{stage.marks}'")
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    code = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", stage.marks, f"--junitxml={report}", *extra],
        cwd=ROOT,
        env=clean_environment(folder / "data", stage.settings),
        check=False,
    ).returncode
    counts = counted(report)
    if code and not counts["failures"] + counts["errors"]:
        counts["errors"] += 1
    return counts


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
    total, started = Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for stage in stages(full=options.full, browser=bool(browser), production=not missing):
            total += run(stage, Path(folder), extra)
    for what in skipped:
        say(f"SKIPPED: {what}")
    failed = bool(total["failures"] + total["errors"])
    if os.environ.get("CI") == "true" and (skipped or total["skipped"]):
        say("nothing may be skipped in CI")
        failed = True
    say(f"{time.monotonic() - started:.0f} s")
    sys.stdout.write(closing_line(total) + "\n")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
