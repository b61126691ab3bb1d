"""The report of a month: narrow and wide, in both colour schemes, and on at most two sheets of A4."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from revenue.models import ChangedDay
from tests.browser.conftest import widths_of
from tests.browser.test_every_page import assert_for_everybody
from tests.browser.worlds import Worlds
from tests.reports import rows

ADDRESS = "/reports/month/2026-10/"


def two_months() -> None:
    """Everything that is recorded by day, with five categories; what rests on app messages is unknown for a day."""
    rows.ledger()
    rows.messages_read()
    ChangedDay.objects.all().delete()
    rows.snapshots(rows.SEPTEMBER)
    rows.snapshots(rows.OCTOBER, without=(rows.OCTOBER.first,))
    for day in (rows.SEPTEMBER.first, rows.OCTOBER.first):
        rows.split(day, "category", gaming=50, vpn=50, crypto=50, websites=50, unknown=100)
        rows.event("new", day)


def nothing() -> None:
    """A database in which no figure is known."""


@pytest.fixture
def months(server_at_rest: None, broker: None, worlds: Worlds) -> None:
    worlds.put(two_months)


@pytest.fixture
def empty(server_at_rest: None, broker: None, worlds: Worlds) -> None:
    worlds.put(nothing)


def sheets(page: Page) -> int:
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", page.pdf(prefer_css_page_size=True)))


@pytest.mark.quick
@pytest.mark.usefixtures("months")
def test_it_fits_every_screen_and_two_sheets_of_paper(page: Page) -> None:
    page.goto(ADDRESS)
    expect(page.get_by_role("heading", name="Report: October 2026")).to_be_visible()
    assert widths_of(page, 320, 390, 768, 1440) == []
    assert 1 <= sheets(page) <= 2


@pytest.mark.usefixtures("empty")
def test_a_report_without_a_figure_prints_on_two_sheets_as_well(page: Page) -> None:
    page.goto(ADDRESS)
    assert 1 <= sheets(page) <= 2


@pytest.mark.usefixtures("months")
def test_anyone_can_read_it(page: Page) -> None:
    assert_for_everybody(page, ADDRESS)


@pytest.mark.usefixtures("months")
def test_it_leads_to_its_neighbours(page: Page) -> None:
    page.goto("/reports/")
    page.get_by_role("link", name="September 2026").click()
    expect(page).to_have_url(re.compile("/reports/month/2026-09/$"))
    page.get_by_role("link", name="October 2026").click()
    expect(page.get_by_role("heading", name="Report: October 2026")).to_be_visible()


@pytest.mark.usefixtures("months", "context")
def test_it_needs_no_script(context: BrowserContext) -> None:
    assert context.browser is not None
    plain = context.browser.new_context(java_script_enabled=False, base_url=context.pages[0].url)
    page = plain.new_page()
    page.goto(ADDRESS)
    expect(page.get_by_text("450.00 FLUX")).to_be_visible()
    plain.close()
