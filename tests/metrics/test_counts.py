"""What counts as what (docs/contract.md#snapshots-and-instances, "Running instances")."""

from __future__ import annotations

import copy

import pytest
from django.utils import timezone

from fluxtracker.upstream.fluxos import app_specification
from metrics.collect import count_running
from metrics.games_and_crypto_nodes import AppIndex, Classifier
from metrics.metric_keys import FIXED
from metrics.models import Category, ImageCount, Memory, TrackedApp
from metrics.service_checks import check_instances
from tests.metrics.network import spec, stats, unreachable
from tests.upstream.payloads import payload

pytestmark = pytest.mark.django_db

PALWORLD = "thijsvanloef/palworld-server-docker:latest"
ID = "1790792896573"


@pytest.fixture
def count(network):
    """What is counted when these containers run; nothing is collected or stored."""

    def count(*names):
        network.run(*names)
        return counting(network).values

    return count


def counting(network):
    index = AppIndex.of([app_specification(row) for row in network.specs])
    return count_running(stats(network.rows).containers(), index, timezone.now(), Classifier.load())


def test_every_metric_of_the_source_is_there(counted):
    values = counted("nginx:1")
    assert {metric.key for metric in FIXED if metric.source == "apps"} <= values.keys()
    assert {app.column for app in TrackedApp.objects.filter(category__in=["gaming", "crypto"])} <= values.keys()
    assert values["gaming_palworld"] == values["crypto_nodes_total"] == values["wordpress_count"] == 0


def test_every_container_but_watchtower_counts(counted):
    values = counted("nginx:1", "fluxweb_nobody", "fluxweb_app1", "containrrr/watchtower:latest", "flux_watchtower")
    assert (values["total_apps"], values["watchtower_count"]) == (3, 2)


def test_git_apps_are_those_on_an_orbit_image(counted):
    values = counted("RunOnFlux/Orbit:latest", "runonflux/orbit", "nginx:1", "fluxweb_nobody")
    assert (values["gitapps_count"], values["dockerapps_count"]) == (2, 2)
    assert (values["gitapps_percent"], values["dockerapps_percent"]) == (50, 50)


@pytest.mark.parametrize(
    ("image", "column"),
    [
        (PALWORLD, "gaming_palworld"),
        ("runonflux/palworld-server-flux:2", "gaming_palworld"),
        ("ITZG/Minecraft-Server:java21", "gaming_minecraft"),
        ("itzg/minecraft-bedrock-server", "gaming_minecraft"),
        ("lloesche/valheim-server:1", "gaming_valheim"),
        ("factoriotools/factorio:stable", "gaming_factorio"),
        ("presearch/node:latest", "crypto_presearch"),
        ("kaspanet/rusty-kaspad:v1", "crypto_kaspa"),
        ("timpiltd/timpi-collector:1", "crypto_timpi_collector"),
        ("timpiltd/timpi-geocore:1", "crypto_timpi_geocore"),
    ],
)
def test_a_tracked_app_is_known_by_its_image(count, image, column):
    values = count(image, "nginx:1")
    total = "gaming_apps_total" if column.startswith("gaming") else "crypto_nodes_total"
    assert (values[column], values[total], values["total_apps"]) == (1, 1, 2)
    assert sum(value for key, value in values.items() if key.startswith(("gaming_", "crypto_"))) == 2


@pytest.mark.parametrize(
    ("app", "column"),
    [
        (f"palworld{ID}", "gaming_palworld"),
        (f"Palworld{ID}", "gaming_palworld"),
        (f"minecraftj{ID}", "gaming_minecraft"),
        (f"minecraftbedrockserver{ID}9", "gaming_minecraft"),
        (f"projectzomboid{ID}", "gaming_project_zomboid"),
        (f"fivem{ID}", "gaming_fivem"),
        (f"dragonwilds{ID}", "gaming_dragonwilds"),
        (f"rustserveroxide{ID}", "gaming_rust"),
        ("presearchnodeabc", "crypto_presearch"),
        ("kaspanode", "crypto_kaspa"),
    ],
)
def test_where_the_image_is_not_public_the_apps_name_tells(network, count, app, column):
    network.specs.append(spec(app, encrypted=True))
    values = count(f"fluxgame_{app}", f"flux{app}", "fluxweb_nobody")
    total = "gaming_apps_total" if column.startswith("gaming") else "crypto_nodes_total"
    assert (values[column], values[total], values["total_apps"]) == (2, 2, 3)


def test_an_app_that_is_registered_no_more_counts_by_its_name_too(counted):
    assert counted(f"fluxserver_valheim{ID}")["gaming_valheim"] == 1


def test_a_public_image_decides_whatever_the_name(network, counted):
    network.specs.append(spec(f"palworld{ID}", ("server", "nginx:1")))
    values = counted(f"fluxserver_palworld{ID}")
    assert (values["gaming_palworld"], values["gaming_apps_total"], values["total_apps"]) == (0, 0, 1)


@pytest.mark.parametrize(
    "app", ["palworld", "palworld123456789012", f"mypalworld{ID}", f"palworld{ID}x", "valheimfans"]
)
def test_other_names_are_no_games(count, app):
    assert count(f"fluxserver_{app}")["gaming_apps_total"] == 0


HELPERS = (
    "mariadb mysql postgres postgresql redis valkey mongo mongodb operator watchtower nginx proxy Website mywebsite2"
)


@pytest.mark.parametrize("helper", HELPERS.split())
def test_helper_components_are_no_instances(network, count, helper):
    network.specs.append(spec(f"fivem{ID}", encrypted=True))
    values = count(f"flux{helper}_fivem{ID}", f"fluxgame_fivem{ID}")
    assert (values["gaming_fivem"], values["gaming_apps_total"], values["total_apps"]) == (1, 1, 2)


@pytest.mark.parametrize("image", ["xyz/palworld-server-website:1", "runonflux/flux-dns-fdm:minecraft"])
def test_excluded_images_are_in_no_category(counted, image):
    values = counted(image)
    assert (values["gaming_apps_total"], values["total_apps"], values["dockerapps_count"]) == (0, 1, 1)
    assert ImageCount.objects.get().category == "excluded"


def test_excluded_images_are_no_tracked_app(counted):
    TrackedApp.objects.filter(key="palworld").update(image_patterns=["palworld"])
    assert counted("xyz/palworld-server-website:1", PALWORLD)["gaming_palworld"] == 1


def test_a_category_is_more_than_its_tracked_apps(counted):
    values = counted("x/unturned:1", "ghcr.io/girderworks/edge:1", "ethereum/client-go:stable", "ethereum/client-go:v1")
    assert (values["gaming_apps_total"], values["crypto_nodes_total"]) == (1, 2)


def test_the_first_category_wins(counted):
    values = counted("x/minecraft-on-litecoin-wordpress:1")
    assert (values["gaming_apps_total"], values["crypto_nodes_total"]) == (1, 0)
    Category.objects.filter(key="gaming").update(order=9)
    assert counted("x/minecraft-on-litecoin-wordpress:1")["crypto_nodes_total"] == 1


def test_wordpress_counts_by_image_and_name(network, counted):
    network.specs.append(spec(f"wordpress{ID}", encrypted=True))
    values = counted("runonflux/wp-nginx:latest", f"fluxwp_wordpress{ID}", f"fluxmysql_wordpress{ID}", "mysql:8.3.0")
    assert values["wordpress_count"] == 2


def test_an_added_game_counts_from_the_next_collection_on(counted, later):
    TrackedApp.objects.create(name="Doom", key="doom", category="gaming", image_patterns=["id/doom"])
    values = counted("id/doom:1", "nginx:1")
    assert (values["gaming_doom"], values["gaming_apps_total"]) == (1, 1)


def test_a_game_that_is_not_active_is_not_counted(counted):
    TrackedApp.objects.filter(key="palworld").update(active=False)
    values = counted(PALWORLD)
    assert "gaming_palworld" not in values
    assert values["gaming_apps_total"] == 1  # by the category's keyword


def test_the_longest_pattern_wins(counted):
    TrackedApp.objects.create(name="Special", key="special", category="gaming", name_patterns=["palworldspecial*"])
    TrackedApp.objects.create(name="Any", key="any", category="gaming", name_patterns=["palw*"])
    values = counted(f"fluxgame_palworldspecial{ID}", f"fluxgame_palworld{ID}", "fluxgame_palwhat")
    assert (values["gaming_special"], values["gaming_palworld"], values["gaming_any"]) == (1, 1, 1)


def test_coverage_says_how_many_were_resolved(network, collect, source):
    network.specs += [spec(f"palworld{ID}", encrypted=True), spec("known", ("web", "a/b:1"))]
    network.run(f"fluxgame_palworld{ID}", "fluxweb_known", "fluxother_known", "fluxweb_nobody")
    network.rows += [{}, {"apps": {"runningapps": None}}]
    collect()
    coverage = source("apps").coverage
    assert coverage | {"specificationsOf": None} == {
        "rows": 12,
        "repeated": 0,
        "nodes": 10,
        "containers": 4,
        "resolved": 1,
        "resolvedPercent": 25,
        "encrypted": 1,
        "unknown": 2,
        "rowsLeftOut": 2,
        "containersLeftOut": 0,
        "notRunning": {},
        "specificationsOf": None,
    }


def test_a_node_that_could_not_be_reached_tells_of_no_container(network, collect, later, source):
    collect()
    network.rows[0] = unreachable(network.rows[0])
    later(minutes=10)
    collect()
    assert (source("apps").values["total_apps"], source("apps").size) == (9, 9)
    coverage = source("apps").coverage
    assert (coverage["rows"], coverage["nodes"], coverage["rowsLeftOut"]) == (10, 9, 1)


def test_when_no_node_could_be_reached_the_last_counts_stay(network, collect, later, source):
    collect()
    network.rows = [unreachable(row) for row in network.rows]
    later(minutes=10)
    assert collect()["sources"]["apps"] == "stale"
    assert source("apps").values["total_apps"] == 10


def test_containers_without_name_and_image_are_left_out_and_counted(network, collect, source):
    network.run("nginx:1")
    network.rows[0]["apps"]["runningapps"] += [{}, None, {"Names": []}]
    collect()
    assert source("apps").values["total_apps"] == 1
    assert source("apps").coverage["containersLeftOut"] == 3


RUNNING = [
    {"State": "running", "Status": "Up 3 days"},
    {"State": "Running"},
    {"State": " RUNNING "},
    {"Status": "Up 6 days (healthy)"},
    {"Status": "up 1 second"},
    {"State": None, "Status": None},
    {"State": "", "Status": ""},
    {"State": 5},
    {"State": "running", "Status": "Exited (0) 2 days ago"},  # the state is the word for it
    {},
]
NOT_RUNNING = [
    ({"State": "exited", "Status": "Exited (137) 3 hours ago"}, "exited"),
    ({"State": "Exited"}, "exited"),
    ({"State": "created"}, "created"),
    ({"State": "restarting", "Status": "Restarting (1) 5 seconds ago"}, "restarting"),
    ({"State": "paused", "Status": "Up 2 days (Paused)"}, "paused"),
    ({"State": "dead"}, "dead"),
    ({"State": "removing"}, "removing"),
    ({"State": "stopped"}, "other"),
    ({"State": "exited", "Status": "Up 2 days"}, "exited"),
    ({"Status": "Exited (0) 2 days ago"}, "exited"),
    ({"Status": "Created"}, "created"),
    ({"Status": "Up 2 days (Paused)"}, "paused"),
    ({"Status": "Restarting (1) 5 seconds ago"}, "restarting"),
    ({"Status": "Dead"}, "dead"),
    ({"Status": "Removal In Progress"}, "removing"),
]


@pytest.mark.parametrize("told", RUNNING, ids=str)
def test_a_container_counts_that_runs_or_does_not_tell_its_state(network, told):
    network.run("itzg/minecraft-server:1")
    network.rows[0]["apps"]["runningapps"].append({"Image": "itzg/minecraft-server:1"} | told)
    found = counting(network)
    assert (found.values["gaming_minecraft"], found.values["total_apps"]) == (2, 2)
    assert (found.coverage["containers"], found.coverage["notRunning"]) == (2, {})


@pytest.mark.parametrize(("told", "state"), NOT_RUNNING, ids=str)
def test_a_container_that_does_not_run_is_told_in_the_coverage_alone(network, told, state):
    beside_what_runs(network, told)
    found = counting(network)
    values = [found.values[key] for key in ("total_apps", "gitapps_count", "watchtower_count", "gaming_palworld")]
    assert values == [2, 1, 1, 1]
    coverage = found.coverage
    assert (coverage["containers"], coverage["notRunning"], coverage["containersLeftOut"]) == (3, {state: 4}, 0)
    assert {row.image: row.count for row in found.images} == IMAGES


IMAGES = {"thijsvanloef/palworld-server-docker": 1, "runonflux/orbit": 1}


def beside_what_runs(network, told):
    """Three containers that run, and the same and one without a name that tell this of their state."""
    network.specs.append(spec("known", ("web", PALWORLD)))
    network.run("fluxweb_known", "runonflux/orbit:1", "containrrr/watchtower")
    network.rows[1]["apps"]["runningapps"] = [
        {"Names": ["/fluxweb_known"]} | told,
        {"Image": "runonflux/orbit:1"} | told,
        {"Image": "containrrr/watchtower"} | told,
        told,
    ]


def test_what_does_not_run_is_in_no_answer(network, collect, get):
    beside_what_runs(network, NOT_RUNNING[0][0])
    collect()
    answer = get("metrics/current")
    assert (answer["apps"]["total"], answer["apps"]["gitapps"], answer["apps"]["watchtower"]) == (2, 1, 1)
    assert answer["gaming"]["palworld"] == 1
    coverage = answer["sources"]["apps"]["coverage"]
    assert (coverage["containers"], coverage["notRunning"], coverage["containersLeftOut"]) == (3, {"exited": 4}, 0)
    assert dict(ImageCount.objects.values_list("image", "count")) == IMAGES


def test_a_network_of_which_nothing_runs_has_no_instances(network, collect, get):
    network.run("nginx:1")
    network.rows[0]["apps"]["runningapps"][0]["State"] = "exited"
    assert collect()["sources"]["apps"] == "ok"
    assert get("metrics/current")["apps"]["total"] == 0


def test_the_service_check_misses_a_game_that_only_exited_containers_are_left_of(network, counted, collect, later):
    counted(PALWORLD, "nginx:1", "nginx:2")
    later(hours=2)
    network.rows[0]["apps"]["runningapps"][0] |= {"State": "exited"}
    collect()
    (found,) = [one for one in check_instances(timezone.now()) if one.name == "Palworld"]
    assert found.status == "missing"


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("again", ["the same", "unreachable", "older"])
def test_the_containers_of_a_collateral_count_once(network, collect, source, again, order):
    network.run("nginx:1", "nginx:2", "fluxweb_app1")
    row = network.rows[0]
    older = copy.deepcopy(row) | {"dataCollectedAt": row["dataCollectedAt"] - 1}
    older["apps"]["runningapps"] *= 3
    network.rows.append({"the same": row, "unreachable": unreachable(row), "older": older}[again])
    network.rows = network.rows[::order]
    collect()
    assert source("apps").values["total_apps"] == 3
    assert dict(ImageCount.objects.values_list("image", "count")) == {"nginx": 3}
    coverage = source("apps").coverage
    assert (coverage["rows"], coverage["repeated"], coverage["nodes"], coverage["rowsLeftOut"]) == (11, 1, 10, 0)


def test_a_repeated_row_without_a_list_of_containers_costs_none(network, collect, source):
    network.run("nginx:1")
    network.rows.append(network.rows[0] | {"apps": None, "dataCollectedAt": 2**41})
    collect()
    assert source("apps").values["total_apps"] == 1


def test_both_shapes_of_the_statistics_are_understood(network, collect, source):
    network.rows = payload("stats/runningapps_before_8_18")["data"]
    collect()
    values = source("apps").values
    assert (values["total_apps"], values["watchtower_count"], values["gitapps_count"]) == (3, 2, 1)
    assert (values["crypto_presearch"], values["gaming_minecraft"]) == (1, 1)


def test_the_real_rows_and_specifications(network, collect, source):
    network.rows = payload("stats_fluxinfo_full")["data"]
    network.specs = payload("apps_globalappsspecifications")["data"]
    collect()
    coverage = source("apps").coverage
    assert (coverage["nodes"], coverage["containers"], coverage["resolved"], coverage["unknown"]) == (5, 6, 0, 6)
    assert coverage["rowsLeftOut"] == 1  # it could not be reached
    assert source("apps").values["total_apps"] == 6


def test_without_specifications_those_of_the_last_day_serve(network, collect, later, source):
    network.specs.append(spec("known", ("web", PALWORLD)))
    network.run("fluxweb_known")
    collect()
    read_at = source("specs").read_at
    network.broken["specs"] = 503
    later(hours=24)
    report = collect()
    assert (report["sources"]["apps"], report["sources"]["specs"]) == ("ok", "stale")
    assert source("apps").values["gaming_palworld"] == 1
    assert source("apps").coverage["specificationsOf"] == read_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    later(seconds=1)
    report = collect()
    assert report["sources"]["apps"] == "stale"
    assert "specifications" in report["errors"]["apps"]


def test_without_any_specifications_names_are_not_guessed(network, collect, source):
    network.broken["specs"] = 503
    assert collect()["sources"]["apps"] == "failed"
    assert not ImageCount.objects.exists()


def test_without_any_specifications_images_still_count(network, collect, source):
    network.broken["specs"] = 503
    network.run(PALWORLD)
    assert collect()["sources"]["apps"] == "ok"
    assert source("apps").values["gaming_palworld"] == 1
    assert not Memory.objects.filter(name="specs").exists()
