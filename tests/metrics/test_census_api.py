"""`/api/network/decentralisation` and `/api/network/nodes`."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from metrics.census.distribution import fewest
from tests.metrics.census_network import gone, listed, told

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

TIERS = ("CUMULUS", "NIMBUS", "STRATUS")


def test_operators_are_counted_three_ways(census_network, census, get):
    census_network.nodes = [
        listed(n, tier=TIERS[n // 4], payment_address=f"t1of{n % 6}", pubkey=None if n == 11 else f"02{n % 2:02}")
        for n in range(12)
    ]
    census_network.facts = [told(n, tier=TIERS[n // 4], flux__zelid="1Same") for n in range(11)]
    census()
    operators = get("network/decentralisation")["operators"]
    by_address = operators["by_payment_address"]
    assert {key: by_address[key] for key in ("count", "nakamoto33", "nakamoto50", "hhi", "top10_percent")} == {
        "count": 6, "nakamoto33": 2, "nakamoto50": 4, "hhi": 1666.7, "top10_percent": 100.0,
    }  # fmt: skip
    # 2 * 1,000 + ...: numbers 2 to 5 have a Stratus each and two of them a Nimbus besides
    assert by_address["collateral"]["nakamoto33"] == 2
    assert (operators["by_pubkey"]["count"], operators["by_pubkey"]["nakamoto50"]) == (2, 1)
    assert operators["by_zelid"] == {
        "count": 1, "nakamoto33": 1, "nakamoto50": 1, "hhi": 10_000.0, "top10_percent": 100.0,
        "collateral": {"count": 1, "nakamoto33": 1, "nakamoto50": 1, "hhi": 10_000.0, "top10_percent": 100.0},
        "cores": {"count": 1, "nakamoto33": 1, "nakamoto50": 1, "hhi": 10_000.0, "top10_percent": 100.0},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("weights", "at33", "at50"),
    [([1], 1, 1), ([1, 1, 1], 1, 2), ([1, 1], 1, 2), ([33, 33, 34], 1, 2), ([4, 3, 2, 1], 1, 2)],
)
def test_the_nakamoto_coefficient_is_how_few_have_more_than_the_share(weights, at33, at50):
    ordered = sorted(weights, reverse=True)
    assert (fewest(ordered, sum(ordered), 33), fewest(ordered, sum(ordered), 50)) == (at33, at50)


def test_places_providers_and_versions_have_three_weights(census_network, census, get):
    census_network.facts = [
        told(0, tier="STRATUS", benchmark__bench__cores=16),
        told(1, geolocation__org="Another name"),
        told(2, geolocation__asn="AS8560 IONOS SE", geolocation__countryCode="us", geolocation__continentCode="NA"),
        told(
            3,
            geolocation__asn="no number",
            geolocation__countryCode=7,
            flux__version="8.19.0",
            benchmark__bench__cores=0,
        ),
        gone(4),
        told(2),  # twice
    ]
    del census_network.facts[3]["flux"]["zelid"]
    census()
    answer = get("network/decentralisation")
    assert answer["countries"] == [
        {"code": "AT", "nodes": 2, "collateral": 41_000, "cores": 20},
        {"code": "US", "nodes": 1, "collateral": 1_000, "cores": 4},
    ]
    assert {row["code"]: row["nodes"] for row in answer["continents"]} == {"EU": 3, "NA": 1}
    assert [(row["asn"], row["nodes"], row["names"]) for row in answer["providers"]] == [
        (197540, 2, ["netcup GmbH", "ANX", "Another name"]), (8560, 1, ["IONOS SE", "ANX"]),
    ]  # fmt: skip
    versions = answer["versions"]
    assert {row["version"]: (row["nodes"], row["cores"]) for row in versions["fluxos"]} == {
        "8.20.0": (3, 24), "8.19.0": (1, None),
    }  # fmt: skip
    assert [row["version"] for row in versions["daemon"] + versions["benchmark"]] == ["9010050", "6.3.1"]
    coverage = answer["coverage"]
    assert (coverage["facts"], coverage["reached"], coverage["withCountry"], coverage["withProvider"]) == (5, 4, 3, 3)
    assert (coverage["factsRepeated"], coverage["withZelid"]) == (1, 3)


def test_the_share_of_arcane_is_one_of_the_nodes_that_tell_their_system(census_network, census, get):
    arcane = {"flux__arcaneVersion": "1775071308"}
    census_network.facts = [told(0, **arcane), told(1, **arcane, tier="NIMBUS"), told(2), gone(3), told(4, flux={})]
    census()
    answer = get("network/decentralisation")
    assert (answer["arcane_percent"], answer["arcane"]["collateral"]) == (66.67, 93.1)


def test_an_unread_part_is_null_with_a_reason(census_network, census, get):
    census_network.broken["node_facts"] = 503
    census()
    answer = get("network/decentralisation")
    for key in ("countries", "continents", "providers", "versions", "arcane_percent"):
        assert answer[key] is None
        assert answer["notes"][key] == "The statistics of the nodes were not read on 2026-11-20."
    operators = answer["operators"]
    assert (operators["by_zelid"], operators["by_payment_address"]["count"]) == (None, 10)
    assert operators["by_payment_address"]["cores"] is None
    assert "operators.by_zelid" in answer["notes"]


def test_by_day_each_day_from_the_first_census_on_is_there(census_network, census, later, get):
    census()
    later(days=2)
    census_network.nodes.append(listed(10))
    census()
    answer = get("network/decentralisation")
    assert [row["date"] for row in answer["data"]] == ["2026-11-20", "2026-11-21", "2026-11-22"]
    counts = [
        row["operators"]["by_payment_address"] and row["operators"]["by_payment_address"]["count"]
        for row in answer["data"]
    ]
    assert counts == [10, None, 11]
    assert (answer["date"], answer["asOf"]) == ("2026-11-22", "2026-11-22T12:00:00Z")
    assert answer["notes"] == {"data": "Earlier days are unknown: the first census is of 2026-11-20."}
    first = get("network/decentralisation?start=2026-11-20&end=2026-11-20")
    assert (first["date"], first["operators"]["by_pubkey"]["count"], first["notes"]) == ("2026-11-20", 10, {})


def test_before_the_first_census_all_is_null(get, db):
    answer = get("network/decentralisation")
    assert (answer["countries"], answer["date"], answer["data"], answer["asOf"]) == (None, None, [], None)
    assert answer["notes"]["operators"] == "No census was taken in this range of days."
    nodes = get("network/nodes")
    assert (nodes["data"], nodes["total"]) == ([], {"joins": None, "leaves": None, "moves": None})


def test_nodes_that_came_and_went_by_day(census_network, census, later, get):
    census()
    assert get("network/nodes")["data"] == []
    later(hours=1)
    census_network.nodes.append(listed(10, tier="NIMBUS"))
    census()
    later(days=2)
    del census_network.nodes[:2]
    census()
    answer = get("network/nodes?end=2026-11-22")
    none = {"joins": 0, "leaves": 0, "moves": 0}
    unknown = dict.fromkeys(none)
    assert [(row["date"], row["cumulus"], row["nimbus"], row["total"]) for row in answer["data"]] == [
        ("2026-11-20", none, none | {"joins": 1}, none | {"joins": 1}),
        ("2026-11-21", unknown, unknown, unknown),
        ("2026-11-22", none | {"leaves": 2}, none, none | {"leaves": 2}),
    ]
    assert answer["data"][2]["since"] == "2026-11-20T13:00:00Z"
    assert answer["total"] == {"joins": 1, "leaves": 2, "moves": 0}
    assert answer["coverage"]["days"] == 2


@pytest.mark.parametrize("path", ["decentralisation", "nodes"])
@pytest.mark.parametrize("query", ["start=2026-11-20&end=2026-11-19", "start=yesterday", "from=2026-11-20"])
def test_a_wrong_range_is_refused(refused, db, path, query):
    refused(f"network/{path}?{query}")


def test_the_days_of_three_years_are_read_in_a_few_queries(census_network, census, get, django_assert_max_num_queries):
    from metrics.models import CensusDay

    census()
    row = CensusDay.objects.get()
    for back in range(1, 30):
        row.pk = date(2026, 11, 20) - timedelta(days=back)
        row.save(force_insert=True)
    with django_assert_max_num_queries(8):
        assert len(get("network/decentralisation?start=2024-01-01")["data"]) == 30
