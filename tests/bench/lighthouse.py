"""Run `make lighthouse`: each kind of page on a demo as Lighthouse's mobile preset judges it, then the page on slow 4G.

Needs npm and Chromium. Lighthouse is not one of our parts: npm fetches it when it is asked for.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from fluxtracker.periods import Bucket, Period
from tests import engines
from tests.bench import vitals
from tests.bench.figures import table
from tests.bench.serving import Served, serving
from tests.run import clean_environment
from tests.waiting import eventually

LIGHTHOUSE = "lighthouse@13"
TARGET = 95  # of 100
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
NOT_ASKED = "is-crawlable"  # a demo keeps search engines out
PAGES = (
    "/", "/data/", "/status", "/live", "/embed/chart", "/reports/month/{month}/", "/app/{app}", "/owner/{owner}",
    "/payer/{payer}", "/tx/{tx}", "/day/{day}", "/block/{block}", "/api/docs/", "/api/", "/admin/login/",
)  # fmt: skip
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
)
FILLED_WITHIN = 300  # s


def demo(folder: Path) -> AbstractContextManager[Served]:
    """The address of a demo of our own."""
    command = [sys.executable, "-m", "fluxtracker.supervisor.main", "--demo"]
    return serving(command, clean_environment(folder, {}), within_s=FILLED_WITHIN)


def addresses(url: str) -> list[str]:
    """Each kind of page, about the last payment of last month that is for an app with an owner."""
    now = datetime.now(UTC)
    last = Period.containing(Bucket.MONTH, now).previous().key
    payments = _json(f"{url}/api/revenue/transactions?limit=100&range={last}")["transactions"]
    found = ((payment, _json(f"{url}/api/apps/{payment['app_name']}")) for payment in payments if payment["app_name"])
    payment, app = next((payment, app) for payment, app in found if app["owner"])
    values = {
        "month": last, "app": app["name"], "owner": app["owner"], "payer": payment["from_address"],
        "tx": payment["txid"], "day": now.date(), "block": payment["block_height"],
    }  # fmt: skip
    return [page.format(**values) for page in PAGES]


def _json(address: str) -> Any:
    with urlopen(address) as answer:
        return json.load(answer)


def scores(address: str, report: Path) -> dict[str, int]:
    """Of 100, by category."""
    subprocess.run(
        ["npx", "--yes", LIGHTHOUSE, address, "--quiet", "--output=json", f"--output-path={report}",
         f"--only-categories={','.join(CATEGORIES)}", f"--skip-audits={NOT_ASKED}", f"--chrome-flags={FLAGS}"],
        env={**os.environ, "CHROME_PATH": engines.chromium() or "", "npm_config_loglevel": "error"},
        check=True,
    )  # fmt: skip
    found = json.loads(report.read_text())
    return {name: round(100 * (found["categories"][name]["score"] or 0)) for name in CATEGORIES}


def main() -> int:
    if engines.chromium() is None or shutil.which("npx") is None:
        sys.stderr.write("error: make lighthouse needs a chromium and npm, which comes with Node.js\n")
        return 1
    short = 0
    with tempfile.TemporaryDirectory() as folder, demo(Path(folder)) as site:
        eventually(lambda: bool(_json(f"{site.url}/data/files/")["months"]), FILLED_WITHIN)  # its last step but one
        sys.stdout.write(f"{'at least ' + str(TARGET):<32}" + "".join(f"{name:>16}" for name in CATEGORIES) + "\n")
        for path in addresses(site.url):
            found = scores(site.url + path, Path(folder) / "report.json")
            sys.stdout.write(f"{path[:30]:<32}" + "".join(f"{value:>16}" for value in found.values()) + "\n")
            sys.stdout.flush()
            short += min(found.values()) < TARGET
        for line in table(vitals.figures(site.url)):
            sys.stdout.write(f"{line}\n")
    return int(bool(short))


if __name__ == "__main__":
    raise SystemExit(main())
