"""Prepare `make demo`: a simulated network, settings that point to it, and a year of history."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from fluxtracker.supervisor.processes import PYTHON, Program, responds

if TYPE_CHECKING:
    from fluxtracker.supervisor.main import Supervisor

BEGINNING = "network_began"
LONGEST_DEMO = 24 * 3600.0  # seconds after its first start for which a demo continues with its data
HASTENED = {"sync-revenue": 10, "collect-metrics": 60}  # seconds, so that there is something to watch
NETWORK = (
    *("--payments", "12000", "--days", "400", "--nodes", "1200", "--seed", "1", "--verbosity", "0"),
    *("--block-seconds", "5", "--payments-per-block", "0.5"),
)
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
PLAIN = (
    "DATABASE_URL",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "REVENUE_ADDRESSES",
    "CRYPTOCOMPARE_API_KEY",
    "ALERT_WEBHOOK_URL",
    "ALERT_EMAILS",
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


def forget_when_old(data_dir: Path, now: float) -> None:
    """Delete the data of a demo that started long ago: its network would have too many blocks to catch up with."""
    began = data_dir / BEGINNING
    if began.exists() and now - began.stat().st_mtime < LONGEST_DEMO:
        return
    for path in (began, *data_dir.glob("fluxtracker.sqlite3*")):
        path.unlink(missing_ok=True)
    shutil.rmtree(data_dir / "broker", ignore_errors=True)


def fill(supervisor: Supervisor, data_dir: Path) -> None:
    """Start the simulated network, read its history and simulate the rest."""
    port = int(os.environ["FLUX_API_URL"].rpartition(":")[2])
    supervisor.say("building a simulated Flux network with 1,200 nodes and a year of payments")
    child = supervisor.start(network(port, data_dir))
    supervisor.wait_until(lambda: answers(port) or child.ended() is not None, 180)
    for step, text, command in STEPS:
        if not supervisor.stopping:
            supervisor.say(text)
            supervisor.run_once(Program(step, command), needed=False)


def network(port: int, data_dir: Path) -> Program:
    options = ("--port", str(port), "--remember", str(data_dir / BEGINNING), *NETWORK)
    return Program("network", (PYTHON, "manage.py", "simulate_network", *options), foundation=True)


def answers(port: int) -> bool:
    return responds("127.0.0.1", port, "/blockbook/api/v2")


def hasten() -> None:
    """Edit rows of the schedule, as an operator would in the admin."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxtracker.settings")
    django.setup()
    from django_celery_beat.models import IntervalSchedule, PeriodicTask

    for name, seconds in HASTENED.items():
        interval, _ = IntervalSchedule.objects.get_or_create(every=seconds, period=IntervalSchedule.SECONDS)
        PeriodicTask.objects.filter(name=name).update(interval=interval, expire_seconds=seconds)


if __name__ == "__main__":
    hasten()
