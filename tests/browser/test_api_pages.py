"""The API's pages in a real browser: the content policy holds and nothing comes from elsewhere."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.usefixtures("ledger")

PAGES = {
    "/api/": "revenue/transactions",
    "/api/revenue/transactions": "amount_sat",
    "/api/health": "lastSyncBlock",
    "/api/docs/": "/api/revenue/transactions",
}


@pytest.mark.parametrize("address", PAGES)
def test_the_pages_of_the_api_show_what_they_are_for(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("main").get_by_text(PAGES[address]).first).to_be_visible()


@pytest.mark.quick
def test_the_description_leads_to_an_answer_of_today(page: Page) -> None:
    page.goto("/api/docs/")
    page.get_by_role("navigation", name="Endpoints").get_by_role("link", name="Health").click()
    page.get_by_role("article", name="GET /api/health/live").get_by_role("link", name="Try it").click()
    expect(page.get_by_role("group", name="Answer")).to_contain_text("HTTP 200 OK")


@pytest.mark.quick
def test_the_index_leads_to_an_answer(page: Page) -> None:
    page.goto("/api/")
    page.get_by_role("link", name="/api/revenue/weekly").click()
    expect(page.get_by_role("heading", name="Weekly revenue")).to_be_visible()
