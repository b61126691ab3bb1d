"""New payments come in at once, or behind a pill while somebody reads the list; pending ones with each reading."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from tests.dashboard import rows
from tests.dashboard.rows import FLUX, pay

pytestmark = pytest.mark.usefixtures("ledger")

LIST, PILL, FIRST = "#payments-results", "#payments-new", "tr[data-payment]:first-child .flux"
NEWS = "document.dispatchEvent(new CustomEvent('panels:news'))"


def come(page: Page, *amounts: int) -> None:
    """These payments come, and the page hears of them."""
    for amount in amounts:
        pay(amount * FLUX, at=timezone.now())
    with page.expect_response(lambda response: "/panels/payments/" in response.url):
        page.evaluate(NEWS)


def first(page: Page, amount: str) -> None:
    expect(page.locator(FIRST)).to_have_text(f"{amount} FLUX")


def test_they_come_at_once_while_nobody_reads(page: Page) -> None:
    page.goto("/")
    come(page, 7)
    first(page, "7.00000000")
    expect(page.locator("tr.new")).to_have_count(1)
    expect(page.locator(PILL)).to_be_hidden()


def test_under_a_pointer_they_wait_until_they_are_asked_for(page: Page) -> None:
    page.goto("/")
    page.locator(FIRST).hover()
    come(page, 7, 8)
    expect(page.locator(PILL)).to_have_text("2 new")
    come(page, 9)
    expect(page.locator(PILL)).to_have_text("3 new")
    first(page, "1.00000000")
    page.locator(PILL).click()
    first(page, "9.00000000")
    expect(page.locator("tr.new")).to_have_count(3)
    expect(page.locator(PILL)).to_be_hidden()


def test_they_come_when_the_pointer_has_left(page: Page) -> None:
    page.goto("/")
    page.locator(FIRST).hover()
    come(page, 7)
    expect(page.locator(PILL)).to_have_text("1 new")
    page.locator("h1").hover()
    first(page, "7.00000000")


def test_they_wait_while_the_keyboard_is_in_the_list_and_while_it_is_scrolled(page: Page) -> None:
    page.goto("/")
    page.locator("tr[data-payment] a").first.focus()
    come(page, 7)
    expect(page.locator(PILL)).to_have_text("1 new")
    page.locator("#theme").focus()
    first(page, "7.00000000")
    page.locator("tr[data-payment]").nth(9).evaluate("row => row.scrollIntoView()")
    come(page, 8)
    expect(page.locator(PILL)).to_have_text("1 new")
    first(page, "7.00000000")


def test_on_another_page_the_pill_leads_to_the_first(page: Page) -> None:
    page.goto("/?page=2")
    come(page, 7)
    expect(page.locator(PILL)).to_have_text("1 new")
    first(page, "1.00000000")
    page.locator(PILL).click()
    first(page, "7.00000000")
    expect(page).to_have_url("/")


def test_a_filtered_list_changes_when_its_reader_asks(page: Page) -> None:
    page.goto("/?min_amount=1")
    come(page, 7)
    expect(page.locator(PILL)).to_have_text("1 new")
    page.locator(PILL).click()
    first(page, "7.00000000")
    expect(page).to_have_url("/?min_amount=1")


def test_pending_payments_follow_each_reading(page: Page) -> None:
    rows.pending(3, at=timezone.now())
    page.goto("/")
    expect(page.locator("#panel-pending .depth")).to_have_text("3 of 8 confirmations")
    rows.pending(5, at=timezone.now())
    page.evaluate("panels.refresh(panels.named('strip'), {quiet: true})")
    expect(page.locator("#panel-pending .depth")).to_have_text("5 of 8 confirmations")
