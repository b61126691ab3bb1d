"""`GET /api/metrics/current`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics.models import Source, TrackedApp
from revenue.models import LivePrice
from tests.factories import pay, settle
from tests.metrics.conftest import NOW
from tests.metrics.network import unreachable

pytestmark = [pytest.mark.django_db, pytest.mark.engine]


def leaves(answer):
    for value in answer.values():
        if isinstance(value, dict):
            yield from leaves(value)
        else:
            yield value


def test_everything_of_the_contract_is_there(network, collect, get):
    settle(NOW)
    network.run("itzg/minecraft-server:java21", "presearch/node:1", "runonflux/orbit:1", "nginx:1")
    collect()
    answer = get("metrics/current")
    assert answer["lastUpdate"] == int(NOW.timestamp() * 1000)
    assert answer["cloud"] == {
        "cpu": {"total": 40, "used": 10, "utilization": 25},
        "ram": {"total": 80, "used": 10, "utilization": 12.5},
        "storage": {"total": 2200, "used": 200, "utilization": 9.09},
    }
    assert answer["apps"] == {
        "total": 4,
        "watchtower": 0,
        "gitapps": 1,
        "dockerapps": 3,
        "gitapps_percent": 25,
        "dockerapps_percent": 75,
    }
    assert answer["nodes"] == {"cumulus": 5, "nimbus": 3, "stratus": 2, "total": 10}
    assert (answer["gaming"]["total"], answer["gaming"]["minecraft"], answer["gaming"]["palworld"]) == (1, 1, 0)
    assert (answer["crypto"]["total"], answer["crypto"]["presearch"], answer["crypto"]["timpi_geocore"]) == (1, 1, 0)
    assert answer["wordpress"] == {"count": 0}
    assert {name: one["status"] for name, one in answer["sources"].items()} == dict.fromkeys(Source.Name.values, "ok")
    assert answer["sources"]["cloud"]["asOf"] == "2026-11-20T12:00:00Z"
    assert answer["sources"]["cloud"]["coverage"]["counted"] == 10


def test_before_the_first_collection_nothing_is_known(clock, get):
    answer = get("metrics/current")
    sources = answer.pop("sources")
    assert answer["revenue"].pop("usdMissing") == 0
    assert set(leaves(answer)) == {None}
    assert {one["status"] for one in sources.values()} == {"never"}


def test_what_failed_without_a_value_is_null_and_says_so(network, collect, get):
    network.broken["cloud"] = 503
    collect()
    answer = get("metrics/current")
    assert set(leaves(answer["cloud"])) == {None}
    assert answer["asOf"] is None
    assert answer["lastUpdate"]
    told = answer["sources"]["cloud"]
    assert (told["status"], told["asOf"], told["error"]) == ("failed", None, "stats.test /fluxinfo: HTTP 503")


def test_what_failed_keeps_its_value_and_its_age(network, collect, later, get):
    collect()
    network.broken["cloud"] = 503
    later(minutes=10)
    collect()
    answer = get("metrics/current")
    assert answer["cloud"]["cpu"]["total"] == 40
    told = answer["sources"]["cloud"]
    assert (told["status"], told["asOf"], told["triedAt"]) == ("stale", "2026-11-20T12:00:00Z", "2026-11-20T12:10:00Z")
    assert answer["asOf"] == "2026-11-20T12:00:00Z"
    assert answer["lastUpdate"] == int((NOW + timedelta(minutes=10)).timestamp() * 1000)


def test_values_turn_stale_by_the_clock_alone(network, collect, later, client):
    collect()
    first = client.get("/api/metrics/current")
    later(minutes=31)
    again = client.get("/api/metrics/current", headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 200
    assert again.json()["sources"]["nodes"]["status"] == "stale"


def test_revenue_is_todays(network, collect, get):
    pay("25.93", at=NOW - timedelta(hours=1))
    pay("10", at=NOW - timedelta(hours=2), price_usd=None)
    pay("99", at=NOW - timedelta(days=1))
    settle(NOW)
    collect()
    assert get("metrics/current")["revenue"] == {
        "current": 35.93,
        "fluxPriceUsd": 0.0744,
        "usdValue": 1.94475,
        "usdMissing": 1,
        "paymentCount": 2,
    }


def test_dollars_are_null_when_no_payment_has_a_price(clock, get):
    pay("10", at=NOW - timedelta(hours=1), price_usd=None)
    settle(NOW)
    revenue = get("metrics/current")["revenue"]
    assert (revenue["current"], revenue["usdValue"], revenue["usdMissing"]) == (10, None, 1)


def test_revenue_is_null_when_no_sync_has_looked_at_today(clock, get):
    settle(NOW - timedelta(days=1))
    revenue = get("metrics/current")["revenue"]
    assert (revenue["current"], revenue["usdValue"], revenue["paymentCount"]) == (None, None, None)


def test_a_game_just_added_is_not_known_yet(network, collect, get):
    collect()
    TrackedApp.objects.create(name="Doom", key="doom", category="gaming", image_patterns=["id/doom"])
    TrackedApp.objects.get(key="palworld").delete()
    gaming = get("metrics/current")["gaming"]
    assert gaming["doom"] is None
    assert "palworld" not in gaming


@pytest.mark.parametrize(
    "change",
    [
        lambda: LivePrice.objects.update(price_usd="0.08"),
        lambda: TrackedApp.objects.create(name="Doom", key="doom", category="gaming"),
        lambda: TrackedApp.objects.order_by("changed_at").first().delete(),
        lambda: settle(NOW + timedelta(seconds=1)),
    ],
)
def test_an_answer_that_did_not_change_is_not_sent_again(network, collect, client, change):
    collect()
    first = client.get("/api/metrics/current")
    assert "max-age" in first["Cache-Control"]
    headers = {"If-None-Match": first["ETag"]}
    assert client.get("/api/metrics/current", headers=headers).status_code == 304
    change()
    assert client.get("/api/metrics/current", headers=headers).status_code == 200


def test_a_collection_changes_the_answer(network, collect, client, later):
    collect()
    first = client.get("/api/metrics/current")
    network.rows[0] = unreachable(network.rows[0])
    later(seconds=20)
    collect()
    assert client.get("/api/metrics/current", headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_it_needs_few_queries(network, collect, client):
    collect()
    with CaptureQueriesContext(connection) as queries:
        client.get("/api/metrics/current")
    assert len([one for one in queries if one["sql"].lstrip().startswith("SELECT")]) <= 9


def test_it_writes_nothing_but_get(client, db):
    assert client.post("/api/metrics/current").status_code == 405
