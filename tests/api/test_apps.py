"""GET /api/analytics/apps."""

from datetime import timedelta

import pytest

from tests.factories import NOON, AppFactory, pay, settle

pytestmark = pytest.mark.django_db

PATH = "analytics/apps"


@pytest.fixture
def apps():
    for amount, app in (("10", "small"), ("5", "Minecraft1"), ("26", "Minecraft1"), ("31", "minecraft2"), ("3", "")):
        pay(amount, app=app, at=NOON - timedelta(days=int(amount)))
    AppFactory(name="never-paid")
    settle()


def test_an_app_has_its_sums_and_its_first_and_last_day(get, apps):
    answer = get(PATH, search="minecraft1")
    assert answer["apps"] == [
        {
            "app_name": "Minecraft1",
            "transaction_count": 2,
            "total_revenue": 31.0,
            "total_revenue_sat": 3_100_000_000,
            "avg_payment": 15.5,
            "total_revenue_usd": 2.325,
            "usdMissing": 0,
            "first_payment": "2026-10-25",
            "last_payment": "2026-11-15",
        }
    ]


def test_the_biggest_come_first_and_equals_by_name(get, apps):
    assert [app["app_name"] for app in get(PATH)["apps"]] == ["Minecraft1", "minecraft2", "small"]


def test_apps_without_payments_and_payments_without_app_are_left_out(get, apps):
    assert get(PATH)["total"] == 3


def test_search_finds_any_part_whatever_its_case(get, apps):
    assert [app["app_name"] for app in get(PATH, search="CRAFT")["apps"]] == ["Minecraft1", "minecraft2"]
    assert get(PATH, search="%")["total"] == get(PATH, search="_")["total"] == 0


@pytest.mark.parametrize(("page", "names"), [(1, ["Minecraft1", "minecraft2"]), (2, ["small"]), (3, []), (10**12, [])])
def test_pages(get, apps, page, names):
    answer = get(PATH, page=page, limit=2)
    assert [app["app_name"] for app in answer["apps"]] == names
    assert (answer["total"], answer["totalPages"], answer["page"], answer["limit"]) == (3, 2, page, 2)


def test_the_average_is_rounded_to_a_satoshi(get):
    for amount in ("0.00000001", "0.00000001", "0.00000003"):
        pay(amount, app="dust")
    settle()
    assert get(PATH)["apps"][0]["avg_payment"] == 2e-8


@pytest.mark.parametrize("query", [{"page": "0"}, {"limit": "none"}])
def test_bad_values_are_refused(refused, query):
    assert "expected a whole number from 1" in refused(PATH, **query)


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("app", ["Minecraft1", "minecraft2", "small"]),
        ("flux", ["small", "Minecraft1", "minecraft2"]),
        ("-payments", ["Minecraft1", "minecraft2", "small"]),
        ("first", ["minecraft2", "Minecraft1", "small"]),
        ("-last", ["Minecraft1", "small", "minecraft2"]),
    ],
)
def test_sort_orders_by_a_column_then_by_the_name(get, apps, sort, names):
    assert sorted(name for name in names) == sorted(app["app_name"] for app in get(PATH, sort=sort)["apps"])
    assert [app["app_name"] for app in get(PATH, sort=sort)["apps"]] == names


def test_apps_whose_dollars_nobody_knows_come_last_either_way(get):
    pay("5", app="dear")
    pay("1", app="cheap")
    pay("9", app="unpriced", price_usd=None)
    settle()
    assert [app["app_name"] for app in get(PATH, sort="-usd")["apps"]] == ["dear", "cheap", "unpriced"]
    assert [app["app_name"] for app in get(PATH, sort="usd")["apps"]] == ["cheap", "dear", "unpriced"]


def test_an_unknown_sort_is_refused_with_what_is_allowed(refused):
    assert "sort: expected one of -app, app" in refused(PATH, sort="colour")
