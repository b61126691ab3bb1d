"""What counts as what (contract section 5, "Running instances")."""

from __future__ import annotations

import pytest

from metrics.catalogue import FIXED
from metrics.models import Category, ImageCount, Memory, TrackedApp
from tests.metrics.network import spec
from tests.upstream.payloads import payload

pytestmark = pytest.mark.django_db

PALWORLD = "thijsvanloef/palworld-server-docker:latest"
ID = "1790792896573"


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
def test_a_tracked_app_is_known_by_its_image(counted, image, column):
    values = counted(image, "nginx:1")
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
def test_where_the_image_is_not_public_the_apps_name_tells(network, counted, app, column):
    network.specs.append(spec(app, encrypted=True))
    values = counted(f"fluxgame_{app}", f"flux{app}", "fluxweb_nobody")
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
def test_other_names_are_no_games(counted, app):
    assert counted(f"fluxserver_{app}")["gaming_apps_total"] == 0


HELPERS = (
    "mariadb mysql postgres postgresql redis valkey mongo mongodb operator watchtower nginx proxy Website mywebsite2"
)


@pytest.mark.parametrize("helper", HELPERS.split())
def test_helper_components_are_no_instances(network, counted, helper):
    network.specs.append(spec(f"fivem{ID}", encrypted=True))
    values = counted(f"flux{helper}_fivem{ID}", f"fluxgame_fivem{ID}")
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
        "nodes": 10,
        "containers": 4,
        "resolved": 1,
        "resolvedPercent": 25,
        "encrypted": 1,
        "unknown": 2,
        "rowsLeftOut": 2,
        "containersLeftOut": 0,
        "specificationsOf": None,
    }


def test_containers_without_name_and_image_are_left_out_and_counted(network, collect, source):
    network.run("nginx:1")
    network.rows[0]["apps"]["runningapps"] += [{}, None, {"Names": []}]
    collect()
    assert source("apps").values["total_apps"] == 1
    assert source("apps").coverage["containersLeftOut"] == 3


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
    assert (coverage["nodes"], coverage["containers"], coverage["resolved"], coverage["unknown"]) == (6, 6, 0, 6)
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
