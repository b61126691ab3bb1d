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
    expect(page.get_by_text(PAGES[address]).first).to_be_visible()


def test_an_endpoint_can_be_tried_from_its_description(page: Page) -> None:
    page.goto("/api/docs/")
    page.get_by_text("/api/health/live").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")


@pytest.mark.quick
def test_the_index_leads_to_an_answer(page: Page) -> None:
    page.goto("/api/")
    page.get_by_role("link", name="/api/revenue/weekly").click()
    expect(page.get_by_role("heading", name="Weekly revenue")).to_be_visible()
