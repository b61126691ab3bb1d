"""`kill -9` of the process that runs a job, four times each at random instants: never half a state; the job is done."""

from __future__ import annotations

import hashlib
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import orjson
import psutil
import pytest

from ops import leases, registry
from tests.mailbox import Mailbox
from tests.marks import every_other
from tests.simnet.control import Kind
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.system.home import Home, Template
from tests.system.ledger import assert_named, assert_sums_hold, assert_true, rows, truth
from tests.system.test_jobs import Answer, serve, start_worker, state
from tests.waiting import AMPLE, eventually

pytestmark = [pytest.mark.engine, pytest.mark.slow]

KILLS, MOST_KILLS, CAUGHT = 4, 16, 1  # more are tried until so many came before the end
KEPT_DAYS = 100
LONG_AGO = timedelta(days=KEPT_DAYS + 3)
BEFORE_THE_DAY = timedelta(minutes=5)  # a network read before 00:05 UTC makes no snapshot
LEASES = "SELECT name, holder FROM ops_lease WHERE holder <> ''"
SNAPSHOTS = "SELECT day, source, node_total FROM snapshots_snapshot ORDER BY day"
Ask = Callable[..., Answer]


@dataclass
class Place:
    """An installation in which a job can be asked for, with a file of how it was in the beginning."""

    home: Home
    sim: SimServer
    ask: Ask
    before: Path
    mailbox: Mailbox
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
    mailbox = Mailbox()
    try:
        with SimServer(world) as sim:
            home.settings |= sim.env() | mailbox.settings | {"RETENTION_DAYS": str(KEPT_DAYS)}
            ask = serve(home)
            sim.faults.add(Kind.HTTP_500, "^/apps/|^/(coingecko|binance|cryptocompare)")
            assert home.manage("sync_revenue").code == 0
            sim.faults.clear()
            made = Place(home, sim, ask, home.data_dir / "before.gz", mailbox)
            made.begin()
            true(home, sim)
            assert home.query("SELECT id FROM revenue_app") == []
            yield made
    finally:
        mailbox.close()
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


def lived(home: Home, sim: SimServer) -> None:
    """Every app with a message has its life, and none waits for one."""
    apps = "SELECT COUNT(DISTINCT app_key) FROM deployments_messagefact"
    assert home.query(apps) == home.query("SELECT COUNT(*) FROM deployments_applife")
    assert home.query("SELECT app_key FROM deployments_changedapp") == []


def split(home: Home, sim: SimServer) -> None:
    """The parts of every day add up to its total, and no day waits to be split."""
    parts = "SELECT day, SUM(revenue_sat) FROM deployments_dailysplit WHERE dimension = 'source' GROUP BY day"
    totals = "SELECT day, SUM(revenue_sat) FROM revenue_dailytotal GROUP BY day"
    assert sorted(home.query(parts)) == sorted(home.query(totals))
    assert home.query("SELECT day FROM revenue_changedday") == []


def sent(home: Home, sim: SimServer) -> None:
    """The one channel has had it, or two tries may have got through."""
    found = "SELECT period, channel, sent_at IS NOT NULL, claimed_at FROM reports_reportdelivery"
    assert [(period, channel, bool(at), by) for period, channel, at, by in home.query(found)] == [
        ("month", "email", True, None)
    ]


def counted(home: Home, sim: SimServer) -> None:
    """The row of the day has every part, and nothing has changed since the census before."""
    missing = "nodes IS NULL OR facts IS NULL OR running IS NULL OR lists IS NULL"
    assert home.query(f"SELECT day FROM metrics_censusday WHERE {missing}") == []
    assert home.query("SELECT COUNT(*) FROM metrics_censusday")[0][0] in (1, 2)
    assert home.query("SELECT SUM(joins + leaves + moves) FROM metrics_nodechange")[0][0] in (None, 0)


def checked(home: Home, sim: SimServer) -> None:
    assert home.query("SELECT COUNT(*) FROM ops_servicestate")[0][0] > 5
    assert home.query("SELECT kind, name, at FROM ops_servicecheck GROUP BY 1, 2, 3 HAVING COUNT(*) > 1") == []


def listed(home: Home, sim: SimServer) -> None:
    assert len(home.query("SELECT name FROM carousel_feed WHERE read_at IS NOT NULL")) == 3


def published_are_whole(home: Home, sim: SimServer) -> None:
    """Each file that the index names is there, as its checksum says."""
    folder = home.data_dir / "files"
    months = orjson.loads((folder / "index.json").read_bytes()) if (folder / "index.json").exists() else []
    for month in months:
        for file in month["files"]:
            content = (folder / month["folder"] / file["name"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == file["sha256"]
    nothing_more(home, sim)


def published(home: Home, sim: SimServer) -> None:
    """Whole months, and once the next run has cleared up nothing else."""
    published_are_whole(home, sim)
    folder = home.data_dir / "files"
    months = orjson.loads((folder / "index.json").read_bytes())
    assert len(months) > 5
    assert {month["folder"] for month in months} <= {path.name for path in folder.iterdir()}


def unpublished(home: Home) -> None:
    shutil.rmtree(home.data_dir / "files", ignore_errors=True)


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
    before: Callable[[Home], None] | None = None
    """Undoes what no restore of the database does."""


CASES = {
    "revenue-sync": Case(true, params={"full": True}),
    "reset-revenue-sync": Case(nothing_more),
    "clear-revenue-data": Case(cleared, all_or_none, {"confirm": "clear"}, anew=True),
    "backfill-app-names": Case(named, params={"all": True}, anew=True),
    "backfill-app-types": Case(nothing_more),
    "backfill-usd": Case(priced, anew=True),
    "audit-transactions": Case(true, params={"blocks": 5000, "fix": True}),
    "prune": Case(pruned, whole_days_at_most, anew=True, sums=False),
    "sync-messages": Case(lived, params={"full": True}),
    "update-economics": Case(split),
    "snapshot": Case(todays, at_most_todays, {"force": True}),
    "check-snapshot": Case(todays, at_most_todays, anew=True),
    "backfill": Case(made, params={"days": 200, "force": True}),
    "send-report": Case(sent, anew=True),
    "collect-metrics": Case(read),
    "test-services": Case(checked),
    "take-census": Case(counted),
    "refresh-carousel": Case(listed),
    "publish-files": Case(published, published_are_whole, before=unpublished),
    "backup": Case(kept),
}  # fmt: skip


def test_every_job_has_a_case():
    assert list(CASES) == list(registry.jobs())


def starts(home: Home) -> int:
    """Count the workers that have said that they are ready."""
    log = home.data_dir / "worker.log"
    return log.read_text().count("celery@") if log.exists() else 0


class Crew:
    """A worker, started again when it has ended as its supervisor does; and the schedule, which finds lost jobs."""

    def __init__(self, home: Home) -> None:
        before = starts(home)
        self.home = home
        self.worker = start_worker(home)
        self.looked_at = 0.0
        assert eventually(lambda: starts(home) > before), home.log("worker")[-3000:]

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


def held(home: Home) -> list[str]:
    """The tasks at work: what follows a change may be, after the job. A lease of the dead is free to be taken."""
    return [name for name, holder in home.query(LEASES) if not leases.is_dead(holder)]


def newest(home: Home) -> int:
    return int(home.query("SELECT COALESCE(MAX(id), 0) FROM ops_job")[0][0])


@pytest.fixture
def crew(place: Place) -> Iterator[Crew]:
    made = Crew(place.home)
    yield made
    place.home.kill(made.worker)


@pytest.mark.parametrize("name", every_other(CASES))
def test_kills_of_a_job_leave_no_half_state(place: Place, crew: Crew, name: str):
    home, sim, case = place.home, place.sim, CASES[name]
    took, caught = seconds(place, name, case), 0
    if not case.anew:
        place.restore()
    for seed in range(MOST_KILLS):
        if seed >= KILLS and caught >= CAUGHT:
            break
        if case.anew or not place.is_of_today:
            place.restore()
        if case.before:
            case.before(home)
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
        assert place.mailbox.subjects or name != "send-report"
    assert caught >= CAUGHT
    assert eventually(lambda: held(home) == []), held(home)
    home.kill(crew.worker)
    if name != "prune":
        assert home.manage("sync_revenue").code == 0
        true(home, sim)
