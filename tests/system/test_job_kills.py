"""`kill -9` of the process that runs a job, ten times each at random instants: never half a state; the job is done."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest

from ops import registry
from tests.marks import share
from tests.simnet.control import Kind
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.system.home import Home, Template
from tests.system.ledger import assert_named, assert_sums_hold, assert_true, rows, truth
from tests.system.test_jobs import Answer, serve, start_worker, state
from tests.waiting import AMPLE, eventually

pytestmark = [pytest.mark.engine, pytest.mark.slow]

KILLS = share(6)
KEPT_DAYS = 100
LONG_AGO = timedelta(days=KEPT_DAYS + 3)
BEFORE_THE_DAY = timedelta(minutes=5)  # a network read before 00:05 UTC makes no snapshot
HELD = "SELECT name FROM ops_lease WHERE holder <> ''"
SNAPSHOTS = "SELECT day, source, node_total FROM snapshots_snapshot ORDER BY day"
Ask = Callable[..., Answer]


@dataclass
class Place:
    """An installation in which a job can be asked for, with a file of how it was in the beginning."""

    home: Home
    sim: SimServer
    ask: Ask
    before: Path
    read_on: date | None = None
    """The UTC day on which the network was read: that of yesterday makes no snapshot."""

    @property
    def is_of_today(self) -> bool:
        return self.read_on == datetime.now(UTC).date()

    def begin(self) -> None:
        """Read the network, and keep how everything is."""
        wait_for_the_day()
        self.read_on = datetime.now(UTC).date()
        assert self.home.manage("collect_metrics").code == 0
        assert self.home.manage("backup", str(self.before)).code == 0

    def restore(self) -> None:
        assert self.home.manage("restore", str(self.before), "--yes").code == 0
        if not self.is_of_today:
            self.begin()


@pytest.fixture(scope="module")
def place(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A ledger without names and prices, and a network that was read."""
    folder = tmp_path_factory.mktemp("kills") / "home"
    home, world = Home(folder, template.copy(folder)), World(payments=1_500, days=300, nodes=40, frozen=True)
    try:
        with SimServer(world) as sim:
            home.settings |= sim.env() | {"RETENTION_DAYS": str(KEPT_DAYS)}
            ask = serve(home)
            sim.faults.add(Kind.HTTP_500, "^/apps/|^/(coingecko|binance|cryptocompare)")
            assert home.manage("sync_revenue").code == 0
            sim.faults.clear()
            made = Place(home, sim, ask, home.data_dir / "before.gz")
            made.begin()
            true(home, sim)
            assert home.query("SELECT id FROM revenue_app") == []
            yield made
    finally:
        home.close()


def wait_for_the_day() -> None:
    now = datetime.now(UTC)
    start = now.replace(hour=0, minute=0, second=0, microsecond=0) + BEFORE_THE_DAY
    if now < start:
        time.sleep((start - now).total_seconds())


def nothing_more(home: Home, sim: SimServer) -> None:
    assert rows(home.query) == truth(sim.world)


def true(home: Home, sim: SimServer) -> None:
    assert_true(sim.world, home.query)


def all_or_none(home: Home, sim: SimServer) -> None:
    """Rows and totals are all there, or none of either is."""
    found, totals = len(rows(home.query)), home.query("SELECT COUNT(*) FROM revenue_dailytotal")[0][0]
    assert found in (0, len(truth(sim.world)))
    assert bool(found) == bool(totals)


def cleared(home: Home, sim: SimServer) -> None:
    assert [home.query(f"SELECT COUNT(*) FROM revenue_{name}")[0][0] for name in ("payment", "dailytotal")] == [0, 0]


def named(home: Home, sim: SimServer) -> None:
    assert_named(sim.world, home.query)
    nothing_more(home, sim)


def priced(home: Home, sim: SimServer) -> None:
    assert home.query("SELECT COUNT(*) FROM revenue_payment WHERE usd_micro IS NULL") == [(0,)]
    nothing_more(home, sim)


def whole_days_at_most(home: Home, sim: SimServer) -> None:
    """Of each day all rows are there, or none; its total stays. (The sums are held against the rows otherwise.)"""
    count = "SELECT day, COUNT(*) FROM revenue_payment GROUP BY day"
    totals: dict[str, int] = {}
    for day, payments in home.query("SELECT day, SUM(payments) FROM revenue_dailytotal GROUP BY day"):
        totals[str(day)] = int(payments)
    assert sum(totals.values()) == len(truth(sim.world))
    assert {str(day): int(payments) for day, payments in home.query(count)}.items() <= totals.items()


def pruned(home: Home, sim: SimServer) -> None:
    whole_days_at_most(home, sim)
    oldest = str(home.query("SELECT MIN(day) FROM revenue_payment")[0][0])
    assert oldest >= (datetime.now(UTC) - LONG_AGO).date().isoformat()


def todays(home: Home, sim: SimServer) -> None:
    ((day, source, nodes),) = home.query(SNAPSHOTS)
    assert (str(day), source, nodes is not None) == (datetime.now(UTC).date().isoformat(), "taken", True)


def at_most_todays(home: Home, sim: SimServer) -> None:
    if home.query(SNAPSHOTS):
        todays(home, sim)


def made(home: Home, sim: SimServer) -> None:
    days = [str(day) for day, source, _ in home.query(SNAPSHOTS) if source == "backfilled"]
    assert len(days) == len(set(days)) > 30
    nothing_more(home, sim)


def read(home: Home, sim: SimServer) -> None:
    assert all(at is not None for (at,) in home.query("SELECT read_at FROM metrics_source"))


def checked(home: Home, sim: SimServer) -> None:
    assert home.query("SELECT COUNT(*) FROM ops_servicestate")[0][0] > 5
    assert home.query("SELECT kind, name, at FROM ops_servicecheck GROUP BY 1, 2, 3 HAVING COUNT(*) > 1") == []


def listed(home: Home, sim: SimServer) -> None:
    assert len(home.query("SELECT name FROM carousel_feed WHERE read_at IS NOT NULL")) == 3


def backups(home: Home) -> list[Path]:
    return sorted((home.data_dir / "backups").glob("*.gz"))


def kept(home: Home, sim: SimServer) -> None:
    """The newest file is whole: it is restored, which reads it to its end first."""
    assert home.manage("restore", str(backups(home)[-1]), "--yes").code == 0
    nothing_more(home, sim)


@dataclass(frozen=True)
class Case:
    """How a job is asked for, and what has to be true at any instant and when it is done."""

    done: Callable[[Home, SimServer], None]
    always: Callable[[Home, SimServer], None] = nothing_more
    params: dict[str, Any] = field(default_factory=dict)
    anew: bool = False
    """Whether a second one would find nothing left to do: what was there is restored before each."""
    sums: bool = True


CASES = {
    "revenue-sync": Case(true, params={"full": True}),
    "reset-revenue-sync": Case(nothing_more),
    "clear-revenue-data": Case(cleared, all_or_none, {"confirm": "clear"}, anew=True),
    "backfill-app-names": Case(named, params={"all": True}, anew=True),
    "backfill-app-types": Case(nothing_more),
    "backfill-usd": Case(priced, anew=True),
    "audit-transactions": Case(true, params={"blocks": 5000, "fix": True}),
    "prune": Case(pruned, whole_days_at_most, anew=True, sums=False),
    "snapshot": Case(todays, at_most_todays, {"force": True}),
    "check-snapshot": Case(todays, at_most_todays, anew=True),
    "backfill": Case(made, params={"days": 200, "force": True}),
    "collect-metrics": Case(read),
    "test-services": Case(checked),
    "refresh-carousel": Case(listed),
    "backup": Case(kept),
}  # fmt: skip


def test_every_job_has_a_case():
    assert list(CASES) == list(registry.jobs())


class Crew:
    """A worker, started again when it has ended as its supervisor does; and the schedule, which finds lost jobs."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.worker = start_worker(home)
        self.looked_at = 0.0

    def kill(self, *, everybody: bool) -> None:
        """The whole worker, or those of its processes that do the work."""
        if everybody:
            self.home.kill(self.worker)
            return
        for child in psutil.Process(self.worker.pid).children(recursive=True):
            child.kill()

    def has_done_it(self) -> bool:
        if self.worker.poll() is not None:
            self.worker = start_worker(self.home)
        if time.monotonic() - self.looked_at > 5:
            self.home.send("ops.tasks.resend_jobs")
            self.looked_at = time.monotonic()
        return state(self.home) == "done"


def seconds(place: Place, name: str, case: Case) -> float:
    """How long the job takes from asking to its end."""
    place.restore()
    started = time.monotonic()
    code, answer = place.ask(f"admin/{name}?wait=60", case.params)
    assert code == 200, (answer, place.home.log("worker")[-3000:])
    return time.monotonic() - started


def newest(home: Home) -> int:
    return int(home.query("SELECT COALESCE(MAX(id), 0) FROM ops_job")[0][0])


@pytest.fixture
def crew(place: Place) -> Iterator[Crew]:
    made = Crew(place.home)
    yield made
    place.home.kill(made.worker)


@pytest.mark.parametrize("name", CASES)
def test_kills_of_a_job_leave_no_half_state(place: Place, crew: Crew, name: str):
    home, sim, case = place.home, place.sim, CASES[name]
    took, caught = min(seconds(place, name, case) for _ in range(2)), 0  # the first one waits for the worker's start
    place.restore()
    for seed in KILLS:
        if case.anew or not place.is_of_today:
            place.restore()
        last, asked = newest(home), Thread(target=place.ask, args=(f"admin/{name}?wait=0", case.params))
        asked.start()
        time.sleep(random.Random(seed).random() * took)
        crew.kill(everybody=seed % 3 == 2)
        caught += newest(home) <= last or state(home) != "done"
        assert rows(home.query) <= truth(sim.world)
        case.always(home, sim)
        if case.sums:
            assert_sums_hold(home.query)
        asked.join(AMPLE)
        assert newest(home) > last
        assert eventually(crew.has_done_it), (
            seed, home.query("SELECT name, state, attempts, error FROM ops_job"), home.log("worker")[-3000:]
        )  # fmt: skip
        case.done(home, sim)
    assert caught >= 0.3 * len(KILLS)
    assert home.query(HELD) == []
    home.kill(crew.worker)
    if name != "prune":
        assert home.manage("sync_revenue").code == 0
        true(home, sim)
