from __future__ import annotations

import re
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Browser, Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from revenue.models import Quarantined
from tests.browser.conftest import Watch
from tests.dashboard import rows
from tests.dashboard.rows import ADDRESS, FLUX, pay

pytestmark = pytest.mark.usefixtures("ledger")

PAYMENTS = "tr[data-payment]"
POLL_MS = 5_000


def hurry(page: Page) -> None:
    """Timers of the page run when a test says so."""
    page.clock.install(time=timezone.now())


def test_it_shows_the_numbers(page: Page) -> None:
    page.goto("/")
    expect(page).to_have_title(re.compile(r"[\d,]+\.\d\d FLUX today · Fluxtracker"))
    expect(page.locator(PAYMENTS)).to_have_count(25)
    expect(page.locator(".strip")).to_contain_text("synced to block 2,996,908")


def test_a_new_payment_appears_within_ten_seconds_and_is_marked(page: Page) -> None:
    page.goto("/")
    row = pay(1_234 * FLUX, at=timezone.now(), app="minecraft1510")
    newest = page.locator(PAYMENTS).first
    expect(newest).to_contain_text("minecraft1510", timeout=10_000)
    expect(newest).to_have_class("new")
    expect(newest).to_contain_text(row.txid[:8])
    expect(page.locator("#said")).to_contain_text("1 new payment")
    expect(page).to_have_title(re.compile(r"1,2\d\d\.\d\d FLUX today"))
    expect(page.locator(f"{PAYMENTS}.new")).to_have_count(1)


def test_a_poll_without_news_leaves_the_page_alone(page: Page, watch: Watch) -> None:
    hurry(page)
    page.goto("/")
    page.locator(PAYMENTS).first.evaluate("row => row.dataset.mine = 'kept'")
    with page.expect_response(lambda response: bool(response.request.headers.get("hx-request"))) as poll:
        page.clock.run_for(POLL_MS)
    assert poll.value.status == 304
    expect(page.locator(f"{PAYMENTS}[data-mine=kept]")).to_have_count(1)


def test_what_has_the_focus_keeps_it_when_news_come(page: Page) -> None:
    page.goto("/")
    link = page.locator(f"{PAYMENTS} a").nth(3)
    name = link.get_attribute("id")
    link.focus()
    pay(app="minecraft1510", at=timezone.now())
    expect(page.locator(PAYMENTS).first).to_contain_text("minecraft1510", timeout=10_000)
    expect(page.locator(f"#{name}")).to_be_focused()


def test_a_hidden_tab_does_not_poll_and_asks_at_once_when_it_is_seen_again(page: Page, watch: Watch) -> None:
    page.add_init_script("Object.defineProperty(document, 'hidden', {get: () => window.away === true})")
    hurry(page)
    page.goto("/")
    page.evaluate("window.away = true")
    page.clock.run_for(10 * POLL_MS)
    assert watch.polls == []
    with page.expect_response(lambda response: bool(response.request.headers.get("hx-request"))):
        page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")


def test_a_server_that_is_away_is_told_and_the_page_recovers(page: Page, watch: Watch) -> None:
    hurry(page)
    page.goto("/")
    lost = page.locator("#lost")
    expect(lost).to_be_hidden()
    page.route("**/*", lambda route: route.abort())
    page.clock.run_for(POLL_MS)
    expect(lost).to_be_visible()
    page.unroute("**/*")
    page.clock.run_for(POLL_MS)
    expect(lost).to_be_hidden()
    watch.troubles.clear()  # the browser itself notes failed requests


def test_a_503_leaves_the_last_figures_and_says_so(page: Page, watch: Watch) -> None:
    def unavailable(route: Route) -> None:
        route.fulfill(status=503, body="<p>away</p>")

    hurry(page)
    page.goto("/")
    page.route("**/*", unavailable)
    page.clock.run_for(POLL_MS)
    expect(page.locator("#lost")).to_be_visible()
    expect(page.locator(PAYMENTS)).to_have_count(25)
    watch.troubles.clear()


def test_ages_tick(page: Page) -> None:
    hurry(page)
    page.goto("/")
    age = page.locator(".strip time").first
    expect(age).to_have_text(re.compile(r"^\d+ s ago$"))
    page.clock.set_system_time(timezone.now() + timedelta(seconds=185))
    page.clock.run_for(1_000)
    expect(age).to_have_text("3 min ago")


def test_times_tell_the_readers_own_on_hover(chromium: Browser, live_server: LiveServer) -> None:
    context = chromium.new_context(base_url=live_server.url, timezone_id="America/New_York", locale="en-GB")
    page = context.new_page()
    page.goto("/")
    title = page.locator(f"{PAYMENTS} time").first.get_attribute("title")
    assert title is not None
    assert re.search(r" UTC\n.*(GMT-[45]|E[SD]T), your time$", title), title
    context.close()


@pytest.mark.parametrize("system", ["dark", "light"])
def test_the_theme_is_the_systems_until_it_is_chosen(page: Page, system: str) -> None:
    page.emulate_media(color_scheme=system)
    page.goto("/")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    before = page.evaluate(background)
    assert before == {"dark": "rgb(12, 9, 20)", "light": "rgb(247, 244, 255)"}[system]

    page.click("#theme")
    chosen = page.evaluate(background)
    assert chosen != before
    page.reload()
    assert page.evaluate(background) == chosen


@pytest.mark.parametrize("width", [320, 390, 740, 768, 1100, 1440])
def test_nothing_is_wider_than_the_screen(page: Page, width: int) -> None:
    row = {"address": ADDRESS, "reason": "sender", "first_seen_at": rows.NOW, "next_attempt_at": rows.NOW}
    Quarantined.objects.create(txid="ee" * 32, **row)
    pay(123_456_789_012_345, app="a-name-without-end" * 6, at=timezone.now(), priced=False, from_address=None)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/")
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_it_is_complete_without_javascript(chromium: Browser, live_server: LiveServer) -> None:
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    expect(page.locator(PAYMENTS)).to_have_count(25)
    expect(page.locator(".today .figure")).to_contain_text("FLUX")
    expect(page.locator("#theme")).to_be_hidden()
    context.close()


def test_the_reason_of_an_unknown_figure_shows_on_focus(page: Page) -> None:
    pay(at=timezone.now(), priced=False)
    page.goto("/")
    unknown = page.locator(f"{PAYMENTS} .usd .unknown").first
    reason = unknown.locator(".why")
    assert reason.evaluate("box => box.getBoundingClientRect().width") <= 1
    unknown.focus()
    assert reason.evaluate("box => box.getBoundingClientRect().width") > 100
    page.keyboard.press("Escape")
    assert reason.evaluate("box => box.getBoundingClientRect().width") <= 1


@pytest.mark.parametrize("width", [320, 1440])
@pytest.mark.parametrize("system", ["dark", "light"])
def test_axe_finds_no_violation(page: Page, system: str, width: int) -> None:
    pay(at=timezone.now(), priced=False, from_address=None)
    page.emulate_media(color_scheme=system, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/")
    found = Axe().run(page).response["violations"]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []
