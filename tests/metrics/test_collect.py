"""A collection as a whole: what comes in, what stays when something fails, what it costs."""

from __future__ import annotations

import zlib
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics import tasks
from metrics.models import ImageCount, Memory, Reading, Source
from metrics.selectors import Latest
from ops import leases
from ops.models import TaskRun, TaskState
from revenue.models import LivePrice
from tests.marks import some_in_full
from tests.metrics.conftest import NOW
from tests.metrics.network import node, spec, success, unreachable

pytestmark = pytest.mark.django_db
HUGE = {"total": 2**31, "cumulus-enabled": 2**31 - 1, "nimbus-enabled": 2, "stratus-enabled": 2}

SOURCES = ("nodes", "cloud", "apps", "specs", "price")
ALL_OK = dict.fromkeys(SOURCES, "ok")
BROKEN = {
    "html": "<html>busy</html>",
    "nothing": "",
    "cut short": '{"status":"success","data":[{"a":',
    "an error inside a success": {"status": "error", "data": {"message": "Internal error"}},
    "an error with a NUL": {"status": "error", "data": {"message": "Internal\x00error"}},
    "an empty list": success([]),
    "an empty object": success({}),
    "a number": 5,
    "out of order": 503,
    "not found": 404,
}


@pytest.fixture
def known_price(db):
    """A last known price: the first one ever asks a second source as well."""
    LivePrice.objects.create(id=1, price_usd="0.07", source="coingecko", read_at=NOW - timedelta(minutes=10))


def test_every_source_is_read_and_kept(network, collect, source, known_price):
    report = collect()
    assert report["sources"] == ALL_OK
    assert report["errors"] == {}
    assert report["requests"] == 5
    assert source("nodes").values == {"node_total": 10, "node_cumulus": 5, "node_nimbus": 3, "node_stratus": 2}
    assert source("cloud").values["total_ram_gb"] == 80
    assert source("cloud").values["ram_utilization_percent"] == 12.5
    assert source("apps").values["total_apps"] == 10
    assert source("specs").size == 10
    assert all(
        (row.read_at, row.tried_at, row.failures, row.error) == (NOW, NOW, 0, "") for row in Source.objects.all()
    )
    assert str(LivePrice.objects.get().price_usd) == "0.0744000000"


def test_the_run_is_recorded(network, collect):
    collect()
    run = TaskRun.objects.get()
    assert (run.name, run.trigger, run.ok) == ("collect_metrics", "command", True)
    assert run.report["sources"] == ALL_OK


def test_the_task_collects_too(network, in_process, clock):
    tasks.collect_metrics.apply().get()
    assert TaskRun.objects.get().trigger == "schedule"
    assert Source.objects.filter(read_at=NOW).count() == 5


@pytest.mark.parametrize("broken", some_in_full(BROKEN, "html", "an error with a NUL", "an empty list", "out of order"))
@pytest.mark.parametrize("name", SOURCES)
def test_a_source_that_fails_leaves_its_last_values_and_the_others_fresh(network, collect, later, source, name, broken):
    collect()
    before = source(name)
    network.broken[name] = broken
    moment = later(minutes=10)
    report = collect()
    assert report["sources"] == ALL_OK | {name: "stale"}
    after = source(name)
    assert (after.values, after.coverage, after.size, after.read_at) == (
        before.values,
        before.coverage,
        before.size,
        NOW,
    )
    assert (after.tried_at, after.failures) == (moment, 1)
    assert after.error
    assert after.error == report["errors"][name]
    assert {row.read_at for row in Source.objects.exclude(name=name)} == {moment}


@pytest.mark.engine
@pytest.mark.parametrize("broken", [BROKEN["an error with a NUL"], success(HUGE)], ids=["words", "numbers"])
def test_what_no_column_holds_fails_one_source_alone(network, collect, source, broken):
    network.broken["nodes"] = broken
    report = collect()
    assert report["sources"] == ALL_OK | {"nodes": "failed"}
    assert source("nodes").error.startswith("flux.test /daemon/getfluxnodecount: ")
    assert source("nodes").error.isprintable()
    assert TaskState.objects.get().last_report["errors"] == report["errors"]


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_that_never_answered_has_no_values(network, collect, source, name):
    network.broken[name] = 503
    if name == "specs":
        network.run("nginx:latest")  # by image, as before FluxOS 8.18: no specification is needed
    assert collect()["sources"] == ALL_OK | {name: "failed"}
    assert (source(name).values, source(name).read_at, source(name).failures) == (None, None, 1)


def test_failures_are_counted_in_a_row(network, collect, later, source):
    network.broken["nodes"] = 503
    for failures in (1, 2, 3):
        collect()
        assert source("nodes").failures == failures
        later(minutes=10)
    network.broken.clear()
    collect()
    assert (source("nodes").failures, source("nodes").error) == (0, "")


def test_it_ends_with_1_only_when_every_source_failed(network, collect, source):
    network.broken = dict.fromkeys(SOURCES, 503)
    reason = collect(code=1)
    assert len(reason.strip().splitlines()) >= 1
    assert "every source" in reason
    assert TaskState.objects.get().consecutive_failures == 1
    assert TaskRun.objects.get().ok is False
    assert Source.objects.filter(failures=1).count() == 5
    assert not Reading.objects.exists()


def test_all_stale_is_a_failure_too(network, collect, later):
    collect()
    network.broken = dict.fromkeys(SOURCES, "<html>")
    later(minutes=10)
    collect(code=1)
    assert Latest.load(NOW).values["node_total"] == 10


def test_an_error_tells_host_and_path_and_no_secret(network, collect, source, settings):
    settings.FLUX_STATS_URL = f"https://user:hunter2@{settings.FLUX_STATS_URL.removeprefix('https://')}"
    network.broken["cloud"] = 503
    collect()
    assert source("cloud").error.startswith("stats.test /fluxinfo: ")


def test_nothing_private_of_a_specification_is_stored(network, collect):
    network.specs += [spec("hidden1", encrypted=True)]
    collect()
    stored = [memory.data for memory in Memory.objects.all()]
    assert all(b"hunter2" not in zlib.decompress(data) for data in stored)
    assert "hunter2" not in str(list(Source.objects.values())) + str(list(ImageCount.objects.values()))


def test_no_address_of_a_node_is_stored(network, collect):
    network.rows.append(unreachable(node(99)))
    collect()
    addresses = {row["ip"].split(":")[0] for row in network.rows}
    stored = b" ".join(zlib.decompress(memory.data) for memory in Memory.objects.all()).decode()
    stored += str(list(Source.objects.values())) + str(list(Reading.objects.values()))
    assert not [address for address in addresses if address in stored]


def test_images_are_counted_anew_each_time(network, counted, later):
    counted("nginx:1", "nginx:2", "host:5000/team/tool:1", "containrrr/watchtower")
    assert dict(ImageCount.objects.values_list("image", "count")) == {"nginx": 2, "host:5000/team/tool": 1}
    later(minutes=10)
    counted("NGINX:1", "itzg/minecraft-server:java21")
    assert list(ImageCount.objects.order_by("image").values_list("image", "category", "count")) == [
        ("itzg/minecraft-server", "gaming", 1),
        ("nginx", "", 1),
    ]


def test_image_counts_stay_when_the_containers_are_not_told(network, counted, collect, later):
    counted("nginx:1")
    network.broken["apps"] = 503
    later(minutes=10)
    collect()
    assert ImageCount.objects.get().image == "nginx"


def test_a_holder_of_the_lease_is_named(network, collect, settings, monkeypatch):
    assert leases.try_take("collect_metrics", "elsewhere:12:1.00:ab") is None
    monkeypatch.setattr("ops.base_commands.LEASE_WAIT_S", 0)
    assert "pid 12 on elsewhere" in collect(code=1)
    assert not Source.objects.exists()


def test_twice_at_the_same_instant_is_once(network, collect):
    collect()
    collect()
    assert Reading.objects.count() == 1


def test_a_collection_needs_few_queries(network, collect):
    collect()
    with CaptureQueriesContext(
        connection,
    ) as few:
        collect()
    network.rows = [node(number) for number in range(300)]
    network.specs = [spec(f"app{number}", ("web", f"image{number}:1")) for number in range(300)]
    with CaptureQueriesContext(connection) as many:
        collect()
    assert len(few) <= 50  # the run, the comparisons and the counts of upstream requests included
    assert len(many) <= len(few)


def test_without_an_upstream_it_is_over_in_time(settings, in_process, db, monkeypatch):
    """Every address refuses: no pause of one source adds to another's."""
    for name in ("FLUX_API_URL", "FLUX_STATS_URL", "COINGECKO_URL", "FLUX_EXPLORER_URL", "BINANCE_URL"):
        setattr(settings, name, "http://127.0.0.1:9")
    outcome = in_process("collect_metrics", "--json")
    assert outcome.code == 1
    assert "refused" in outcome.err


def test_a_large_network_is_read_with_as_few_requests(network, collect, source, known_price):
    """Contract: 8,000 nodes, 14,000 containers, at most 8 requests (CPU and memory: `make bench`)."""
    network.rows = [node(number) for number in range(8000)]
    names = [f"app{number}" for number in range(1900)]
    network.specs = [spec(name, ("web", f"team/image{number % 300}:v1")) for number, name in enumerate(names)]
    for row in network.rows:
        row["apps"]["runningapps"] = []
    for number in range(14_000):
        running = network.rows[number % 8000]["apps"]["runningapps"]
        running.append({"Names": [f"/fluxweb_{names[number % 1900]}"], "State": "running", "Status": "Up"})
    report = collect()
    assert report["sources"] == ALL_OK
    assert report["requests"] <= 8
    assert source("apps").values["total_apps"] == source("apps").coverage["resolved"] == 14_000
    assert source("cloud").values["total_cpu_cores"] == 32_000
    assert ImageCount.objects.count() == 300
