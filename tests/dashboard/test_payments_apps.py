"""The payments panel's other tabs: what each app, owner and sender paid; and the sums of every list."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client

from fluxtracker.formatting import short
from tests.dashboard.reading import html
from tests.dashboard.rows import FLUX, NOW, pay, synced
from tests.dashboard.test_detail_pages import OWNER, message
from tests.dashboard.test_export_laws import cells
from tests.dashboard.test_payments import follow, page_of, panel, total, words
from tests.factories import digest

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]

STRANGER = "t1Stranger1111111111111111111111111"


@pytest.fixture
def apps() -> None:
    synced()
    pay(6 * FLUX, app="Minecraft1", at=NOW - timedelta(days=9))
    pay(1 * FLUX, app="Minecraft1", priced=False)
    pay(5 * FLUX, app="minecraft2", at=NOW - timedelta(days=2))
    pay(2 * FLUX, app="small", at=NOW - timedelta(days=30), priced=False)
    pay(6 * FLUX)


def names(markup: str) -> list[str]:
    return re.findall(r'id="a\d+-app"[^>]*>([^<]*)<', markup)


def row(markup: str, name: str) -> str:
    found = next(part for part in markup.split("<tr ") if f">{name}</a>" in part)
    return words(f"<tr {found}").partition("Sums over")[0]


def test_an_app_has_its_sums_and_its_first_and_last_payment(client: Client, apps: None) -> None:
    said = row(panel(client, tab="apps"), "Minecraft1")
    assert said.startswith("Minecraft1 2 payments 7.00 FLUX 1 not priced · $0.45 35.00 %")
    assert "first 09 Nov 2026 last 18 Nov 2026" in said


def test_dollars_nobody_knows_are_a_dash(client: Client, apps: None) -> None:
    assert "— None of these payments has a price yet." in row(panel(client, tab="apps"), "small")


def test_the_biggest_come_first_and_all_are_counted(client: Client, apps: None) -> None:
    shown = panel(client, tab="apps")
    assert names(shown) == ["Minecraft1", "minecraft2", "small"]
    assert total(shown) == 3
    assert "1–3 of 3 apps" in words(shown)


@pytest.mark.parametrize(
    ("column", "first", "turned"),
    [
        ("app", ["Minecraft1", "minecraft2", "small"], ["small", "minecraft2", "Minecraft1"]),
        ("payments", ["Minecraft1", "minecraft2", "small"], ["minecraft2", "small", "Minecraft1"]),
        ("usd", ["Minecraft1", "minecraft2", "small"], ["minecraft2", "Minecraft1", "small"]),
        ("first", ["minecraft2", "Minecraft1", "small"], ["small", "Minecraft1", "minecraft2"]),
        ("last", ["Minecraft1", "minecraft2", "small"], ["small", "minecraft2", "Minecraft1"]),
    ],
)
def test_columns_sort_and_turn_round(
    client: Client, apps: None, column: str, first: list[str], turned: list[str]
) -> None:
    once = follow(client, panel(client, tab="apps"), f"payments-sort-{column}")
    assert names(once) == first
    assert once.count("aria-sort") == 1
    assert names(follow(client, once, f"payments-sort-{column}")) == turned


def test_search_finds_any_part_of_a_name(client: Client, apps: None) -> None:
    shown = panel(client, tab="apps", search="CRAFT")
    assert names(shown) == ["Minecraft1", "minecraft2"]
    assert "“CRAFT” ×" in words(shown)


def test_a_name_that_no_app_has_is_told(client: Client, apps: None) -> None:
    assert "No app has nothing of the kind in its name. Show all apps" in words(
        panel(client, tab="apps", search="nothing of the kind")
    )


def test_pages(client: Client) -> None:
    synced()
    for number in range(30):
        pay((30 - number) * FLUX, app=f"app{number:02}")
    first = panel(client, tab="apps")
    assert names(first) == [f"app{number:02}" for number in range(25)]
    assert names(follow(client, first, "payments-next")) == [f"app{number:02}" for number in range(25, 30)]


def test_an_app_leads_to_its_page_and_its_filter_back_to_the_tab(client: Client, apps: None) -> None:
    shown = panel(client, tab="apps", search="craft", period="M")
    key = re.search(r'id="(a\d+-app)"[^>]*>Minecraft1<', shown)
    assert key
    assert page_of(shown, key[1]) == "/app/Minecraft1"
    mine = panel(client, app="Minecraft1", period="M")
    assert page_of(mine, "payments-app-page") == "/app/Minecraft1"
    assert total(mine) == 2
    assert "Share of all FLUX 35.00 %" in words(mine)
    assert names(follow(client, mine, "payments-tab-2")) == ["Minecraft1", "minecraft2", "small"]


def test_the_search_is_kept_between_the_tabs(client: Client, apps: None) -> None:
    by_app = follow(client, panel(client, search="craft", type="docker"), "payments-tab-2")
    assert names(by_app) == ["Minecraft1", "minecraft2"]
    assert total(follow(client, by_app, "payments-tab-1")) == 3


def test_the_file_holds_what_is_searched_for(client: Client, apps: None) -> None:
    shown = panel(client, tab="apps", search="craft", sort="usd", limit="50")
    assert 'href="/export/apps.csv?search=craft&amp;sort=usd"' in shown
    payments = panel(client, search="craft", sort="amount", page="2", limit="50", period="M")
    assert 'href="/export/payments.csv?search=craft&amp;sort=amount"' in payments
    assert 'href="/export/payments.ndjson?search=craft&amp;sort=amount"' in payments


def test_owners_and_senders_have_lists_of_their_own(client: Client, apps: None) -> None:
    """Each with its sums over everything that fits, its file, and a link to its page."""
    row_of = pay(3 * FLUX, app="Web1", kind="app", message_hash=digest("o"), from_address=STRANGER)
    message(row_of, "Web1")
    for tab, name, page in (("owners", OWNER, "owner"), ("payers", STRANGER, "payer")):
        shown = panel(client, tab=tab)
        assert f'href="/{page}/{name}"' in shown
        assert words(row(shown, short(name))).startswith(f"{short(name)} 1 payment 3.00 FLUX $0.22 13.04 %"), tab
        found = {line[page]: line for line in cells(client, f"/export/{tab}.csv")}
        assert (found[name]["revenue_sat"], found[name]["payments"]) == (str(3 * FLUX), "1")
        assert total(panel(client, tab=tab, search=name[:5])) == 1
        assert total(panel(client, tab=tab, range="2025-11")) == 0
    senders = words(panel(client, tab="payers"))
    assert "Total of all 2 6 payments 23.00 FLUX 2 not priced · $1.49" in senders


def test_an_owner_filters_payments_everywhere(client: Client, apps: None) -> None:
    message(pay(3 * FLUX, app="Web1", kind="app", message_hash=digest("o")), "Web1")
    assert total(panel(client, owner=OWNER)) == 1
    assert total(panel(client, owner=OWNER, search="Web")) == 1
    assert total(panel(client, owner="1Nobody")) == 0
    assert client.get("/api/revenue/transactions", {"owner": OWNER}).json()["total"] == 1
    assert len(cells(client, "/export/payments.csv", owner=OWNER)) == 1
    page = html(client, f"/owner/{OWNER}")
    assert f'href="/export/payments.csv?owner={OWNER}"' in page


@pytest.mark.parametrize(
    ("query", "sums"),
    [
        ({}, "Total of all 5 20.00 FLUX 2 not priced · $1.26"),
        ({"search": "minecraft"}, "Total of all 3 12.00 FLUX 1 not priced · $0.82"),
        ({"app": "small"}, "Total of all 1 2.00 FLUX — Without a price"),
        ({"range": "last_7d"}, "Total of all 3 12.00 FLUX 1 not priced · $0.82"),
        ({"tab": "apps"}, "Total of all 3 4 payments 14.00 FLUX 2 not priced · $0.82"),
        ({"tab": "apps", "range": "last_7d"}, "Total of all 2 2 payments 6.00 FLUX 1 not priced · $0.37"),
    ],
)
def test_a_row_adds_up_all_that_fits(client: Client, apps: None, query: dict[str, str], sums: str) -> None:
    """Whatever the page shows of it."""
    assert sums in words(panel(client, **query))
