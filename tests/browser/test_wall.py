"""The page for a screen on a wall: the figure and the last payments, kept current, and nothing to press."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from tests.dashboard import rows
from tests.dashboard.rows import FLUX, pay

pytestmark = pytest.mark.usefixtures("ledger")


def test_it_shows_the_figure_and_new_payments_as_they_come(page: Page) -> None:
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.goto("/live")
    expect(page.get_by_text("Revenue this week")).to_be_visible()
    expect(page.locator("#panel-tiles .tile:visible")).to_have_count(1)
    expect(page.locator("tr[data-payment]:visible")).to_have_count(10)
    expect(page.locator("form:visible, .foot:visible")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    pay(7 * FLUX)
    expect(page.locator("#panel-payments")).to_contain_text("7.00000000")


def test_it_fits_with_pending_payments_and_says_how_many_are_not_shown(page: Page) -> None:
    rows.pending(0, 1, 3, 5, 7, at=timezone.now())
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.goto("/live")
    expect(page.locator("#panel-pending .depth:visible")).to_have_count(3)
    expect(page.locator("#panel-pending .beyond")).to_have_text("2 more")
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")


def test_another_sites_frame_shows_a_panel_and_its_links_leave_the_frame(page: Page) -> None:
    page.goto("/embed/payments?theme=light")
    expect(page.locator("tr[data-payment]").first).to_be_visible()
    expect(page.locator("base")).to_have_attribute("target", "_top")
