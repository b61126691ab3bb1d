"""Run `make lighthouse`: Lighthouse's mobile preset on the demo's page. Needs npm and Chromium.

Lighthouse is not one of our parts: npm fetches it when it is asked for.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from tests import engines
from tests.bench.serving import Served, serving
from tests.run import clean_environment

LIGHTHOUSE = "lighthouse@13"
TARGET = 95  # of 100
CATEGORIES = ("performance", "accessibility", "best-practices")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
)
FILLED_WITHIN = 300  # s


def demo(folder: Path) -> AbstractContextManager[Served]:
    """The address of a demo of our own."""
    command = [sys.executable, "-m", "fluxtracker.supervisor.main", "--demo"]
    return serving(command, clean_environment(folder, {}), within_s=FILLED_WITHIN)


def scores(address: str, report: Path) -> dict[str, float]:
    """Of 100, by category, and the layout shift."""
    subprocess.run(
        ["npx", "--yes", LIGHTHOUSE, address, "--quiet", "--output=json", f"--output-path={report}",
         f"--only-categories={','.join(CATEGORIES)}", f"--chrome-flags={FLAGS}"],
        env={**os.environ, "CHROME_PATH": engines.chromium() or ""},
        check=True,
    )  # fmt: skip
    found = json.loads(report.read_text())
    points = {name: round(100 * found["categories"][name]["score"]) for name in CATEGORIES}
    return points | {"layout shift": round(found["audits"]["cumulative-layout-shift"]["numericValue"], 3)}


def main() -> int:
    if engines.chromium() is None or shutil.which("npx") is None:
        sys.stderr.write("error: make lighthouse needs a chromium and npm, which comes with Node.js\n")
        return 1
    with tempfile.TemporaryDirectory() as folder, demo(Path(folder)) as site:
        found = scores(site.url, Path(folder) / "report.json")
    for name, value in found.items():
        sys.stdout.write(f"  {name:<20}{value:>8}{f'  ({TARGET})' if name in CATEGORIES else ''}\n")
    return int(any(found[name] < TARGET for name in CATEGORIES))


if __name__ == "__main__":
    raise SystemExit(main())
