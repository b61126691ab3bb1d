"""Ten questions of an analyst, each answered from the first page in at most three clicks and one file."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from deployments.models import MessagesState
from fluxtracker.formatting import short
from revenue.models import DailyPrice
from tests.dashboard import rows
from tests.dashboard.test_detail_pages import OWNER, event, life, message
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
    MessagesState.objects.update_or_create(id=1, defaults={"complete_at": rows.NOW, "tip_height": 1})
    app = life("Wordpress9", end_at=rows.NOW + timedelta(days=20))
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
        self.page, self.clicks, self.files = page, 0, 0

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
        """The one file of a question."""
        assert not self.files
        self.files += 1
        with self.page.expect_download() as started:
            place.click()
        return list(csv.DictReader(Path(started.value.path()).read_text().splitlines()))


@pytest.fixture
def analyst(page: Page, facts: None) -> Analyst:
    page.goto("/")
    return Analyst(page)


def test_1_what_everything_earned_last_month_and_a_link_to_exactly_that(analyst: Analyst) -> None:
    page = analyst.page
    analyst.choose("last_month")
    expect(page.locator("#tile-revenue")).to_have_text("Revenue last month")
    expect(page.locator("#panel-origins")).to_contain_text("95.00 FLUX")
    expect(page.locator("#panel-payments")).to_contain_text("Total of all 2 95.00 FLUX $7.07")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("#tile-revenue")).to_have_text("Revenue last month")


@further
def test_2_the_best_day_of_last_month(analyst: Analyst) -> None:
    analyst.choose("last_month")
    expect(analyst.page.locator("#tile-revenue")).to_have_text("Revenue last month")
    link = analyst.page.locator(".chart-out a[download]")
    expect(link).to_have_attribute("href", re.compile("range=last_month"))  # the chart has followed, too
    found = analyst.file(link)
    best = max(found, key=lambda day: float(day["revenue_flux"] or 0))
    assert (best["start"], best["revenue_flux"]) == ("2026-10-09", "90.0")


@further
def test_3_revenue_by_month_of_one_app_for_two_years(analyst: Analyst) -> None:
    page = analyst.page
    analyst.click(page.locator("#panel-payments").get_by_role("link", name="Wordpress9").first)
    expect(page.locator("h2").first).to_contain_text("Wordpress9")
    analyst.choose("last_24m")
    expect(page.locator(".course svg title").first).to_contain_text("Dec 2024: 5.00 FLUX")
    expect(page.locator(".course svg title").last).to_contain_text("Nov 2026: 5.00 FLUX")
    expect(page.locator(".course svg title")).to_have_count(24)
    found = analyst.file(page.get_by_role("link", name="CSV", exact=True))
    assert sum(int(row["amount_sat"]) for row in found) == 25 * rows.FLUX


@further
def test_4_the_sum_of_one_payer(analyst: Analyst) -> None:
    analyst.click(analyst.page.get_by_role("link", name="By sender"))
    row = analyst.page.locator("#panel-payments tbody tr", has_text=short(PAYER))
    expect(row).to_contain_text("90.00")
    found = analyst.file(analyst.page.locator("#payments-export-1"))
    assert [row["revenue_sat"] for row in found if row["payer"] == PAYER] == [str(90 * rows.FLUX)]


@further
def test_5_the_top_owners_of_this_quarter(analyst: Analyst) -> None:
    analyst.choose("this_quarter")
    analyst.click(analyst.page.get_by_role("link", name="By owner"))
    expect(analyst.page.locator("#panel-payments tbody tr").first).to_contain_text(short(OWNER))
    expect(analyst.page.locator("#panel-payments tbody tr").first).to_contain_text("10.00")


@further
def test_6_payments_of_an_app_in_a_month_as_a_file(analyst: Analyst) -> None:
    page = analyst.page
    analyst.click(page.locator("#panel-payments").get_by_role("link", name="Wordpress9").first)
    expect(page.locator("h2").first).to_contain_text("Wordpress9")
    analyst.choose("last_month")
    expect(page.locator("tr[data-payment]")).to_have_count(1)
    found = analyst.file(page.get_by_role("link", name="CSV", exact=True))
    assert [(row["date"], row["app_name"], row["amount_sat"]) for row in found] == [
        ("2026-10-18", "Wordpress9", str(5 * rows.FLUX))
    ]


@further
def test_7_what_a_day_was_in_dollars_and_at_which_price(analyst: Analyst) -> None:
    page = analyst.page
    analyst.click(page.get_by_role("link", name="By sender"))
    analyst.click(page.locator("#panel-payments").get_by_role("link", name=short(PAYER)))
    analyst.click(page.locator("tr[data-payment] .when a").first)
    expect(page).to_have_url("/day/2026-10-09")
    expect(page.locator(".totals")).to_contain_text("$6.70")
    expect(page.locator(".totals")).to_contain_text("$0.07440 for 1 FLUX")


@further
def test_8_the_share_of_renewals_of_a_month(analyst: Analyst) -> None:
    analyst.choose("last_month")
    expect(analyst.page.locator("#panel-origins li", has_text="Renewal")).to_contain_text("5.00")
    expect(analyst.page.locator("#panel-origins li", has_text="Renewal")).to_contain_text("1 message")
    analyst.click(analyst.page.locator("#about-origins summary"))
    (row,) = analyst.file(analyst.page.locator("#kinds-csv"))
    assert (row["start"], row["renewal_count"], row["renewal_sat"]) == ("2026-10-01", "1", str(5 * rows.FLUX))


@further
def test_9_the_apps_that_end_within_thirty_days(analyst: Analyst) -> None:
    analyst.click(analyst.page.locator("#ending-apps summary"))
    expect(analyst.page.locator("#ending-apps")).to_contain_text("Wordpress9")
    found = analyst.file(analyst.page.locator("#ending-csv"))
    assert [(row["app_name"], row["owner"]) for row in found] == [("Wordpress9", OWNER)]


@further
def test_10_who_paid_last_month(analyst: Analyst) -> None:
    analyst.choose("last_month")
    expect(analyst.page.locator("#panel-origins")).to_contain_text("Everybody else 95.00")
    analyst.click(analyst.page.locator("#about-origins summary"))
    found = analyst.file(analyst.page.locator("#sources-csv"))
    assert sum(int(row["revenue_sat"]) for row in found) == 95 * rows.FLUX
    assert ("other", str(95 * rows.FLUX)) in [(row["source"], row["revenue_sat"]) for row in found]
