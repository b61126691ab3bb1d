"""Counts of images and categories: by day, and now against then."""

from __future__ import annotations

from datetime import timedelta

import pytest

from metrics.models import ImageCount, Source
from snapshots.models import ImageDay
from tests.snapshots.network import DAY, at, backfilled, collected, images, snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.engine, pytest.mark.usefixtures("clock")]

PALWORLD = "thijsvanloef/palworld-server-docker"


def days_ago(n):
    return DAY - timedelta(days=n)


# An image by day


@pytest.fixture
def days():
    """The image ran 3 and 1 days ago, not 2; 4 days ago images were not counted, 5 days ago only in part."""
    for n in (1, 2, 3):
        snapshot(days_ago(n))
    backfilled(days_ago(4))
    snapshot(days_ago(5), source="simulated")
    images(days_ago(3), xyz__game=7, other=1)
    images(days_ago(2), other=1)
    images(days_ago(1), xyz__game=9)
    images(days_ago(5), other=4)


def counts(answer):
    return [(row["date"], row["count"]) for row in answer["data"]]


def test_an_image_is_told_oldest_first_with_zero_where_every_image_was_counted(get, days):
    answer = get("history/images", image="xyz/game")
    assert counts(answer) == [(str(days_ago(3)), 7), (str(days_ago(2)), 0), (str(days_ago(1)), 9)]
    assert (answer["image"], answer["category"], answer["count"]) == ("xyz/game", "gaming", 3)


def test_a_day_on_which_not_every_image_was_counted_says_nothing_of_the_others(get, days):
    assert counts(get("history/images", image="other", end=days_ago(3))) == [
        (str(days_ago(5)), 4),
        (str(days_ago(3)), 1),
    ]


def test_a_range_includes_both_ends(get, days):
    assert counts(get("history/images", image="xyz/game", start=days_ago(2), end=days_ago(2))) == [
        (str(days_ago(2)), 0)
    ]  # fmt: skip


def test_an_unknown_image_is_empty_and_not_an_error(get, days):
    answer = get("history/images", image="no/such", start=days_ago(9))
    assert (answer["count"], answer["data"], answer["category"]) == (0, [], None)
    assert (answer["start"], answer["end"]) == (str(days_ago(9)), None)


@pytest.mark.parametrize("query", [{}, {"image": ""}, {"image": "  "}])
def test_the_image_is_needed(refused, query):
    assert "image: is needed" in refused("history/images", **query)


def test_a_reversed_range_of_an_image_is_refused(refused):
    assert "must not be after" in refused("history/images", image="x", start=DAY, end=days_ago(1))


# A category by day


def test_a_category_has_its_total_and_its_tracked_apps_by_day(get):
    snapshot(DAY)
    snapshot(days_ago(2), counts={})
    answer = get("history/category/gaming")
    assert answer["count"] == 2
    today, before = answer["data"]
    assert (today["date"], today["total"], today["palworld"], today["minecraft"]) == (str(DAY), 700, 61, None)
    assert (before["total"], before["palworld"]) == (700, None)
    assert [gap["date"] for gap in answer["missing"]] == [str(days_ago(1))]
    assert get("history/category/crypto")["data"][0]["presearch"] == 1200
    assert get("history/category/wordpress")["data"][0] == {"date": str(DAY), "total": 45}


def test_a_category_that_was_not_counted_is_null(get):
    backfilled(DAY)
    assert set(get("history/category/crypto")["data"][0].values()) == {str(DAY), None}


def test_a_category_takes_a_range_and_a_limit(get):
    for n in range(40):
        snapshot(days_ago(n))
    assert get("history/category/gaming")["count"] == 30
    assert get("history/category/gaming", start=days_ago(35))["count"] == 36
    assert [row["date"] for row in get("history/category/gaming", end=days_ago(3), limit=1)["data"]] == [
        str(days_ago(3))
    ]
    assert get("history/category/gaming", start="2020-01-01", end="2020-01-02")["count"] == 0


@pytest.mark.parametrize("path", ["history/category/git", "metrics/category/excluded/top", "metrics/category/x/top"])
def test_other_categories_are_404_and_say_which_there_are(client, path):
    response = client.get(f"/api/{path}")
    assert response.status_code == 404
    assert response.json() == {"error": "there is no category of that name; there are gaming, crypto, wordpress"}


def test_a_range_of_a_category_is_checked(refused):
    assert "at most 3660 days" in refused("history/category/gaming", start="2000-01-01")


# Now against then


@pytest.fixture
def now():
    collected(at("00:07"))


def ranked(answer):
    return [(row["rank"], row["image"], row["count"], row["previous"], row["difference"]) for row in answer["data"]]


def test_the_top_images_stand_against_exactly_as_many_days_ago(get, now):
    snapshot(days_ago(7))
    images(days_ago(7), **{PALWORLD.replace("/", "__"): 50})
    images(days_ago(6), **{PALWORLD.replace("/", "__"): 1})
    answer = get("metrics/category/gaming/top")
    assert ranked(answer) == [(1, PALWORLD, 60, 50, 10), (2, "itzg/minecraft-server", 9, 0, 9)]
    shown = [answer[key] for key in ("days", "comparisonDate", "message", "count", "total", "stale", "asOf")]
    assert shown == [7, str(days_ago(7)), None, 2, 2, False, "2026-11-20T00:07:00Z"]


def test_the_tracked_apps_are_ranked_with_the_containers_that_have_no_public_image(get, now):
    snapshot(days_ago(7), counts={"gaming_palworld": 40})
    Source.objects.filter(name="apps").update(values={"gaming_palworld": 61, "gaming_fivem": 9, "crypto_kaspa": 77})
    apps = get("metrics/category/gaming/top")["apps"]
    assert [(row["rank"], row["key"], row["count"], row["previous"], row["difference"]) for row in apps] == [
        (1, "palworld", 61, 40, 21),
        (2, "fivem", 9, None, None),
    ]


def test_where_only_a_part_of_the_images_was_counted_the_others_are_unknown(get, now):
    snapshot(days_ago(7), source="simulated")
    images(days_ago(7), **{PALWORLD.replace("/", "__"): 50})
    assert ranked(get("metrics/category/gaming/top"))[1] == (2, "itzg/minecraft-server", 9, None, None)


def test_without_counts_of_that_day_the_difference_is_unknown_and_a_message_says_so(get, now):
    images(days_ago(6), **{PALWORLD.replace("/", "__"): 1})
    answer = get("metrics/category/gaming/top", days=5, limit=1)
    assert ranked(answer) == [(1, PALWORLD, 60, None, None)]
    assert answer["comparisonDate"] is None
    assert answer["message"] == "there are no counts of images from exactly 5 days ago"
    assert (answer["count"], answer["total"]) == (1, 2)


def test_before_the_first_collection_there_is_nothing_and_it_says_so(get):
    answer = get("metrics/category/crypto/top")
    assert (answer["data"], answer["asOf"], answer["stale"], answer["total"]) == ([], None, True, 0)


def test_counts_over_two_hours_old_are_stale_also_for_who_has_the_answer(client, clock, now):
    response = client.get("/api/metrics/category/gaming/top")
    assert response.json()["stale"] is False
    clock.move_to(at("02:07:01"))
    again = client.get("/api/metrics/category/gaming/top", headers={"if-none-match": response["ETag"]})
    assert (again.status_code, again.json()["stale"]) == (200, True)


@pytest.mark.parametrize("change", [lambda: collected(at("00:09")), lambda: images(days_ago(7), a=1)])
def test_a_new_collection_and_new_counts_of_a_day_are_a_new_answer(client, now, change):
    etag = client.get("/api/metrics/category/gaming/top")["ETag"]
    assert client.get("/api/metrics/category/gaming/top", headers={"if-none-match": etag}).status_code == 304
    change()
    assert client.get("/api/metrics/category/gaming/top", headers={"if-none-match": etag}).status_code == 200


@pytest.mark.parametrize("query", [{"days": 0}, {"days": 3651}, {"days": "x"}, {"limit": 0}, {"limit": ""}])
def test_bad_values_are_refused(refused, query):
    assert "expected a whole number from 1" in refused("metrics/category/gaming/top", **query)


def test_a_large_limit_is_cut(get, now):
    ImageCount.objects.bulk_create([ImageCount(image=f"game/{n:03}", category="gaming", count=1) for n in range(150)])
    answer = get("metrics/category/gaming/top", limit=5000)
    assert (answer["count"], answer["total"]) == (100, 152)


def test_few_queries_whatever_the_number_of_images(client, now, django_assert_max_num_queries):
    ImageDay.objects.bulk_create([ImageDay(day=days_ago(7), image=f"game/{n:03}", count=1) for n in range(150)])
    assert Source.objects.count() == 5
    with django_assert_max_num_queries(18):
        assert client.get("/api/metrics/category/gaming/top?limit=100").status_code == 200
