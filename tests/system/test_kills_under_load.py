"""`kill -9` of every process in random order, under load, while the chain reorganises: nothing lost, doubled or wrong.

`make kills KILLS=200 SEED=7` does more of it. Each part begins with an empty ledger and is named by its seed.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import psutil
import pytest

from fluxtracker.supervisor import processes
from fluxtracker.supervisor.demo import free_port
from ops import registry
from tests.mailbox import Mailbox
from tests.marks import share
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.system.home import REDIS, Home
from tests.system.ledger import assert_named, assert_sums_hold, assert_true, rows, truth
from tests.system.test_celery import UP
from tests.system.test_job_kills import LEASES, held, wait_for_the_day
from tests.system.test_jobs import Answer, client
from tests.waiting import AMPLE, eventually

pytestmark = [pytest.mark.engine, pytest.mark.slow]

PART = 20  # kills of one installation
KILLS = int(os.environ.get("KILLS") or len(share(PART)))
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
PARTS = [(SEED + number, min(PART, KILLS - number * PART)) for number in range(-(-KILLS // PART))]
DEEPEST = 60  # blocks that a reorganisation replaces

VICTIMS = ["up", "web", "web child", "worker", "worker child", "beat", "command", *([] if REDIS else ["broker"])]
COMMAND_LINES = {"web.server": "web", " worker ": "worker", " beat ": "beat", "unixsocket": "broker"}
COMMANDS = (
    "sync_revenue", "sync_revenue --full", "audit_revenue --fix", "backfill_app_names --all", "backfill_usd",
    "collect_metrics", "check_services", "refresh_carousel", "sync_messages --full", "check_snapshot",
    "backfill_snapshots --days 60", "prune", "backup",
)  # fmt: skip
JOBS = sorted({*registry.jobs()} - {"clear-revenue-data"})
PAGES = (
    "", "export/payments.csv", "api/health", "api/stats", "api/metrics/current", "api/analytics/comparison?period=W",
    "api/analytics/apps", "api/revenue/transactions?limit=1000", "api/revenue/daily?days=300", "api/revenue/monthly",
    "api/history/snapshots", "api/carousel/stats", "api/admin/revenue-status",
)  # fmt: skip

FACTS = "SELECT txid, vout, amount_sat, usd_micro, app_id FROM revenue_payment WHERE height <= {}"
PRICES = "SELECT day, price_usd FROM revenue_dailyprice WHERE price_usd IS NOT NULL"
SNAPSHOTS = "SELECT day, source FROM snapshots_snapshot"
ENDED_WELL = "SELECT COUNT(*) FROM ops_taskrun WHERE name = 'sync_revenue' AND ok"
ACTIVE = "SELECT name, state, attempts FROM ops_job WHERE state IN ('queued', 'running')"
RUNS = "SELECT name, trigger, started_at, ok, error FROM ops_taskrun ORDER BY id DESC LIMIT 20"
FAILED = (  # a report and a snapshot may be asked for before there is what they are made of
    "SELECT name, failure, error FROM ops_job WHERE failure NOT IN ('', 'running', 'worker', 'broker')"
    " AND NOT (failure = 'refused' AND name IN ('send-report', 'snapshot'))"
)


class Load:
    """Readers and staff who ask without a pause; what they are answered must never be wrong."""

    def __init__(self, ask: Callable[..., Answer], port: int, seed: int) -> None:
        self.ask, self.port = ask, port
        self.answers: Counter[tuple[str, int]] = Counter()
        self._over = threading.Event()
        steps = (self.read, self.read, self.start_a_job)
        self._threads = [
            threading.Thread(target=self._repeat, args=(step, random.Random(seed + number)), daemon=True)
            for number, step in enumerate(steps)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(AMPLE)

    def _repeat(self, step: Callable[[random.Random], tuple[str, int]], rng: random.Random) -> None:
        while not self._over.wait(0.2):
            with suppress(OSError, http.client.HTTPException, json.JSONDecodeError):  # the process was killed
                self.answers[step(rng)] += 1

    def read(self, rng: random.Random) -> tuple[str, int]:
        page = rng.choice(PAGES)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{page}", timeout=30) as response:
                response.read()
                return page, response.status
        except urllib.error.HTTPError as error:
            return page, error.code

    def start_a_job(self, rng: random.Random) -> tuple[str, int]:
        name = rng.choice(JOBS)
        self._over.wait(2)
        return f"job {name}", self.ask(f"admin/{name}?wait=0", {})[0]

    @property
    def wrong(self) -> list[tuple[str, int]]:
        return [(page, code) for page, code in self.answers if code not in (200, 202, 409, 503)]

    @property
    def read_well(self) -> int:
        return sum(count for (page, code), count in self.answers.items() if code == 200)


class Siege:
    """An installation as `make up` runs it, and the kills."""

    def __init__(self, home: Home, sim: SimServer, seed: int) -> None:
        self.home, self.sim, self.rng = home, sim, random.Random(seed)
        self.settled = sim.world.tip_height - DEEPEST - 40
        self.ever_true = truth(sim.world)
        self.kept: dict[tuple[Any, ...], Any] = {}
        self.killed: list[str] = []
        self.up = home.run(UP)
        self.command = self.start_a_command()

    # What runs

    def start_a_command(self) -> subprocess.Popen[str]:
        return self.home.start(*self.rng.choice(COMMANDS).split())

    def tend(self) -> None:
        """Start `make up` again when it has ended, as an operator's system does."""
        if self.up.poll() is not None:
            self.up = self.home.run(UP)

    def go_on_commanding(self) -> None:
        if self.command.poll() is not None:
            outcome = self.home.finish(self.command)
            assert (outcome.code in (-9, 0, 1), "Traceback" in outcome.err) == (True, False), outcome
            self.command = self.start_a_command()

    def living(self, name: str) -> list[psutil.Process]:
        self.tend()
        with suppress(psutil.NoSuchProcess):
            if name == "command":
                self.go_on_commanding()
                return [psutil.Process(self.command.pid)]
            top = psutil.Process(self.up.pid)
            if name == "up":
                return [top]
            program, _, child = name.partition(" ")
            found = [process for process in top.children() if called(process) == program]
            return [process for parent in found for process in parent.children()] if child else found
        return []

    # What happens to it

    def change_the_chain(self) -> None:
        """New blocks with payments; often they replace others."""
        world, app = self.sim.world, f"app{self.rng.randrange(9)}"
        if self.rng.random() < 0.6:
            depth = self.rng.choice((1, 3, 12, 30, DEEPEST))
            world.reorg(depth, drop=0.2, move=0.3, payments=[world.payment(app=app)])
        world.mine(self.rng.randint(1, 4), [world.payment(app=app), world.payment()])
        self.ever_true |= truth(world)

    def kill(self, name: str) -> None:
        self.go_on_commanding()
        assert eventually(lambda: self.living(name)), f"{name} does not come back"
        time.sleep(self.rng.random() * 1.5)
        assert eventually(lambda: self.living(name)), f"{name} does not come back"
        with suppress(psutil.NoSuchProcess):
            self.rng.choice(self.living(name) or [psutil.Process(self.up.pid)]).kill()
        self.killed.append(name)

    # What must hold

    def look(self) -> None:
        """At any instant: no row that never was true, none twice, no sum off, and nothing goes that was there."""
        assert rows(self.home.query) <= self.ever_true
        assert_sums_hold(self.home.query)
        facts: dict[tuple[Any, ...], Any] = {("price", str(day)): price for day, price in self.home.query(PRICES)}
        for txid, vout, *values in self.home.query(FACTS.format(self.settled)):
            facts |= {(txid, vout, place): value for place, value in enumerate(values) if value is not None}
        assert self.kept.items() <= facts.items()
        self.kept = facts

    def wait_for_work(self, load: Load) -> None:
        """Until a sync has ended well and a reader was answered since."""
        before, read = self.home.query(ENDED_WELL)[0][0], load.read_well

        def worked() -> bool:
            self.tend()
            return bool(self.home.query(ENDED_WELL)[0][0] > before and load.read_well > read)

        assert eventually(worked), self.logs()

    def is_whole(self) -> bool:
        """Whether all is there, with nothing left to do."""
        self.tend()
        self.home.execute("UPDATE ops_job SET sent_at = NULL WHERE state = 'queued'")  # as a minute later
        return (
            rows(self.home.query) == truth(self.sim.world)
            and self.home.query(ACTIVE) == []
            and (datetime.now(UTC).date(), "taken") in snapshots(self.home)
        )

    def logs(self) -> str:
        states = [self.home.query(statement) for statement in (ACTIVE, LEASES, RUNS)]
        return f"killed {self.killed}\n{states}\n{self.home.log('up')[-4000:]}"

    def end(self) -> None:
        self.home.kill(self.command)
        self.command.communicate()
        self.up.terminate()
        self.up.wait(AMPLE)


def called(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    return next((name for word, name in COMMAND_LINES.items() if word in line), "")


def is_well(ask: Callable[..., Answer]) -> bool:
    """Whether every program is there and the ledger keeps up, by its own account."""
    _, health = ask("health", method="GET")
    return {health[part]["status"] for part in ("db", "broker", "worker")} == {"ok"} and health["sync"]["healthy"]


def snapshots(home: Home) -> list[tuple[date, str]]:
    return [(date.fromisoformat(str(day)), source) for day, source in home.query(SNAPSHOTS)]


def hasten(home: Home) -> None:
    """Let the sync run every second or two, and all else that is scheduled a few times a minute."""
    for seconds, names in ((2, "name = 'sync-revenue'"), (20, "name <> 'sync-revenue' AND task NOT LIKE 'celery%'")):
        home.execute(f"INSERT INTO django_celery_beat_intervalschedule (every, period) VALUES ({seconds}, 'seconds')")
        home.execute(
            "UPDATE django_celery_beat_periodictask SET expire_seconds = 60, interval_id = (SELECT MAX(id)"
            f" FROM django_celery_beat_intervalschedule) WHERE {names}"
        )


def victims(rng: random.Random, kills: int) -> list[str]:
    """Every process in random order, over and over."""
    return [name for _ in range(kills) for name in rng.sample(VICTIMS, len(VICTIMS))][:kills]


@pytest.fixture
def siege(home: Home, mailbox: Mailbox, request: pytest.FixtureRequest) -> Iterator[Siege]:
    wait_for_the_day()
    seed = request.node.callspec.params["seed"]
    with SimServer(World(seed=seed, payments=2_000, days=300, nodes=40, frozen=True)) as sim:
        home.settings |= sim.env() | {"PORT": str(free_port())} | mailbox.settings
        home.start_broker() if REDIS else None
        hasten(home)
        made = Siege(home, sim, seed)
        yield made
        made.end()
        processes.end_leftovers(home.data_dir)


@pytest.mark.parametrize(("seed", "kills"), PARTS)
def test_kills_of_every_process_lose_double_and_break_nothing(home: Home, siege: Siege, seed: int, kills: int):
    started = datetime.now(UTC).date()
    port = int(home.settings["PORT"])
    ask = client(home, port)
    with Load(ask, port, seed) as load:
        for number, name in enumerate(victims(siege.rng, kills)):
            siege.kill(name)
            siege.look()
            siege.change_the_chain()
            if number % 4 == 3:
                siege.wait_for_work(load)
        since = time.monotonic()
        siege.wait_for_work(load)
    assert eventually(siege.is_whole), siege.logs()
    healed = time.monotonic() - since
    assert eventually(lambda: is_well(ask)), ask("health", method="GET")
    siege.look()
    siege.end()
    assert siege.up.returncode == 0
    assert load.wrong == []
    assert home.query(FAILED) == []
    assert held(home) == []
    for command in ("sync_revenue", "backfill_app_names --all", "backup"):
        assert home.manage(*command.split()).code == 0, command
    report = home.manage("audit_revenue", "--blocks", "1000000", "--json").report
    assert (report["missing"], report["extra"], report["different"]) == (0, 0, 0)
    siege.look()
    assert len(siege.kept) > 1_000
    assert_true(siege.sim.world, home.query)
    assert_named(siege.sim.world, home.query)
    taken = [day for day, source in snapshots(home) if source == "taken"]
    assert len(taken) == len(set(taken))
    assert {started} <= set(taken) <= {started, datetime.now(UTC).date()}
    found = ", ".join(f"{name} {count}" for name, count in sorted(Counter(siege.killed).items()))
    sys.stdout.write(f"\nseed {seed}: killed {found}; {load.answers.total()} answers, whole after {healed:.0f} s\n")
