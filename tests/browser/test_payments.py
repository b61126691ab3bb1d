"""The payments panel in a browser: typing, pages, back, copies, files, keyboard, narrow screens, accessibility."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from tests.browser.conftest import Watch, in_theme, widths_of
from tests.browser.worlds import Worlds
from tests.dashboard import payments_rows
from tests.dashboard.rows import FLUX, pay
from tests.waiting import AMPLE

ROWS = "tr[data-payment]"
COUNT = "#payments-count"
SEARCH = "#payments-search"
TYPING_MS = 100  # of quiet before it searches
STATES = {
    "newest": "/",
    "filtered": "/?search=craft&from=2026-01-01&min_amount=x",
    "one app": "/?app=minecraft1510",
    "nothing": "/?app=nobody&type=git",
    "by app": "/?tab=apps",
    "last page": "/?page=5",
}


@pytest.fixture(autouse=True)
def ledger(server_at_rest: None, broker: None, worlds: Worlds) -> None:
    """120 payments of the last 40 days, of every kind there is."""
    worlds.put(payments_rows.ledger)


def url(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"/{pattern}$")


def ready(page: Page, address: str = "/") -> None:
    """Until the page's scripts are there."""
    page.goto(address)
    page.wait_for_load_state("load")


@pytest.mark.engine
@pytest.mark.quick
@pytest.mark.usefixtures("still")
def test_it_searches_while_one_types_and_the_address_follows(page: Page, watch: Watch) -> None:
    ready(page)
    before = len([request for request in watch.requests if "/panels/payments/" in request.url])
    for letter in "craft":
        page.clock.run_for(TYPING_MS - 1)
        page.locator(SEARCH).press_sequentially(letter)
    page.clock.run_for(TYPING_MS)
    expect(page.locator(COUNT)).to_contain_text("of 18 payments")
    expect(page).to_have_url(url(r"\?search=craft"))
    expect(page.locator(SEARCH)).to_be_focused()
    asked = len([request for request in watch.requests if "/panels/payments/" in request.url]) - before
    assert asked == 1, "one question for one pause"
    expect(page.locator("#announcement")).to_contain_text("18 payments")


@pytest.mark.usefixtures("still")
def test_what_is_typed_while_an_answer_comes_is_not_lost(page: Page) -> None:
    ready(page)
    held: list[Route] = []
    page.route("**/panels/payments/**", lambda route: held.append(route))
    search = page.locator(SEARCH)
    search.press_sequentially("wor")
    with page.expect_request("**/panels/payments/?search=wor"):
        page.clock.run_for(TYPING_MS)
    search.press_sequentially("dpr")
    held.pop().continue_()
    expect(page.locator("#panel-payments")).not_to_have_attribute("aria-busy", "true")
    expect(search).to_have_value("wordpr")
    page.unroute("**/panels/payments/**")
    page.clock.run_for(TYPING_MS)
    expect(page).to_have_url(url(r"\?search=wordpr"))
    expect(search).to_have_value("wordpr")
    expect(page.locator(COUNT)).to_contain_text("of 17 payments")


def test_emptying_the_search_shows_everything_again(page: Page) -> None:
    ready(page, "/?search=craft")
    page.locator(SEARCH).fill("")
    expect(page.locator(COUNT)).to_contain_text("of 120 payments")
    expect(page).to_have_url(url(""))


def test_back_and_forward_bring_list_and_form_along(page: Page) -> None:
    ready(page)
    page.locator(SEARCH).press_sequentially("craft")
    expect(page.locator(COUNT)).to_contain_text("of 18 payments")
    page.locator("#payments-sort-amount").click()
    expect(page).to_have_url(url(r"\?search=craft&sort=-amount"))
    expect(page.locator("th.flux")).to_have_attribute("aria-sort", "descending")
    page.go_back()
    expect(page.locator("th.when")).to_have_attribute("aria-sort", "descending")
    expect(page.locator(SEARCH)).to_have_value("craft")
    page.go_back()
    expect(page.locator(COUNT)).to_contain_text("of 120 payments")
    expect(page.locator(SEARCH)).to_have_value("")
    page.go_forward()
    expect(page.locator(SEARCH)).to_have_value("craft")
    expect(page.locator(COUNT)).to_contain_text("of 18 payments")


def test_one_step_back_brings_the_form_along_and_other_filters(page: Page) -> None:
    ready(page)
    page.locator(SEARCH).press_sequentially("minecraft")
    expect(page.locator(COUNT)).to_contain_text("of 18 payments")
    page.go_back()
    expect(page.locator(COUNT)).to_contain_text("of 120 payments")
    expect(page.locator(SEARCH)).to_have_value("")
    page.locator("#payments-filters summary").click()
    page.locator("#payments-type").select_option("git")
    expect(page.locator(COUNT)).to_contain_text("of 40 payments")
    page.go_back()
    expect(page.locator(COUNT)).to_contain_text("of 120 payments")
    expect(page.locator("#payments-type")).to_have_value("")


def test_a_search_that_was_emptied_leaves_no_step_back_without_effect(page: Page) -> None:
    ready(page)
    search = page.locator(SEARCH)
    search.press_sequentially("craft")
    expect(page.locator(COUNT)).to_contain_text("of 18 payments")
    search.fill("")
    expect(page.locator(COUNT)).to_contain_text("of 120 payments")
    page.go_back()
    expect(page.locator(COUNT)).to_contain_text("of 18 payments")
    expect(search).to_have_value("craft")
    page.go_back()
    expect(page.locator(COUNT)).to_contain_text("of 120 payments")
    expect(search).to_have_value("")


@pytest.mark.engine
@pytest.mark.quick
def test_pages_are_turned_and_jumped_to(page: Page) -> None:
    ready(page)
    first = page.locator(ROWS).first.get_attribute("id")
    page.locator("#payments-next").click()
    expect(page.locator(COUNT)).to_contain_text("26–50 of 120 payments")
    expect(page.locator("#payments-next")).to_be_focused()
    page.locator("#payments-page").fill("5")
    page.locator("#payments-page").press("Enter")
    expect(page.locator(COUNT)).to_contain_text("101–120 of 120 payments")
    expect(page).to_have_url(url(r"\?page=5"))
    page.locator("#payments-page").fill("77")
    page.get_by_role("button", name="Go").click()
    expect(page.locator("#payments-wrong-page")).to_have_text("There are 5 pages; this is the last.")
    page.locator("#payments-first").click()
    expect(page.locator(ROWS).first).to_have_id(first or "")
    expect(page).to_have_url(url(""))


@pytest.mark.engine
def test_filters_hold_as_soon_as_they_are_set_and_chips_remove_them(page: Page) -> None:
    ready(page)
    page.locator("#payments-filters summary").click()
    page.locator("#payments-type").select_option("git")
    expect(page.locator(COUNT)).to_contain_text("of 40 payments")
    page.locator("#payments-min_amount").fill("lots")
    page.locator("#payments-max_amount").fill("1")
    expect(page.locator("#payments-wrong-min_amount")).to_contain_text("Expected an amount of FLUX")
    expect(page.locator("#payments-min_amount")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#payments-max_amount")).to_be_focused()
    page.locator("#payments-min_amount").fill("0.5")
    page.locator("#payments-min_amount").press("Enter")
    expect(page.locator("#payments-wrong-min_amount")).to_have_text("")
    expect(page.locator("#payments-min_amount")).not_to_have_attribute("aria-invalid", "true")
    expect(page).to_have_url(url(r"\?type=git&min_amount=0.5&max_amount=1"))
    page.locator("#payments-chip-type").click()
    expect(page.locator("#payments-type")).to_have_value("")
    expect(page).to_have_url(url(r"\?min_amount=0.5&max_amount=1"))
    page.locator("#payments-chip-min_amount").click()
    expect(page.locator(COUNT)).to_contain_text("of 120 payments")


def test_other_keys_of_the_address_are_kept(page: Page) -> None:
    ready(page, "/?period=M")
    page.evaluate("history.replaceState(null, '', '/?period=Y&days=90')")
    page.locator("#payments-next").click()
    expect(page).to_have_url(url(r"\?period=Y&days=90&page=2"))
    page.locator(SEARCH).press_sequentially("craft")
    expect(page).to_have_url(url(r"\?period=Y&days=90&search=craft"))


@pytest.mark.engine
def test_a_new_payment_appears_within_ten_seconds_and_is_marked(page: Page) -> None:
    ready(page)
    row = pay(1_234 * FLUX, at=timezone.now(), app="fresh1")
    newest = page.locator(ROWS).first
    expect(newest).to_contain_text("fresh1", timeout=AMPLE * 1_000)
    expect(newest).to_have_class("new")
    expect(newest).to_contain_text(row.txid[:8])
    expect(page.locator(f"{ROWS}.new")).to_have_count(1)
    expect(page.locator(COUNT)).to_contain_text("of 121 payments")


def test_news_leave_the_focus_and_what_is_being_typed(page: Page) -> None:
    ready(page)
    link = page.locator(f"{ROWS} .tx a").nth(3)
    name = link.get_attribute("id")
    link.focus()
    pay(app="fresh1", at=timezone.now())
    expect(page.locator("#payments-new")).to_have_text("1 new")
    expect(page.locator(f"#{name}")).to_be_focused()

    page.locator("#payments-filters summary").click()
    sender = page.locator("#payments-sender")
    sender.press_sequentially("t1half")
    pay(app="fresh2", at=timezone.now())
    expect(page.locator(ROWS).first).to_contain_text("fresh2", timeout=AMPLE * 1_000)
    expect(sender).to_have_value("t1half")
    expect(sender).to_be_focused()


def test_ids_are_copied_and_that_is_said(page: Page, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    ready(page)
    button = page.locator(f"{ROWS} .tx .copy").first
    txid = button.get_attribute("data-copy")
    button.click()
    expect(page.locator("#announcement")).to_have_text(f"Copied {txid}")
    assert page.evaluate("navigator.clipboard.readText()") == txid


def test_ids_are_copied_where_the_browser_has_no_clipboard(page: Page) -> None:
    page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', {get: () => undefined});"
        "document.execCommand = (name) => { window.took = [name, String(document.getSelection())]; return true; };"
    )
    ready(page)
    button = page.locator(f"{ROWS} .tx .copy").first
    button.click()
    expect(page.locator("#announcement")).to_have_text(f"Copied {button.get_attribute('data-copy')}")
    assert page.evaluate("window.took[0]") == "copy"
    expect(button).to_be_focused()


@pytest.mark.engine
def test_the_file_holds_what_is_filtered(page: Page, tmp_path: Path) -> None:
    ready(page, "/?sort=amount")
    page.locator(SEARCH).press_sequentially("craft")
    expect(page.locator(COUNT)).to_contain_text("of 18 payments")
    shown = page.locator(f"{ROWS} .tx .copy").evaluate_all("all => all.map(one => one.dataset.copy)")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV", exact=True).click()
    assert re.fullmatch(r"fluxtracker-payments-\S+-to-\S+\.csv", download.value.suggested_filename)
    file = tmp_path / "payments.csv"
    download.value.save_as(file)
    with file.open(newline="", encoding="utf-8") as lines:
        assert [row["txid"] for row in csv.DictReader(lines)] == shown


@pytest.mark.engine
def test_the_second_tab_leads_to_an_app_and_its_payments(page: Page) -> None:
    ready(page)
    page.get_by_role("link", name="By app").click()
    expect(page).to_have_url(url(r"\?tab=apps"))
    expect(page.locator(COUNT)).to_contain_text("of 5 apps")
    page.locator(SEARCH).press_sequentially("craft")
    expect(page.locator(COUNT)).to_contain_text("of 1 app")
    page.get_by_role("link", name="minecraft1510").click()
    expect(page).to_have_url(re.compile(r"/app/minecraft1510$"))
    page.get_by_role("link", name="All in the list").click()
    expect(page).to_have_url(url(r"\?app=minecraft1510#panel-payments"))
    expect(page.locator(".app-card")).to_contain_text("minecraft1510")
    expect(page.locator(".app-card .spark")).to_be_visible()
    expect(page.locator(COUNT)).to_contain_text("of 18 payments")
    page.go_back()
    page.go_back()
    expect(page.locator(COUNT)).to_contain_text("of 1 app")


def test_it_works_by_keyboard_alone(page: Page) -> None:
    ready(page)
    page.locator(".tabs a").last.focus()
    page.keyboard.press("Tab")
    expect(page.locator(SEARCH)).to_be_focused()
    page.keyboard.type("word")
    expect(page.locator(COUNT)).to_contain_text("of 17 payments")
    page.keyboard.press("Tab")
    expect(page.locator("#payments-filters summary")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#payments-app")).to_be_focused()
    page.keyboard.type("wordpress7")
    page.keyboard.press("Enter")
    expect(page.locator(".app-card")).to_be_visible()
    page.locator("#payments-chip-search").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(url(r"\?app=wordpress7"))
    page.locator("#payments-sort-amount").focus()
    page.keyboard.press("Enter")
    expect(page.locator("th.flux")).to_have_attribute("aria-sort", "descending")
    expect(page.locator("#payments-sort-amount")).to_be_focused()


def test_while_it_is_asked_for_the_list_says_that_it_is_busy(page: Page) -> None:
    ready(page)
    held: list[Route] = []
    page.route("**/panels/payments/**", lambda route: held.append(route))
    page.locator("#payments-next").click()
    expect(page.locator("#panel-payments")).to_have_attribute("aria-busy", "true")
    expect(page.locator(ROWS)).to_have_count(25)
    held[0].continue_()
    expect(page.locator("#panel-payments")).not_to_have_attribute("aria-busy", "true")
    expect(page.locator(COUNT)).to_contain_text("26–50")


def test_a_server_that_is_away_leaves_the_list_and_says_so(page: Page, watch: Watch) -> None:
    ready(page)
    page.route("**/panels/**", lambda route: route.abort())
    page.locator("#payments-next").click()
    expect(page.locator("#lost")).to_be_visible()
    expect(page.locator(ROWS)).to_have_count(25)
    page.unroute("**/panels/**")
    page.locator(SEARCH).press_sequentially("craft")
    expect(page.locator(COUNT)).to_contain_text("of 18 payments")
    expect(page.locator("#lost")).to_be_hidden()
    watch.troubles.clear()  # the browser itself notes failed requests


def test_a_panel_that_failed_is_there_again_after_another_try(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("dashboard.panels.payments.filters.parse.__code__", (lambda query: 1 / 0).__code__)
        ready(page, "/?period=Y")  # no other test's page, which the browser may have and the server confirm
        expect(page.locator("#panel-payments .failed")).to_contain_text("Payments cannot be read at the moment.")
    page.locator("#panel-payments .retry").click()
    expect(page.locator(ROWS)).to_have_count(25)
    page.locator(SEARCH).press_sequentially("craft")
    expect(page.locator(COUNT)).to_contain_text("of 18 payments")


def test_it_works_without_javascript(chromium: Browser, live_server: LiveServer) -> None:
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/?period=M")
    expect(page.locator(ROWS)).to_have_count(25)
    expect(page.locator(f"{ROWS} .copy").first).to_be_hidden()
    page.locator(SEARCH).fill("craft")
    page.locator(SEARCH).press("Enter")
    expect(page.locator(COUNT)).to_contain_text("of 18 payments")
    assert "period=M" in page.url
    assert page.url.endswith("#panel-payments")
    page.locator("#payments-filters summary").click()
    page.locator("#payments-type").select_option("git")
    page.get_by_role("button", name="Apply", exact=True).last.click()
    expect(page.locator("#payments-chip-type")).to_be_visible()
    page.locator("#payments-clear").click()
    page.locator("#payments-page").fill("3")
    page.get_by_role("button", name="Go").click()
    expect(page.locator(COUNT)).to_contain_text("51–75 of 120 payments")
    page.locator("#payments-sort-block_height").click()
    expect(page.locator("th.block")).to_have_attribute("aria-sort", "descending")
    page.locator("#payments-tab-2").click()
    expect(page.locator(COUNT)).to_contain_text("of 5 apps")
    context.close()


@pytest.mark.parametrize("state", STATES)
def test_nothing_is_wider_than_the_screen(page: Page, state: str) -> None:
    pay(123_456_789_012_345, app="a-name-without-end" * 6, at=timezone.now(), priced=False, from_address=None)
    page.set_viewport_size({"width": 320, "height": 800})
    ready(page, STATES[state])
    assert widths_of(page, 320, 390, 480, 700, 768, 1024, 1240, 1440) == []


@pytest.mark.parametrize(("system", "width"), [("dark", 320), ("light", 1440)])
def test_axe_finds_no_violation(page: Page, system: str, width: int) -> None:
    pay(at=timezone.now(), priced=False, from_address=None)
    in_theme(page, system, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 800})
    for state, address in STATES.items():
        ready(page, address)
        found = Axe().run(page, context="#panel-payments").response["violations"]
        assert (state, [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]) == (state, [])


def test_what_can_be_touched_is_large_enough(chromium: Browser, live_server: LiveServer) -> None:
    context = chromium.new_context(
        base_url=live_server.url, has_touch=True, is_mobile=True, viewport={"width": 390, "height": 800}
    )
    page = context.new_page()
    page.goto("/?search=craft")
    small = page.locator("#panel-payments :is(a, button, summary, input:not([type=hidden]), select)").evaluate_all(
        "all => all.filter(one => one.checkVisibility({visibilityProperty: true}))"
        ".filter(one => one.getBoundingClientRect().height < 44).map(one => one.outerHTML)"
    )
    assert small == []
    context.close()
