"""Prepare `make demo`: a simulated network, settings that point to it, and a year of history."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from fluxtracker import env
from fluxtracker.supervisor.processes import PYTHON, Program, responds

if TYPE_CHECKING:
    from fluxtracker.supervisor.main import Supervisor

BEGINNING = "network_began"
LONGEST_DEMO = 24 * 3600.0  # seconds after its first start during which a demo reuses its data
HASTENED = {"sync-revenue": 10, "collect-metrics": 60}  # seconds, so that there is something to watch
PAYMENTS, DAYS, BLOCKS_A_DAY = 12_000, 760, 2880
NETWORK = (
    *("--payments", str(PAYMENTS), "--days", str(DAYS), "--nodes", "1200", "--seed", "1", "--verbosity", "0"),
    *("--block-seconds", "30"),  # terms of apps are counted in blocks of 30 s
)
ATTEMPTS = 8  # each waits for half a minute
STEPS = (
    (
        "schedule",
        "syncing every ten seconds and collecting every minute here",
        (PYTHON, "-m", "fluxtracker.supervisor.demo"),
    ),
    ("sync", "reading the payments", (PYTHON, "manage.py", "sync_revenue")),
    ("metrics", "reading nodes, capacity and running apps", (PYTHON, "manage.py", "collect_metrics")),
    ("carousel", "reading benchmarks, new apps and apps that end next", (PYTHON, "manage.py", "refresh_carousel")),
    ("history", "simulating a year of history, marked as simulated", (PYTHON, "manage.py", "simulate_history")),
    ("services", "checking the services", (PYTHON, "manage.py", "check_services")),
    ("snapshot", "taking today's snapshot", (PYTHON, "manage.py", "take_snapshot")),
)
LATER = (  # run while the page is served, as it is not empty without them
    (
        "messages",
        "reading the messages of apps: who pays for what, until when",
        (PYTHON, "-m", "fluxtracker.supervisor.demo", "sync_messages"),
    ),
    (
        "census",
        "recording operators, places and running instances",
        (PYTHON, "-m", "fluxtracker.supervisor.demo", "take_census"),
    ),
    ("files", "writing the files of each month, for /data/", (PYTHON, "manage.py", "publish_files")),
    (
        "report",
        "mailing last month's report to this console; /reports/ shows it",
        (PYTHON, "-m", "fluxtracker.supervisor.demo", "report"),
    ),
)
PLAIN = (
    "DATABASE_URL",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "REVENUE_ADDRESSES",
    "CRYPTOCOMPARE_API_KEY",
    "ALERT_WEBHOOK_URL",
    "ALERT_EMAILS",
    "ALERT_URLS",
    "EMAIL_URL",
    "HEARTBEAT_URL",
    "OIDC_ISSUER",
    "HTTPS",
)


def environment(data_dir: Path) -> dict[str, str]:
    """Return the demo's settings: its own data, everything embedded, every source simulated on a free port."""
    from fluxtracker.simnet.server import settings_for  # not loaded by `make up`

    url = f"http://127.0.0.1:{free_port()}"
    return (
        dict.fromkeys(PLAIN, "")
        | settings_for(url)
        | {"BLOCKBOOK_URLS": f"{url}/blockbook/api/v2", "FLUXTRACKER_DATA_DIR": str(data_dir / "demo")}
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def remember(data_dir: Path, pace: float, settings: Mapping[str, str]) -> None:
    """Write the demo's settings into its data dir, for every command that uses it (env.read_demo)."""
    from fluxtracker.simnet.server import settings_for

    names = sorted({*PLAIN, *settings_for("")})
    lines = [_first_line(pace), *(f"{name}={settings.get(name, '')}" for name in names)]
    (data_dir / env.DEMO_FILE).write_text("\n".join(lines) + "\n")


def _first_line(pace: float) -> str:
    """Return what must match for a demo to reuse earlier data."""
    return f"# Written by `make demo`. Network: {' '.join(options(pace))}"


def pace(text: str) -> float:
    """Return the speed factor of payments, from 0.1 to 10,000; raise ValueError."""
    value = float(text)
    if not 0.1 <= value <= 10_000:
        raise ValueError
    return value


def options(pace: float) -> tuple[str, ...]:
    """Return the network's options. At pace 1, payments are as frequent as in its past."""
    return *NETWORK, "--payments-per-block", f"{pace * PAYMENTS / (DAYS * BLOCKS_A_DAY):.6f}"


def forget_when_old(data_dir: Path, now: float, pace: float) -> None:
    """Delete the data of a demo that started long ago or with another network, as it cannot be reused."""
    began, file = data_dir / BEGINNING, data_dir / env.DEMO_FILE
    is_same = file.exists() and file.read_text().startswith(_first_line(pace) + "\n")
    if is_same and began.exists() and now - began.stat().st_mtime < LONGEST_DEMO:
        return
    for path in (began, *data_dir.glob("fluxtracker.sqlite3*")):
        path.unlink(missing_ok=True)
    for folder in ("broker", "files"):
        shutil.rmtree(data_dir / folder, ignore_errors=True)


def fill(supervisor: Supervisor, data_dir: Path, pace: float) -> None:
    """Start the simulated network, read its history and simulate the rest."""
    port = int(os.environ["FLUX_API_URL"].rpartition(":")[2])
    supervisor.say("building a simulated Flux network with 1,200 nodes and two years of payments")
    child = supervisor.start(network(port, data_dir, pace))
    supervisor.wait_until(lambda: answers(port) or child.ended() is not None, 180)
    _take(supervisor, STEPS)


def complete(supervisor: Supervisor) -> None:
    """Read what the page does not need at first, then mail the report based on it."""
    _take(supervisor, LATER)


def _take(supervisor: Supervisor, steps: Sequence[tuple[str, str, tuple[str, ...]]]) -> None:
    for step, text, command in steps:
        if not supervisor.stopping:
            supervisor.say(text)
            supervisor.run_once(Program(step, command), needed=False)


def network(port: int, data_dir: Path, pace: float) -> Program:
    further = ("--port", str(port), "--remember", str(data_dir / BEGINNING), *options(pace))
    return Program("network", (PYTHON, "manage.py", "simulate_network", *further), foundation=True)


def answers(port: int) -> bool:
    return responds("127.0.0.1", port, "/blockbook/api/v2")


def _setup() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxtracker.settings")
    django.setup()


def hasten() -> None:
    """Edit rows of the schedule, as an operator would in the admin."""
    _setup()
    from django_celery_beat.models import IntervalSchedule, PeriodicTask

    for name, seconds in HASTENED.items():
        interval, _ = IntervalSchedule.objects.get_or_create(every=seconds, period=IntervalSchedule.SECONDS)
        PeriodicTask.objects.filter(name=name).update(interval=interval, expire_seconds=seconds)


def run_patiently(command: str) -> None:
    """Run a command, again if the worker's first run of the same blocked it."""
    _setup()
    from django.core.management import CommandError, call_command

    for left in range(ATTEMPTS)[::-1]:
        try:
            call_command(command)
        except CommandError:
            if not left:
                raise
        else:
            return


def mail_report() -> None:
    """Mail last month's report to this console, unless a reused demo has already."""
    _setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.ALERT_EMAILS = ["reader@example.org"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    call_command("kpi_report", send=True, stdout=StringIO())


if __name__ == "__main__":
    words = " ".join(sys.argv[1:])
    {"": hasten, "report": mail_report}.get(words, lambda: run_patiently(words))()
