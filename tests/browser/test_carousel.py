from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from tests.browser.conftest import in_order
from tests.browser.worlds import Worlds
from tests.dashboard import rows

WIDE = 40


def lists() -> None:
    in_order()
    item = {"type": "app", "rank": 1, "label": "WordPress", "name": "runonflux/wp-nginx", "value": 763}
    rows.feed("network", [item | {"rank": number, "label": f"App {number}"} for number in range(WIDE)])
    rows.feed("deployed", [])


@pytest.fixture
def _lists(server_at_rest: None, broker: None, worlds: Worlds) -> None:
    worlds.put(lists)


pytestmark = pytest.mark.usefixtures("_lists")

STATE = "document.querySelector('[data-feed=network] ul').getAnimations()[0]?.playState ?? 'none'"


def becomes(page: Page, state: str) -> bool:
    """Waits until the list runs, is paused or has no motion at all."""
    return bool(page.wait_for_function(f"() => ({STATE}) === '{state}'"))


def test_it_moves_by_itself_and_pauses_on_hover_focus_and_button(page: Page) -> None:
    page.goto("/")
    assert becomes(page, "running")
    window = page.locator("[data-feed=network] .window")
    window.hover()
    assert becomes(page, "paused")
    page.mouse.move(0, 700)
    assert becomes(page, "running")
    page.locator("#theme").focus()
    page.keyboard.press("Tab")
    window.focus()
    page.keyboard.press("Shift")
    assert becomes(page, "paused")
    page.locator("#theme").focus()
    assert becomes(page, "running")
    pause = page.locator("[data-pause]")
    pause.click()
    expect(pause).to_have_attribute("aria-pressed", "true")
    page.mouse.move(0, 700)
    assert becomes(page, "paused")
    pause.click()
    page.mouse.move(0, 700)
    assert becomes(page, "running")


def test_the_copy_is_for_the_eye_alone(page: Page) -> None:
    page.goto("/")
    lists = page.locator("[data-feed=network] ul")
    expect(lists).to_have_count(2)
    expect(lists.last).to_have_attribute("aria-hidden", "true")
    expect(page.locator("[data-feed=network]").get_by_role("listitem")).to_have_count(WIDE)


def test_with_reduced_motion_it_is_a_plain_list(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto("/")
    expect(page.locator("[data-feed=network] ul")).to_have_count(1)
    expect(page.locator("[data-pause]")).to_be_hidden()
    assert becomes(page, "none")
    page.emulate_media(reduced_motion="no-preference")
    assert becomes(page, "running")


@pytest.mark.quick
def test_another_list_is_chosen_and_stays_when_the_page_is_refreshed(page: Page) -> None:
    page.goto("/")
    page.get_by_role("radio", name="Just deployed").click()
    expect(page.locator("[data-feed=deployed]")).to_contain_text("No app was deployed or changed")
    assert page.url.endswith("/?feed=deployed")
    rows.feed("deployed", [], timezone.now())
    with page.expect_response(lambda response: "/panels/feeds/" in response.url):
        page.locator("#refresh").click()
    expect(page.locator("[data-feed=deployed]")).to_be_visible()
    expect(page.locator("[data-feed=network]")).to_be_hidden()


def test_back_shows_the_list_that_the_address_names(page: Page) -> None:
    page.goto("/")
    page.get_by_role("radio", name="Just deployed").click()
    page.get_by_role("radio", name="Month", exact=True).click()
    page.get_by_role("radio", name="Expiring soon").click()
    page.go_back()
    assert page.url.endswith("/?feed=deployed")
    expect(page.locator("[data-feed=deployed]")).to_be_visible()
    expect(page.locator("[data-feed=expiring]")).to_be_hidden()
    expect(page.get_by_role("radio", name="Just deployed")).to_be_checked()
    page.go_back()
    expect(page).to_have_url("about:blank")


def test_without_javascript_it_is_a_list_that_can_be_scrolled(chromium: Browser, live_server: LiveServer) -> None:
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    window = page.locator("[data-feed=network] .window")
    assert window.evaluate("box => getComputedStyle(box).overflowY") == "auto"
    expect(window.get_by_role("listitem")).to_have_count(WIDE)
    context.close()


SHIFTS = """
window.shifted = 0;
window.add = (entries) => { for (const one of entries) if (!one.hadRecentInput) window.shifted += one.value; };
window.observer = new PerformanceObserver((list) => add(list.getEntries()));
window.observer.observe({ type: "layout-shift", buffered: true });
"""
SHIFTED = """async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  add(observer.takeRecords());
  return window.shifted;
}"""


@pytest.mark.parametrize("width", [390, 1440])
def test_what_stands_below_keeps_its_place_when_it_begins_to_move(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.add_init_script(SHIFTS)
    page.goto("/")
    assert becomes(page, "running")
    assert page.evaluate(SHIFTED) < 0.05  # a good page's cumulative layout shift is below 0.1
