"""The three lists: what is in them, and what stays when a source fails."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from carousel.models import Feed
from carousel.tasks import refresh_carousel
from fluxtracker.simnet import records
from fluxtracker.simnet.catalogue import OTHER_PEOPLES, App, Component
from ops.models import TaskRun, TaskState
from tests.marks import some_in_full
from tests.simnet.control import Kind
from tests.simnet.peculiar import TimedApp
from tests.system.test_bad_answers import HANGS, WRONG

pytestmark = pytest.mark.django_db

OWNER = "1HsodCjRyFSbbtYVXCSTYYX8DJkUKVQd64"
ADDRESS = re.compile(r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b")
DAY = 2880  # blocks


def app(name, *, version=8, expire=88_000, ttl=None, image="nginx:latest", encrypted=False, instances=3):
    part = Component("web", image, 0.5, 500, 5)
    made = TimedApp if version >= 9 else App
    terms = {"expire": expire, "ttl": ttl} if version >= 9 else {"expire": expire}
    return made(name, version, OWNER, (part,), instances=instances, encrypted=encrypted, **terms)


@pytest.fixture
def sim(build):
    """A network without apps, to put some into."""
    return build(payments=0, nodes=60)


def deploy(sim, *apps, blocks_ago=0):
    for one in apps:
        sim.world.add(sim.world.payment(app=one), sim.world.tip_height - blocks_ago)


LISTS = ("network", "deployed", "expiring")


def names(get, path):
    return [item["name"] for item in get(f"carousel/{path}")["stats"]]


# Apps of the last 24 hours


def test_apps_of_the_last_day_are_all_there_the_newest_first(sim, get, refresh):
    deploy(sim, *(app(f"app{n:03}") for n in range(70)), blocks_ago=100)
    deploy(sim, app("newest"), blocks_ago=5)
    deploy(sim, app("older"), blocks_ago=DAY + 10)
    deploy(sim, app("oldest"), blocks_ago=DAY * 20)
    assert refresh()["deployed"] == 71
    answer = get("carousel/deployed")
    assert [item["name"] for item in answer["stats"]] == ["newest", *(f"app{n:03}" for n in range(70))]
    assert [item["rank"] for item in answer["stats"]] == list(range(1, 72))
    assert answer["total"] == 71


def test_an_item_tells_what_is_public_of_an_app(sim, get, refresh):
    deploy(sim, app("shop", image="registry.example.org:5000/team/shop:1.2", instances=5), blocks_ago=20)
    refresh()
    (item,) = get("carousel/deployed")["stats"]
    height = sim.world.tip_height - 20
    assert abs(datetime.fromisoformat(item.pop("deployedAt")).timestamp() - records.time_of(height)) < 60
    assert item == {
        "type": "deployed", "rank": 1, "label": "shop", "name": "shop", "value": height, "unit": "block",
        "version": 8, "components": 1, "instances": 5, "kind": "docker",
        "image": "registry.example.org:5000/team/shop:1.2",
    }  # fmt: skip


def test_git_and_encrypted_apps_are_told_apart(sim, get, refresh):
    deploy(sim, app("gitty", image="RunOnFlux/Orbit:latest"), app("secret", encrypted=True), app("old", version=3))
    refresh()
    found = {item["name"]: item for item in get("carousel/deployed")["stats"]}
    assert {name: item["kind"] for name, item in found.items()} == {
        "gitty": "git", "secret": "encrypted", "old": "docker",
    }  # fmt: skip
    assert (found["secret"]["components"], found["secret"]["image"]) == (None, None)
    assert found["old"]["image"] == "nginx:latest"


@pytest.mark.parametrize("after", [100, 1000, 2500, 2900], ids=lambda n: f"{n} blocks after the fork")
def test_the_day_is_one_by_block_time_also_across_the_fork(build, get, refresh, after):
    """Before the fork a block took 120 s: 24 h are fewer blocks there."""
    now = datetime.fromtimestamp(records.time_of(records.FORK_HEIGHT + after), UTC)
    with time_machine.travel(now, tick=True):
        sim = build(payments=0, nodes=20, now=now)
        first = records.height_at(now.timestamp() - 86_400)
        sim.world.add(sim.world.payment(app=app("inside")), first + 3)
        sim.world.add(sim.world.payment(app=app("outside")), first - 3)
        deploy(sim, app("now"))
        refresh()
        assert names(get, "deployed") == ["now", "inside"]


def test_few_questions_are_enough(sim, refresh):
    for n in range(200):
        deploy(sim, app(f"app{n}"), blocks_ago=n * 29)
    report = refresh()
    assert report["deployed"] == 100
    assert sim.count("/daemon/getblock/") <= 7
    assert sim.count("/daemon/getblockcount") == sim.count("/apps/globalappsspecifications") == 1
    assert report["requests"] == len(sim.requests) <= 10


# Apps that end next


def test_the_next_twenty_to_end_are_shown_soonest_first_and_the_week_is_counted(sim, get, refresh):
    for n in range(60):
        deploy(sim, app(f"app{n:02}", expire=1000 * (n + 1)), blocks_ago=500)
    report = refresh()
    answer = get("carousel/expiring")
    assert [item["name"] for item in answer["stats"]] == [f"app{n:02}" for n in range(20)]
    within = sum((1000 * (n + 1) - 500 + 2) * 30 <= 7 * 86_400 for n in range(60))
    assert (report["expiring"], answer["total"]) == (20, within)
    first = answer["stats"][0]
    tip = sim.world.tip_height - 2  # every node should have it
    assert (first["value"], first["unit"]) == (502, "blocks")
    assert first["expireHeight"] == tip + 502
    assert abs(datetime.fromisoformat(first["expiresAt"]) - timezone.now() - timedelta(seconds=502 * 30)) < (
        timedelta(minutes=1)
    )


def test_apps_of_every_version_end_also_those_that_do_not_say_when(sim, get, refresh):
    for version in (1, 2, 3, 4, 5, 6, 7, 8):
        expire = 88_000 if version < 6 else 1000 * version
        deploy(sim, app(f"v{version}", version=version, expire=expire), blocks_ago=100)
    refresh()
    left = {item["name"]: item["value"] for item in get("carousel/expiring")["stats"]}
    assert left == {f"v{v}": (88_000 if v < 6 else 1000 * v) - 98 for v in (6, 7, 8, 1, 2, 3, 4, 5)}


def test_an_app_past_its_end_is_left_out(sim, get, refresh):
    deploy(sim, app("over", expire=100), blocks_ago=100)  # the registry drops it a moment later
    deploy(sim, app("running", expire=150), blocks_ago=100)
    sim.world.mine(2)
    refresh()
    assert names(get, "expiring") == ["running"]


def until(item):
    """Minutes until the end that an item tells."""
    return (datetime.fromisoformat(item["expiresAt"]) - timezone.now()).total_seconds() / 60


@pytest.mark.parametrize(
    "said", [{"expire": 604_800}, {"expire": None, "ttl": 604_800}, {"expire": 604_800, "ttl": 604_800}]
)
def test_an_app_of_version_9_ends_after_seconds_and_not_blocks(sim, get, refresh, said):
    deploy(sim, app("weekly", version=9, **said), blocks_ago=20_000)
    deploy(sim, app("in-blocks", expire=20_160), blocks_ago=20_000)
    report = refresh()
    answer = get("carousel/expiring")
    ends = {item["name"]: item for item in answer["stats"]}
    assert ends["weekly"]["expireHeight"] == ends["in-blocks"]["expireHeight"] == sim.world.tip_height + 160
    assert abs(until(ends["weekly"]) - 80) < 1.1
    assert (report["endsUnknown"], answer["total"], answer["coverage"]["endsUnknown"]) == (0, 2, 0)


def test_a_duration_counts_from_the_time_of_its_block_also_where_blocks_came_late(build, get, refresh):
    """A block every 36 s: 17,000 of them are more than a week."""
    began = timezone.now() - timedelta(days=9)
    sim = build(payments=0, nodes=20, now=began, block_seconds=36, payments_per_block=0)
    sim.world.advance(9 * 86_400)
    tip = sim.world.tip_height
    deploy(sim, app("over", version=9, expire=604_800), blocks_ago=17_000)
    for blocks_ago in (100, 5_000, 16_000):
        deploy(sim, app(f"app{blocks_ago}", version=9, expire=604_800), blocks_ago=blocks_ago)
    refresh()
    stats = get("carousel/expiring")["stats"]
    assert [item["name"] for item in stats] == ["app16000", "app5000", "app100"]
    for item, blocks_ago in zip(stats, (16_000, 5_000, 100), strict=True):
        ends = sim.world.chain.time(tip - blocks_ago) + 604_800
        assert abs(datetime.fromisoformat(item["expiresAt"]).timestamp() - ends) <= 1


def test_blocks_written_into_version_9_are_seconds(sim, get, refresh):
    deploy(sim, app("habit", version=9, expire=88_000), blocks_ago=100)
    refresh()
    (item,) = get("carousel/expiring")["stats"]
    assert abs(until(item) - (88_000 - 3_000) / 60) < 1.1


ODD = [
    {"expire": 100}, {"expire": 1}, {"expire": None}, {"expire": 3_599}, {"expire": 94_608_001}, {"expire": "604800"},
    {"expire": 604_800, "ttl": 604_801}, {"expire": None, "ttl": -604_800}, {"expire": True}, {"expire": 604_800.5},
]  # fmt: skip


@pytest.mark.parametrize("version", [9, 12])
def test_an_end_that_is_not_known_is_counted_and_never_invented(client, sim, get, refresh, version):
    deploy(sim, *(app(f"odd{n}", version=version, **said) for n, said in enumerate(ODD)), blocks_ago=50)
    deploy(sim, app("known", expire=1_000))
    report = refresh()
    answer = get("carousel/expiring")
    assert [item["name"] for item in answer["stats"]] == ["known"]
    assert answer["coverage"] == {
        "rows": len(ODD) + 1, "leftOut": len(ODD), "endWithin7Days": 1, "endsUnknown": len(ODD), "endsEstimated": 0,
    }  # fmt: skip
    assert report["endsUnknown"] == len(ODD)
    assert {item["name"] for item in get("carousel/deployed")["stats"]} == {f"odd{n}" for n in range(len(ODD))} | {
        "known"
    }
    assert f"The end of {len(ODD)} more apps is not known." in client.get("/panels/feeds/").content.decode()


def test_without_the_times_of_blocks_the_schedule_stands_in_and_says_so(sim, get, in_process, refresh):
    deploy(sim, app("weekly", version=9, expire=604_800), blocks_ago=20_000)
    deploy(sim, app("in-blocks", expire=20_160), blocks_ago=20_000)
    sim.faults.add(Kind.HTTP_500, BLOCKS)
    assert refresh()["failed"] == ["deployed"]
    answer = get("carousel/expiring")
    weekly = next(item for item in answer["stats"] if item["name"] == "weekly")
    assert abs(until(weekly) - 80) < 1.6
    assert (answer["error"], answer["coverage"]["endsEstimated"]) == (None, 1)
    sim.faults.clear()
    refresh()
    assert get("carousel/expiring")["coverage"]["endsEstimated"] == 0


def test_few_questions_are_enough_for_durations(sim, refresh):
    deploy(sim, *(app(f"app{n}", version=9, expire=604_800 + n) for n in range(3)), blocks_ago=40)
    for n in range(100):
        deploy(sim, app(f"later{n}", version=9, expire=2_592_000), blocks_ago=4_000 + n * 29)
    refresh()
    assert sim.count("/daemon/getblock/") <= 30
    assert sim.count("/daemon/getblockcount") == sim.count("/apps/globalappsspecifications") == 1


def test_the_simulated_network_has_both_eras(build, get, refresh):
    sim = build(payments=200, nodes=40)
    report = refresh()
    expected = sim.world.expected_expiring(20)
    stats = get("carousel/expiring")["stats"]
    assert [(item["name"], item["expireHeight"]) for item in stats] == expected
    assert {"Andromeda", "Borealis"} < {item["name"] for item in stats if item["version"] == 9}
    assert report["endsUnknown"] == 4


# Images and benchmarks


def test_an_image_is_listed_once_by_its_one_name(sim, get, refresh, in_process):
    for number, image in enumerate(["docker.io/presearch/node:1", "Index.docker.io/Presearch/node", "presearch/node"]):
        deploy(sim, app(f"app{number}", image=image, instances=4))
    assert in_process("collect_metrics").code == 0
    refresh()
    (item,) = (item for item in get("carousel/stats")["stats"] if item["type"] == "app")
    assert (item["name"], item["label"], item["value"], item["category"]) == (
        "presearch/node",
        "Presearch",
        12,
        "crypto",
    )
    deployed = {item["image"] for item in get("carousel/deployed")["stats"]}
    assert deployed == {"presearch/node:1", "presearch/node"}


def test_the_ten_images_with_most_instances_and_the_best_benchmarks(sim, get, refresh, images):
    images(**{f"somebody__image{n}": n for n in range(1, 15)}, itzg__minecraft_server=99, containrrr__watchtower=5000)
    assert refresh()["network"] == 17
    stats = get("carousel/stats")["stats"]
    apps, bests = stats[:10], stats[10:]
    assert (apps[0]["label"], apps[0]["name"], apps[0]["value"]) == ("Minecraft", "itzg/minecraft-server", 99)
    assert [item["value"] for item in apps] == [99, *range(14, 5, -1)]
    assert {(item["type"], item["unit"]) for item in apps} == {("app", "instances")}
    assert [item["rank"] for item in apps] == list(range(1, 11))
    assert [item["key"] for item in bests] == ["cores", "ram", "ssd", "eps", "ddwrite", "download", "upload"]
    assert {item["type"] for item in bests} == {"benchmark"}
    assert bests[0]["name"] == "Stratus node"
    assert all(item["value"] > 0 for item in bests)


def test_one_bad_number_of_a_benchmark_costs_no_other(sim, get, refresh):
    deploy(sim, app("one"))
    refresh()
    before = {item["key"]: item["value"] for item in get("carousel/stats")["stats"]}
    sim.faults.add("bad_benchmarks", "/fluxinfo", share=1)  # of every other row the cores alone
    refresh()
    answer = get("carousel/stats")
    found = {item["key"]: item["value"] for item in answer["stats"]}
    assert list(found) == ["ram", "ssd", "eps", "ddwrite", "download", "upload"]  # in no row are there cores
    assert all(0 < value <= before[key] for key, value in found.items())
    assert answer["coverage"]["leftOut"] < 35  # the others, and unreachable ones


def test_a_node_that_comes_twice_is_one_row_of_the_benchmarks(sim, get, refresh):
    deploy(sim, app("one"))
    refresh()
    before = get("carousel/stats")
    sim.faults.add("repeated_rows", "/fluxinfo", share=1)
    refresh()
    after = get("carousel/stats")
    assert [item["value"] for item in after["stats"]] == [item["value"] for item in before["stats"]]
    assert (after["coverage"]["rows"], after["coverage"]["repeated"]) == (120, 60)
    assert after["coverage"]["leftOut"] == before["coverage"]["leftOut"]


def test_before_the_first_collection_there_are_benchmarks_only(sim, get, refresh):
    deploy(sim, app("one"))
    assert refresh()["network"] == 7
    assert {item["type"] for item in get("carousel/stats")["stats"]} == {"benchmark"}


def test_counts_that_were_old_already_are_not_fresh(sim, get, refresh, images):
    images(minutes=130, nginx=4)
    deploy(sim, app("one"))
    refresh()
    assert get("carousel/stats")["fresh"] is False
    assert get("carousel/deployed")["fresh"] is True


# When something fails


def spoil(sim, settings, wrong, path):
    if wrong["kind"] in HANGS:
        settings.HANGING_PATHS = path
    sim.faults.add(path=path, **wrong)


def feeds():
    return {feed.name: (feed.items, feed.read_at) for feed in Feed.objects.all()}


BLOCKS, SPECIFICATIONS, STATS = "^/daemon/getblock/", "^/apps/", "^/fluxinfo"
PARTS = {
    "stats": (STATS, {"network"}),
    "blocks": (BLOCKS, {"deployed"}),
    "specifications": (SPECIFICATIONS, {"deployed", "expiring"}),
    "daemon": ("^/daemon/", {"deployed", "expiring"}),
}
FAULTS = {
    name: wrong
    for name, wrong in WRONG.items()
    if wrong["kind"] in {
        Kind.HTTP_500, Kind.HTTP_503_HTML, Kind.HTTP_429, Kind.HTML_200, Kind.STATUS_ERROR_200, Kind.TRUNCATED,
        Kind.MALFORMED, Kind.EMPTY_SUCCESS, Kind.TIMEOUT, Kind.DROP_CONNECTION, Kind.REDIRECT,
    }
}  # fmt: skip


@pytest.mark.parametrize("wrong", some_in_full(FAULTS, "http500", "status_error200", "empty_success", "timeout"))
@pytest.mark.parametrize(("path", "hit"), PARTS.values(), ids=PARTS)
def test_a_source_that_fails_leaves_its_lists_as_they_were_and_the_others_fresh(
    sim, settings, get, refresh, in_process, path, hit, wrong
):
    deploy(sim, app("one"), app("two"), blocks_ago=50)
    first = refresh()
    before = feeds()
    deploy(sim, app("three"))
    spoil(sim, settings, wrong, path)
    report = refresh()
    after = feeds()
    assert set(report["failed"]) == hit
    assert {name for name in before if after[name] == before[name]} == hit
    assert {name: report[name] for name in hit} == {name: first[name] for name in hit}
    for name, where in (("network", "stats"), ("deployed", "deployed"), ("expiring", "expiring")):
        answer = get(f"carousel/{where}")
        assert bool(answer["error"]) == (name in hit)
        assert answer["cached"]
    sim.faults.clear()
    settings.UPSTREAM_TIMEOUT = 30
    assert refresh()["failed"] == []
    assert names(get, "deployed") == ["three", "one", "two"]
    assert get("carousel/deployed")["error"] is None


def test_when_everything_fails_the_command_does_and_the_lists_stay(sim, get, refresh, in_process):
    deploy(sim, app("one"))
    refresh()
    before = feeds()
    sim.faults.add(Kind.HTTP_500, "")
    outcome = in_process("refresh_carousel", "--json")
    told = outcome.report
    assert (outcome.code, told["network"] > 0, told["deployed"], told["expiring"]) == (1, True, 1, 1)
    assert told["failed"] == ["network", "deployed", "expiring"]
    assert re.search(r"carousel every list: 127\.0\.0\.1:\d+ /fluxinfo: HTTP 500", outcome.reason)
    assert feeds() == before
    assert TaskState.objects.get(name="refresh_carousel").consecutive_failures == 1
    assert "HTTP 500" in get("carousel/expiring")["error"]


def test_a_first_refresh_that_fails_tells_that_nothing_was_ever_read(sim, get, in_process):
    sim.faults.add(Kind.HTTP_500, "")
    outcome = in_process("refresh_carousel", "--json")
    assert (outcome.code, [outcome.report[key] for key in LISTS]) == (1, [None] * 3)
    answer = get("carousel/stats")
    assert (answer["stats"], answer["cached"], answer["cacheAge"], answer["fresh"]) == ([], False, None, False)
    assert answer["total"] is None
    assert answer["error"]


def test_with_no_upstream_answering_it_ends_in_time(sim, settings, in_process):
    settings.UPSTREAM_TIMEOUT = 0.3
    sim.faults.add(Kind.TIMEOUT, "")
    outcome = in_process("refresh_carousel")
    assert outcome.code == 1
    assert TaskRun.objects.get().finished_at is not None
    assert 0 < len(sim.requests) <= 12  # each waits for the time limit once


def test_the_task_does_the_same(sim, get):
    deploy(sim, app("one"))
    refresh_carousel.apply()
    assert names(get, "deployed") == ["one"]
    assert TaskRun.objects.get().trigger == "schedule"


def test_a_task_that_fails_is_recorded_and_quiet(sim):
    sim.faults.add(Kind.HTTP_500, "")
    assert refresh_carousel.apply().successful()
    assert not TaskRun.objects.get().ok


# What must not be shown


def test_no_address_and_no_secret_gets_into_a_row_or_an_answer(build, client, refresh, images):
    sim = build(payments=80, nodes=80)
    deploy(sim, app("byaddress", image="203.0.113.7:5000/team/tool:1"))
    images(nginx=3)
    refresh()
    shown = "".join(str(feed.items) + feed.error for feed in Feed.objects.all())
    for path in ("stats", "deployed", "expiring"):
        shown += client.get(f"/api/carousel/{path}").content.decode()
    assert "team/tool:1" in shown
    assert not ADDRESS.search(shown)
    assert OTHER_PEOPLES not in shown
    assert "owner" not in shown
    assert OTHER_PEOPLES in str(sim.memory.get("/apps/globalappsspecifications"))  # it was there to be seen


def test_a_list_that_was_never_read_has_no_number(sim, in_process):
    deploy(sim, app("one"))
    sim.faults.add(Kind.HTTP_500, STATS)
    report = in_process("refresh_carousel", "--json").report
    assert [report[key] for key in LISTS] == [None, 1, 1]
    sim.faults.add(Kind.HTTP_500, "")
    assert [in_process("refresh_carousel", "--json").report[key] for key in LISTS] == [None, 1, 1]
    sim.faults.clear()
    sim.faults.add(Kind.HTTP_500, STATS)
    assert in_process("refresh_carousel").out.startswith("network -, deployed 1, expiring 1,")
