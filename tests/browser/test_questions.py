"""Questions of an analyst, each answered in at most three clicks and one file."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from fluxtracker.formatting import short
from revenue.models import DailyPrice
from tests.dashboard import rows
from tests.dashboard.test_things import OWNER, event, life, message
from tests.factories import digest
from tests.marks import IN_FULL

pytestmark = pytest.mark.usefixtures("ledger")
MOST_CLICKS = 3
PAYER = "t1Stranger1111111111111111111111111"


def further(test: object) -> object:
    """Leave a question to the full run."""
    for mark in IN_FULL:
        test = mark(test)
    return test


@pytest.fixture
def facts(ledger: None) -> None:
    """An app that pays in months of two years and ends soon, its owner, and a best day in October."""
    app = life("Wordpress9")
    for number, days in enumerate((0, 31, 62, 400, 700)):
        at = rows.NOW - timedelta(days=days)
        row = rows.pay(5 * rows.FLUX, at=at, app="Wordpress9", kind="app", message_hash=digest("q", number))
        message(row, "Wordpress9")
        event(app, row, "renewal" if days else "change", number)
    rows.pay(90 * rows.FLUX, at=rows.NOW - timedelta(days=40), from_address=PAYER)
    DailyPrice.objects.update_or_create(
        day=(rows.NOW - timedelta(days=40)).date(), defaults={"price_usd": rows.PRICE, "source": "coingecko"}
    )


class Analyst:
    """Counts the clicks, and reads the file."""

    def __init__(self, page: Page) -> None:
        self.page, self.clicks = page, 0

    def click(self, place: Locator) -> None:
        self.clicks += 1
        assert self.clicks <= MOST_CLICKS
        place.click()

    def choose(self, days: str) -> None:
        """One range above everything: two clicks."""
        self.click(self.page.locator("#range-summary"))
        self.click(self.page.locator(f"#range-{days}"))
        expect(self.page).to_have_url(re.compile(f"range={days}"))

    def file(self, place: Locator) -> list[dict[str, str]]:
        with self.page.expect_download() as started:
            self.click(place)
        return list(csv.DictReader(Path(started.value.path()).read_text().splitlines()))


@pytest.fixture
def analyst(page: Page, facts: None) -> Analyst:
    page.goto("/")
    return Analyst(page)


def test_what_everything_earned_last_month_and_a_link_to_exactly_that(analyst: Analyst) -> None:
    """The best day of it, by source, and a link that says the same to others."""
    page = analyst.page
    analyst.choose("last_month")
    expect(page.locator("#tile-revenue")).to_have_text("Revenue last month")
    expect(page.locator("#panel-origins")).to_contain_text("95.00 FLUX")
    expect(page.locator("#panel-payments")).to_contain_text("Total of all 2 95.00 FLUX $7.07")
    found = analyst.file(page.locator(".chart-out a[download]"))
    best = max(found, key=lambda day: float(day["revenue_flux"] or 0))
    assert (best["start"], best["revenue_flux"]) == ("2026-10-09", "90.0")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("#tile-revenue")).to_have_text("Revenue last month")


@further
def test_revenue_by_month_of_one_app_for_two_years(analyst: Analyst) -> None:
    analyst.click(analyst.page.locator("#panel-payments").get_by_role("link", name="Wordpress9").first)
    analyst.click(analyst.page.locator("details summary").first)
    expect(analyst.page.locator("table").first).to_contain_text("Dec 2024")
    expect(analyst.page.locator("table").first).to_contain_text("Nov 2026")


@further
def test_the_sum_of_one_payer(analyst: Analyst) -> None:
    analyst.click(analyst.page.get_by_role("link", name="By sender"))
    row = analyst.page.locator("#panel-payments tbody tr", has_text=short(PAYER))
    expect(row).to_contain_text("90.00")


@further
def test_the_top_owners_of_this_quarter(analyst: Analyst) -> None:
    analyst.choose("this_quarter")
    analyst.click(analyst.page.get_by_role("link", name="By owner"))
    expect(analyst.page.locator("#panel-payments tbody tr").first).to_contain_text(short(OWNER))
    expect(analyst.page.locator("#panel-payments tbody tr").first).to_contain_text("10.00")


@further
def test_payments_of_an_app_in_a_month_as_a_file(analyst: Analyst) -> None:
    analyst.page.goto("/?app=Wordpress9")
    analyst.choose("last_month")
    expect(analyst.page.locator("#payments-count")).to_contain_text("1 payment")
    found = analyst.file(analyst.page.locator("#payments-export-1"))
    assert [(row["date"], row["app_name"], row["amount_sat"]) for row in found] == [
        ("2026-10-18", "Wordpress9", str(5 * rows.FLUX))
    ]


@further
def test_what_a_day_was_in_dollars_and_at_which_price(analyst: Analyst) -> None:
    analyst.page.goto("/day/2026-10-09")
    expect(analyst.page.locator(".totals")).to_contain_text("$6.70")
    expect(analyst.page.locator(".totals")).to_contain_text("$0.07440 for 1 FLUX")
