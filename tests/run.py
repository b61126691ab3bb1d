"""Run `make test` and `make test-full`: the suite on each engine, with a clear report of what is skipped.

The last line is the sum of all stages, for people and programs. With CI=true nothing may be skipped.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests import engines
from tests.settings_names import ROOT, setting_names

COUNTED = ("tests", "failures", "errors", "skipped")
BROWSERS = ("tests/browser",)
PARTS: dict[str, tuple[str, ...]] = {  # what takes longest in the full run first; (): what no other part names
    "kills": (
        *("tests/system/test_job_kills.py", "tests/system/test_backup_kills.py"),
        *("tests/system/test_kills.py", "tests/system/test_kills_under_load.py"),
    ),
    "the ledger and its history": (
        *("tests/counts", "tests/deployments", "tests/reports", "tests/revenue", "tests/snapshots"),
    ),
    "processes": ("tests/system", "tests/frame"),
    "browsers": BROWSERS,
    "the rest": (),
    "operations": ("tests/access", "tests/admin", "tests/ops"),
    "pages": ("tests/api", "tests/dashboard"),
    "wrong answers": ("tests/system/test_bad_answers.py",),
}
ON_BOTH = ("the rest", "operations", "the ledger and its history", "pages")  # what `make test` runs on PostgreSQL too
OTHER_PARTS = ("the rest", "operations", "browsers", "wrong answers")  # PostgreSQL gets what is marked
FEW_PARTS = (
    "operations",
    "processes",
    "the ledger and its history",
    "the rest",
    "pages",
    "browsers",
)  # the longest first
FOLDERS = {  # of an app, where it has more than the one with its name
    "fluxtracker": ("tests/api", "tests/frame", "tests/simnet", "tests/upstream"),
    "ops": ("tests/access", "tests/admin", "tests/ops"),
    "revenue": ("tests/counts", "tests/revenue"),
}
AT_ONCE = 4  # on two cores: half of them wait for other processes
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}  # hundreds of processes start: each would compile the project again
QUICK = {"TEST_EXAMPLES": "8"}
AGAIN = {"TEST_EXAMPLES": "25"}  # of a law on the second engine: CI draws the same examples for both
ALL, NOT_SLOW = "not bench", "not bench and not slow"
LAWS = "law or hypothesis"  # the plugin of hypothesis sets its mark
MORE = f"slow or {LAWS}"  # what the full run does more of
LOG = "log"
RUN = "TESTS_RUN"  # in the environment of every process that a run starts, however far down
PATIENCE = 60.0  # seconds for pytest to clear up after Ctrl-C
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


def stages(*, full: bool, browser: bool, production: bool, after_test: bool = False, only: str = "") -> list[Stage]:
    """The suite in parts, each on one engine and then on the other. No two share a database.

    `after_test`: of the full run what `make test` does not do, for who has just called it. `only`: one path of it.
    """
    speed = ({} if full else QUICK) | ({engines.BOTH: "1"} if production else {})
    marks = ALL if full else NOT_SLOW
    found = []
    for number, (part, paths) in enumerate({only: (only,)}.items() if only else parts(full=full).items()):
        in_browser = paths[:1] == BROWSERS
        if in_browser and not browser:
            continue
        on_sqlite = f"{marks} and ({MORE})" if after_test else marks
        found.append(Stage(f"SQLite and the embedded broker, {part}", on_sqlite, speed, paths))
        on_second = marks_of_second(part, full, after_test)
        if production and on_second:
            settings = AGAIN | speed | engines.production(beside=number) | {engines.SECOND: "1"}
            found.append(Stage(f"PostgreSQL and Redis, {part}", on_second, settings, paths))
    return found


def marks_of_second(part: str, full: bool, after_test: bool) -> str:
    """Return which tests of a part run on PostgreSQL and Redis too; empty: none."""
    if not full:
        return f"engine and {NOT_SLOW} and not ({LAWS})" if part in ON_BOTH else ""
    if part in OTHER_PARTS:
        return f"engine and {ALL} and ({MORE})" if after_test and part in ON_BOTH else f"engine and {ALL}"
    everything = f"{ALL} and (engine or not further)"
    return f"{everything} and ({MORE} or not engine)" if after_test and part in ON_BOTH else everything


def stages_of(app: str) -> list[Stage]:
    """An app's own tests on SQLite, in two halves for two cores."""
    files = [path for folder in folders(app) for path in (ROOT / folder).rglob("test_*.py")]
    ordered = [path.relative_to(ROOT).as_posix() for path in sorted(files, key=lambda path: -path.stat().st_size)]
    halves = (tuple(ordered[::2]), tuple(ordered[1::2]))
    return [Stage(f"{app} on SQLite, {n} of 2", NOT_SLOW, QUICK, half) for n, half in enumerate(halves, 1) if half]


def folders(app: str) -> tuple[str, ...]:
    found = FOLDERS.get(app, (f"tests/{app}",))
    is_app = app.isidentifier() and (ROOT / app / "__init__.py").exists() and (ROOT / found[0]).exists()
    return found if is_app else ()


def parts(*, full: bool) -> dict[str, tuple[str, ...]]:
    """Pytest's arguments for each part: together they are the whole suite, and nothing is in two of them."""
    chosen = PARTS if full else {part: PARTS[part] for part in FEW_PARTS}
    named = [path for paths in chosen.values() for path in paths]

    def arguments(paths: tuple[str, ...]) -> tuple[str, ...]:
        others = [path for path in named if not paths or any(path.startswith(f"{mine}/") for mine in paths)]
        return (*paths, *(f"--ignore={other}" for other in others))

    return {part: arguments(paths) for part, paths in chosen.items()}


def clean_environment(data_dir: Path, settings: dict[str, str]) -> dict[str, str]:
    """The caller's environment with every setting of ours at its default."""
    ours = dict.fromkeys(setting_names(), "") | {"FLUXTRACKER_DATA_DIR": str(data_dir)}
    return {**os.environ, **COMPILED, **ours, **settings}


def run(stage: Stage, folder: Path, extra: list[str], started: list[subprocess.Popen[bytes]]) -> Counter[str]:
    """Run one stage, its words in `log`; a stage that could not run at all counts as one failure."""
    folder.mkdir(exist_ok=True)
    report = folder / "report.xml"
    with (folder / LOG).open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-rs", "-m", stage.marks, f"--junitxml={report}", *stage.paths, *extra],
            cwd=ROOT,
            env=clean_environment(folder / "data", stage.settings) | {RUN: str(folder.parent)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours to pass on
        )
        started.append(process)
        code = process.wait()
    counts = counted(report)
    if code not in (0, NOTHING_FOUND) and not counts["failures"] + counts["errors"]:
        counts["errors"] += 1
    return counts


def run_all(found: list[Stage], folder: Path, extra: list[str]) -> Counter[str]:
    """Some stages at a time; what each of them says comes when it has ended. Ctrl-C ends them."""
    total: Counter[str] = Counter()
    started: list[subprocess.Popen[bytes]] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        places = {folder / str(number): stage for number, stage in enumerate(found)}
        running = {pool.submit(run, stage, place, extra, started): (stage, place) for place, stage in places.items()}
        try:
            for done in as_completed(running):
                stage, place = running[done]
                say(stage.heading)
                sys.stdout.write((place / LOG).read_text())
                sys.stdout.flush()
                total += done.result()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            try:
                interrupt(started)
            finally:  # a second Ctrl-C ends everything at once
                end_leftovers(folder)
            raise
    return total


def interrupt(started: list[subprocess.Popen[bytes]]) -> None:
    """Let every pytest clear up, and then wait for none any more."""
    end, told = time.monotonic() + PATIENCE, set[int]()
    while living := [process for process in started if process.poll() is None]:
        for process in living:
            if process.pid not in told or time.monotonic() > end:
                process.send_signal(signal.SIGKILL if process.pid in told else signal.SIGINT)
                told.add(process.pid)
        time.sleep(0.05)


def end_leftovers(folder: Path) -> list[str]:
    """End whatever a run has started and left behind; their command lines."""
    left = list(of_run(folder))
    for process, _ in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs([process for process, _ in left], timeout=10)
    return [line for _, line in left]


def of_run(folder: Path) -> Iterator[tuple[psutil.Process, str]]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(RUN) == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                yield process, " ".join(process.cmdline())


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
    parser.add_argument("--after-test", action="store_true", help="with --full: only what the run without it left out")
    parser.add_argument("--only", default="", metavar="PATH", help="this path alone, on both engines")
    parser.add_argument("--app", default="", help="the tests of this app alone, on SQLite")
    options, extra = parser.parse_known_args()
    if options.after_test and not options.full:
        parser.error("--after-test goes with --full")
    if options.app and not folders(options.app):
        parser.error(f"no app with tests is called {options.app}")
    skipped: list[str] = []
    if options.app:
        found = stages_of(options.app)
    else:
        missing, browser = engines.missing(), engines.chromium()
        skipped = [f"the tests on PostgreSQL and Redis ({reason})" for reason in missing]
        if not browser and not options.only:
            skipped.append("the browser tests (no chromium; apt-get install chromium-headless-shell)")
        found = stages(
            full=options.full,
            after_test=options.after_test,
            browser=bool(browser),
            production=not missing,
            only=options.only,
        )
    for number in (signal.SIGINT, signal.SIGTERM):  # the first may be ignored, as in a background job
        signal.signal(number, signal.default_int_handler)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        say(f"{len(found)} parts, {AT_ONCE} at a time; each is shown when it has ended")
        try:
            total = run_all(found, Path(folder), extra)
        except KeyboardInterrupt:
            say("stopped")
            return 130
        finally:
            for line in end_leftovers(Path(folder)):
                say(f"LEFT BEHIND by a test, and ended: {line[:200]}")
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
