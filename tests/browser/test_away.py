"""A server that hangs or fails in part: the page says so where it matters, and loads the rest later."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Watch, asks
from tests.dashboard import rows
from tests.waiting import AMPLE

pytestmark = pytest.mark.usefixtures("ledger")

POLL_MS, TYPING_MS = 5_000, 100
LOST = "#lost"


@pytest.fixture
def away(page: Page, watch: Watch):
    """Makes some panels answer 503 until it is called again."""
    failing: list[str] = []

    def answer(route: Route) -> None:
        if any(f"/panels/{name}/" in route.request.url for name in failing):
            route.fulfill(status=503, body="<p>away</p>")
        else:
            route.continue_()

    def set_to(*names: str) -> None:
        failing[:] = names

    page.route("**/panels/**", answer)
    yield set_to
    page.unroute_all(behavior="ignoreErrors")
    page.wait_for_load_state("networkidle")
    assert all("503" in trouble for trouble in watch.troubles)
    watch.troubles.clear()


@pytest.mark.slow
def test_a_server_that_hangs_is_told(page: Page, watch: Watch) -> None:
    page.goto("/")
    page.wait_for_load_state("networkidle")
    page.route("**/panels/**", lambda route: None)  # never answered
    expect(page.locator(LOST)).to_be_visible(timeout=AMPLE * 1_000)
    page.unroute_all(behavior="ignoreErrors")
    expect(page.locator(LOST)).to_be_hidden(timeout=AMPLE * 1_000)
    watch.troubles.clear()


@pytest.mark.usefixtures("still")
def test_what_says_that_the_server_is_away_is_seen_and_heard(page: Page, away) -> None:
    page.goto("/")
    expect(page.locator(LOST)).to_have_attribute("role", "status")
    away("strip")
    page.evaluate("scrollTo(0, 1500)")
    page.evaluate("panels.refresh(panels.named('strip'))")
    expect(page.locator(LOST)).to_be_visible()
    expect(page.locator(LOST)).to_be_in_viewport()
    expect(page.locator("#panel-strip")).to_have_attribute("data-lost", "")  # its dot is grey


@pytest.mark.usefixtures("still")
def test_a_click_that_failed_says_so_in_its_panel_and_is_done_later(page: Page, away) -> None:
    rows.many(30)
    page.goto("/")
    away("payments", "chart")
    page.locator("#payments-next").click()
    said = page.locator("#panel-payments .unmet")
    expect(said).to_be_in_viewport()
    expect(said.get_by_role("button", name="Try again")).to_be_visible()
    page.locator("#panel-chart").get_by_role("link", name="90 days").click()
    expect(page.locator("#panel-chart .unmet")).to_be_in_viewport()
    expect(page).to_have_url(re.compile(r"\?page=2&days=90$"))
    with (
        page.expect_response(asks("strip")),
        page.expect_response(asks("payments")),
        page.expect_response(asks("chart")),
    ):
        page.clock.run_for(POLL_MS)
    expect(page.locator("#panel-payments:not([aria-busy])")).to_be_visible()
    expect(said).to_be_visible()
    expect(page.locator(LOST)).to_be_hidden()
    away()
    page.clock.run_for(POLL_MS)
    expect(page.locator("#payments-count")).to_contain_text("26–50 of 60")
    expect(page.locator("#panel-chart [aria-current]", has_text="90d")).to_be_visible()
    expect(page.locator(".unmet")).to_have_count(0)


@pytest.mark.usefixtures("still")
def test_it_is_tried_again_at_once_by_its_button(page: Page, away) -> None:
    rows.many(30)
    page.goto("/")
    away("payments")
    page.locator("#payments-next").click()
    again = page.locator("#panel-payments .unmet").get_by_role("button", name="Try again")
    again.click()
    expect(page.locator("#panel-payments .unmet")).to_have_count(1)
    away()
    again.click()
    expect(page.locator("#payments-count")).to_contain_text("26–50 of 60")
    expect(page.locator(".unmet")).to_have_count(0)
    assert page.evaluate("document.querySelector('#panel-payments').contains(document.activeElement)")


@pytest.mark.usefixtures("still")
def test_back_while_a_panel_fails_is_made_good_with_its_form(page: Page, away) -> None:
    page.goto("/")
    page.locator("#payments-search").fill("nothing-like-it")
    page.clock.run_for(TYPING_MS)
    expect(page.locator("#payments-results .empty")).to_be_visible()
    away("payments")
    page.go_back()
    expect(page.locator("#panel-payments .unmet")).to_be_visible()
    away()
    page.clock.run_for(POLL_MS)
    expect(page.locator("#payments-count")).to_contain_text("of 30 payments")
    expect(page.locator("#payments-search")).to_have_value("")
    expect(page.locator(".unmet")).to_have_count(0)


@pytest.mark.usefixtures("still")
def test_figures_of_a_period_that_did_not_come_are_not_kept_as_those_of_another(page: Page, away) -> None:
    away("tiles")
    page.goto("/")
    page.get_by_role("radio", name="Month", exact=True).click()
    expect(page.locator("#panel-tiles .unmet")).to_be_in_viewport()
    page.get_by_role("radio", name="Year", exact=True).click()
    page.get_by_role("radio", name="Month", exact=True).click()
    expect(page.locator("#panel-tiles .unmet")).to_have_count(1)
    away()
    page.clock.run_for(POLL_MS)
    expect(page.locator("[data-tile=revenue] h2")).to_have_text("Revenue this month")
    expect(page.locator(".unmet")).to_have_count(0)


def test_two_panels_that_are_asked_for_at_once_both_come(page: Page) -> None:
    """An answer is not dropped because another panel has changed its own part of the address meanwhile."""
    page.goto("/")
    page.wait_for_load_state("networkidle")
    held: list[Route] = []
    page.route("**/panels/chart/**", lambda route: held.append(route))
    page.locator("#panel-chart").get_by_role("link", name="90 days").click()
    expect(page).to_have_url(re.compile("days=90"))
    page.get_by_role("radio", name="Month", exact=True).click()
    for route in held:
        route.continue_()
    expect(page.locator("#panel-chart [aria-current]", has_text="90d")).to_be_visible()
    page.unroute_all(behavior="ignoreErrors")
