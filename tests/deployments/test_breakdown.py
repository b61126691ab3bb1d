"""Revenue by source and category, payers, apps of some days, and fees."""

import csv
from datetime import date, timedelta

import pytest

from deployments import jobs
from ops.jobs import runs
from revenue import alert_rules, ledger
from revenue.models import ChangedDay, Label, Payment, ShareRule
from tests.deployments.test_splits import CARD, PLATFORM, STRANGER, TEAM, message
from tests.factories import NOON, TIP, pay, settle

pytestmark = [pytest.mark.django_db, pytest.mark.engine, pytest.mark.usefixtures("clock")]

DAY = date(2026, 11, 20)
NOW = NOON + timedelta(hours=10)


@pytest.fixture
def three_days():
    message(pay("10", app="web1", from_address=CARD))
    message(pay("5", app="web2", from_address=TEAM), category="crypto")
    pay("3", from_address=PLATFORM, at=NOON - timedelta(days=1), kind="fluxdrive", message_hash="", price_usd=None)
    pay("2", app="web1", from_address=STRANGER, at=NOON - timedelta(days=2))
    settle(completed_at=NOW)
    jobs.update_economics(trigger="command")


def test_sources_of_each_day(get, three_days):
    found = get("revenue/sources", start="2026-11-18", end="2026-11-20")
    assert [row["date"] for row in found["data"]] == ["2026-11-18", "2026-11-19", "2026-11-20"]
    first, second, third = found["data"]
    assert third["total"] == {"flux": 15.0, "flux_sat": 1_500_000_000, "usd": 1.125, "usdMissing": 0, "payments": 2}
    assert {key: third[key]["flux"] for key in ("card", "team", "platform", "other", "unknown", "organic")} == {
        "card": 10.0, "team": 5.0, "platform": 0.0, "other": 0.0, "unknown": 0.0, "organic": 10.0,
    }  # fmt: skip
    assert (second["platform"]["usd"], second["platform"]["usdMissing"]) == (None, 1)
    assert second["organic"] == second["total"]
    assert first["other"]["flux_sat"] == first["total"]["flux_sat"] == 200_000_000
    assert found["coverage"] == {"classified_percent": 100.0, "priced_percent": 75.0, "waitingDays": 0}
    assert found["notes"] == {}
    label = next(label for label in found["labels"] if label["address"] == TEAM)
    assert (label["class"], label["kind"], label["label"]) == ("team", "address", "Team wallet")


def test_sources_of_a_week_add_up(get, three_days):
    (row,) = get("revenue/sources", start="2026-11-16", end="2026-11-22", by="week")["data"]
    assert (row["date"], row["end"], row["total"]["flux"], row["organic"]["flux"]) == (
        "2026-11-16",
        "2026-11-22",
        20,
        15,
    )


def test_categories_of_each_day(get, three_days):
    found = get("revenue/categories", start="2026-11-19", end="2026-11-20")
    assert found["categories"] == ["crypto", "fluxdrive", "gaming"]
    assert [(row["crypto"]["flux"], row["fluxdrive"]["flux"]) for row in found["data"]] == [(0, 3), (5, 0)]
    assert get("revenue/categories", start="2026-11-18")["coverage"]["classified_percent"] == 90.0


def test_parts_of_many_changed_days_are_null_with_a_note(get):
    for back in range(40):
        pay("1", from_address=CARD, at=NOON - timedelta(days=back))
    settle(completed_at=NOW)
    found = get("revenue/sources", start="2026-10-01", by="month")
    assert [row["card"]["flux"] for row in found["data"]] == [None, None]
    assert [row["total"]["payments"] for row in found["data"]] == [20, 20]
    assert (found["coverage"]["waitingDays"], set(found["notes"])) == (40, {"parts"})
    assert get("revenue/sources", start="2026-11-01", by="month")["data"][0]["card"]["flux"] == 20


def test_what_nobody_has_looked_into_is_null(get):
    settle(completed_at=None)
    found = get("revenue/sources", start="2026-11-20")
    assert (found["data"][0]["total"]["flux"], found["data"][0]["card"]["flux"]) == (None, None)
    assert "total" in found["notes"]


def test_a_payers_totals_survive_pruning(get, client, settings):
    for back in (0, 0, 400):
        pay("4", app="web", from_address=CARD, at=NOON - timedelta(days=back))
    pay("1", from_address=TEAM)
    settle(completed_at=NOW)
    before = get(f"payers/{CARD}")
    assert before["totals"] == {"flux": 12.0, "flux_sat": 1_200_000_000, "usd": 0.9, "usdMissing": 0, "payments": 3}
    assert (before["total"], before["first"], before["last"]) == (3, "2025-10-16", "2026-11-20")
    assert (before["class"], before["label"], before["apps"]) == ("card", "Card gateway", ["web"])
    with runs.run("prune", trigger="command") as run:
        ledger.prune(now=NOW, run=run)
    after = get(f"payers/{CARD}", limit=1, page=2)
    assert (after["totals"], after["first"], after["last"]) == (before["totals"], before["first"], before["last"])
    assert (after["total"], after["totalPages"], len(after["payments"])) == (2, 2, 1)
    assert after["coverage"]["kept_percent"] == 66.67
    assert client.get("/api/payers/t1Nobody").status_code == 404


def test_apps_of_some_days(get, refused, three_days):
    found = get("analytics/apps", from_="2026-11-19", to="2026-11-20")
    assert [(app["app_name"], app["total_revenue"], app["transaction_count"]) for app in found["apps"]] == [
        ("web1", 10.0, 1), ("web2", 5.0, 1),
    ]  # fmt: skip
    assert found["total"] == 2
    whole = get("analytics/apps", from_="2026-01-01")
    assert [app["total_revenue"] for app in whole["apps"]] == [12.0, 5.0]
    assert whole["apps"] == get("analytics/apps")["apps"]
    assert [app["app_name"] for app in get("analytics/apps", from_="2026-11-18", sort="app", search="B2")["apps"]] == [
        "web2"
    ]
    assert "unknown" in refused("analytics/apps", start="2026-11-19")
    assert "after" in refused("analytics/apps", from_="2026-11-20", to="2026-11-19")


@pytest.mark.parametrize(
    ("search", "name"), [("ÅNG_ström", "ÅNG_ström"), ("ÅNG", "ÅNG_ström"), ("Ö%", "Ö%İ"), ("İ", "Ö%İ"), ("ß", "ß")]
)
def test_a_name_outside_ascii_is_found_on_some_days_too(get, search, name):
    for each in ("ÅNG_ström", "Ö%İ", "ß", "ang"):
        message(pay("1", app=each))
    settle(completed_at=NOW)
    jobs.update_economics(trigger="command")
    for days in ({}, {"range": "2026"}):
        assert [app["app_name"] for app in get("analytics/apps", search=search, **days)["apps"]] == [name], days


def test_apps_of_days_that_wait_to_be_split_are_right(get, three_days):
    pay("7", app="web3")
    settle(completed_at=NOW)
    assert ChangedDay.objects.exists()
    apps = get("analytics/apps", from_="2026-11-20", to="2026-11-20")["apps"]
    assert [(app["app_name"], app["total_revenue"]) for app in apps] == [("web1", 10), ("web3", 7), ("web2", 5)]


def test_two_years_by_app_are_there_after_pruning(get):
    pay("4", app="web", at=NOON - timedelta(days=700))
    pay("2", app="web", at=NOON)
    settle(completed_at=NOW)
    jobs.update_economics(trigger="command")
    with runs.run("prune", trigger="command") as run:
        ledger.prune(now=NOW, run=run)
    assert Payment.objects.count() == 1
    (app,) = get("analytics/apps", from_="2024-01-01")["apps"]
    assert (app["total_revenue"], app["first_payment"], app["last_payment"]) == (6.0, "2024-12-20", "2026-11-20")


def test_the_export_of_apps_is_of_the_same_days(client, three_days):
    body = b"".join(client.get("/export/apps.csv?from=2026-11-19&to=2026-11-20").streaming_content).decode()
    rows = list(csv.DictReader(body.splitlines()))
    assert [(row["app_name"], row["revenue_sat"], row["first_payment"]) for row in rows] == [
        ("web1", "1000000000", "2026-11-20"), ("web2", "500000000", "2026-11-20"),
    ]  # fmt: skip


def test_fees_are_what_users_paid(get, three_days):
    found = get("export/fees", start="2026-11-18", end="2026-11-20")
    last = found["data"][2]
    assert last["dailyFees"] == last["dailyUserFees"] == last["dailyProtocolRevenue"] == 1.125
    assert (last["dailySupplySideRevenue"], last["dailyHoldersRevenue"]) == (0, None)
    assert last["paidByUsers"] == last["foundation"] == {"flux": 15.0, "flux_sat": 1_500_000_000, "usd": 1.125}
    assert found["data"][1]["dailyFees"] is None
    assert found["data"][1]["usdMissing"] == 1
    assert "dailyHoldersRevenue" in found["notes"]
    assert [rule["foundation_percent"] for rule in found["rules"]] == [100.0, 80.0]


def test_a_rule_that_begins_within_a_day_never_lets_what_users_paid_drop(get):
    for back, height in ((1, TIP - 50), (0, TIP - 20), (0, TIP - 10)):
        pay("8", at=NOON - timedelta(days=back), height=height)
    settle(completed_at=NOW)
    ShareRule.objects.create(
        from_height=TIP - 10, from_day=DAY, foundation_ppm=800_000, operators_ppm=200_000, words="a pool"
    )
    before, mixed = get("export/fees", start="2026-11-19", end="2026-11-20")["data"]
    assert (before["paidByUsers"]["flux"], before["operators"]["flux"]) == (8.0, 0.0)
    assert (mixed["paidByUsers"]["flux"], mixed["foundation"]["flux"], mixed["operators"]["flux"]) == (18, 16, 2)
    assert mixed["dailyUserFees"] == pytest.approx(mixed["dailyProtocolRevenue"] + mixed["dailySupplySideRevenue"])


def test_what_blocks_issue_stands_apart(get, three_days):
    found = get("export/fees", start="2026-11-18", end="2026-11-20")["data"]
    assert found[2]["incentives"]["flux"] is None
    assert 30_000 < found[0]["incentives"]["flux"] < 45_000
    assert get("export/fees", start="2024-01-01", end="2024-01-01")["data"][0]["incentives"]["flux"] is None


@pytest.mark.parametrize("path", ["revenue/sources", "revenue/categories", "export/fees"])
def test_they_are_confirmed_until_something_changes(client, three_days, path):
    first = client.get(f"/api/{path}")
    headers = {"If-None-Match": first["ETag"]}
    assert client.get(f"/api/{path}", headers=headers).status_code == 304
    pay("1")
    settle(completed_at=NOW)
    assert client.get(f"/api/{path}", headers=headers).status_code == 200


def test_a_label_command_splits_again(get, three_days):
    from django.core.management import call_command

    call_command("label", STRANGER, "team", "Somebody", "new", "--from", "2026-11-18")
    jobs.update_economics(trigger="command")
    assert get("revenue/sources", start="2026-11-18", end="2026-11-18")["data"][0]["team"]["flux"] == 2
    assert Label.objects.get(subject=STRANGER).words == "Somebody new"
    call_command("label", STRANGER, "--remove")
    assert not Label.objects.filter(subject=STRANGER).exists()


def test_a_large_sender_without_a_label_that_holds_is_an_alert():
    """20 November: October and 1 to 19 November count."""

    def told(now=NOW):
        return [(one.code, one.facts["month"], one.facts["percent"]) for one in alert_rules.of_senders(now)]

    for back, flux, sender in ((1, "93", CARD), (1, "4", STRANGER), (19, "3", STRANGER), (25, "80", CARD)):
        pay(flux, from_address=sender, at=NOON - timedelta(days=back))
    pay("95", from_address="t1Today", at=NOON)
    settle(completed_at=NOW)
    assert told() == [("sender_unlabelled", "2026-11", 7.0)]
    assert told(NOW - timedelta(days=12)) == []  # eight days of November were not over
    label = Label.objects.create(subject=STRANGER, category="other", words="known", valid_to=date(2026, 11, 5))
    assert told() == []  # 4 percent are after its last day
    Label.objects.filter(pk=label.pk).update(valid_to=date(2026, 10, 31))
    assert told() == [("sender_unlabelled", "2026-11", 7.0)]
    Label.objects.filter(pk=label.pk).update(valid_to=None)
    assert told() == []
    assert told(NOW + timedelta(days=14)) == [("sender_unlabelled", "2026-11", 48.7)]
