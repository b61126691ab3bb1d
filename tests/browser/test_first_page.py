from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.utils import timezone
from playwright.sync_api import Browser, Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from metrics.models import Source
from revenue.models import Quarantined
from tests.browser.conftest import Watch, asks, widths_of
from tests.dashboard import rows
from tests.dashboard.rows import ADDRESS, FLUX, pay
from tests.waiting import AMPLE

pytestmark = pytest.mark.usefixtures("ledger")

POLL_MS, FULL_MS = 5_000, 300_000
TITLE = re.compile(r"^(▲ \+[\d,.]+ % · |▼ −[\d,.]+ % · )?[\d,]+\.\d\d FLUX this week · Fluxtracker$")
STRIP, TILES = "#panel-strip", "#panel-tiles"


def choose(page: Page, label: str) -> None:
    page.get_by_role("radio", name=label, exact=True).click()


def ready(page: Page) -> None:
    """Until all five periods are there."""
    with page.expect_response(asks("tiles", "Y")):
        page.goto("/")


@pytest.mark.engine
@pytest.mark.quick
def test_it_shows_the_numbers(page: Page) -> None:
    page.goto("/")
    expect(page).to_have_title(TITLE)
    expect(page.locator(STRIP)).to_contain_text("confirmed to block 2,996,908")
    expect(page.locator("[data-line=flux] .figure")).to_have_text(re.compile(r"^[\d,]+\.\d\d FLUX$"))
    expect(page.locator("[data-tile=nodes]")).to_contain_text("6,724")


@pytest.mark.engine
@pytest.mark.quick
def test_revenue_follows_new_payments_within_ten_seconds(page: Page) -> None:
    page.goto("/")
    pay(1_234 * FLUX, at=timezone.now(), app="minecraft1510")
    figure = page.locator("[data-line=flux] .figure")
    expect(figure).to_contain_text(re.compile(r"1,2\d\d\.00"), timeout=AMPLE * 1_000)
    expect(page).to_have_title(re.compile(r"1,2\d\d\.00 FLUX this week"))


@pytest.mark.engine
@pytest.mark.usefixtures("still")
def test_a_poll_without_news_leaves_the_page_alone(page: Page) -> None:
    page.goto("/")
    page.locator(".strip").evaluate("strip => strip.dataset.mine = 'kept'")
    with page.expect_response(asks("strip")) as poll:
        page.clock.run_for(POLL_MS)
    assert poll.value.status == 304
    expect(page.locator(".strip[data-mine=kept]")).to_have_count(1)


def test_what_has_the_focus_keeps_it_when_news_come(page: Page) -> None:
    page.goto("/")
    page.locator("#more-gaming summary").click()
    page.locator("#about-nodes summary").click()
    unknown = page.locator(f"{STRIP} .unknown").first
    name = unknown.get_attribute("id")
    unknown.focus()
    pay(at=timezone.now(), amount_sat=777 * FLUX)
    expect(page.locator("[data-line=flux] .figure")).to_contain_text("8", timeout=AMPLE * 1_000)
    with page.expect_response(asks("strip"), timeout=AMPLE * 1_000):
        pass
    expect(page.locator(f"#{name}")).to_be_focused()
    expect(page.locator("#more-gaming")).to_have_attribute("open", "")
    expect(page.locator("#about-nodes")).to_have_attribute("open", "")


@pytest.mark.usefixtures("still")
def test_a_hidden_tab_does_not_ask_and_asks_at_once_when_it_is_seen_again(page: Page, watch: Watch) -> None:
    page.add_init_script("Object.defineProperty(document, 'hidden', {get: () => window.away === true})")
    with page.expect_response(asks("tiles", "Y")):  # the last one that is fetched ahead
        page.goto("/")
        page.evaluate("window.away = true")
        page.clock.run_for(3_000)
    before = len(watch.polls)
    page.clock.run_for(2 * FULL_MS)
    assert len(watch.polls) == before
    seen = "window.away = false; document.dispatchEvent(new Event('visibilitychange'))"
    with page.expect_response(asks("tiles")), page.expect_response(asks("strip")):
        page.evaluate(seen)


@pytest.mark.usefixtures("still")
def test_everything_is_asked_for_every_five_minutes_and_the_time_left_is_told(page: Page) -> None:
    page.goto("/")
    left = page.locator("#refresh")
    expect(left).to_contain_text("5:00")
    page.clock.run_for(48_000)
    expect(left).to_contain_text("4:12")
    page.clock.run_for(FULL_MS - 49_000)
    with (
        page.expect_response(asks("tiles")),
        page.expect_response(asks("feeds")),
        page.expect_response(asks("sources")),
    ):
        page.clock.run_for(1_500)
    page.clock.run_for(1_000)
    expect(left).to_contain_text(re.compile("[45]:"))


def test_it_is_refreshed_on_demand(page: Page) -> None:
    ready(page)
    Source.objects.filter(name="nodes").update(values=rows.NODES | {"node_total": 9_999}, read_at=timezone.now())
    page.locator("#refresh").click()
    expect(page.locator("[data-tile=nodes]")).to_contain_text("9,999")


@pytest.mark.quick
@pytest.mark.usefixtures("still")
def test_a_server_that_is_away_is_told_and_the_page_recovers(page: Page, watch: Watch) -> None:
    page.goto("/")
    lost = page.locator("#lost")
    expect(lost).to_be_hidden()
    page.route("**/*", lambda route: route.abort())
    page.clock.run_for(POLL_MS)
    expect(lost).to_be_visible()
    expect(page.locator("[data-tile=nodes]")).to_contain_text("6,724")
    page.unroute("**/*")
    page.clock.run_for(POLL_MS)
    expect(lost).to_be_hidden()
    watch.troubles.clear()  # the browser itself notes failed requests


@pytest.mark.usefixtures("still")
def test_a_503_leaves_the_last_figures_and_says_so(page: Page, watch: Watch) -> None:
    def unavailable(route: Route) -> None:
        route.fulfill(status=503, body="<p>away</p>")

    page.goto("/")
    page.route("**/*", unavailable)
    page.clock.run_for(POLL_MS)
    expect(page.locator("#lost")).to_be_visible()
    expect(page.locator(".strip")).to_contain_text("confirmed to block")
    page.unroute_all(behavior="wait")
    page.goto("about:blank")  # nothing more is asked for
    assert all("503" in trouble for trouble in watch.troubles)
    watch.troubles.clear()


@pytest.mark.quick
def test_the_answer_stands_above_the_fold_of_a_phone(page: Page) -> None:
    pay(at=timezone.now() - timedelta(days=40))
    pay(5 * FLUX, at=timezone.now() - timedelta(days=7, minutes=5))
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/")
    chips = page.locator("[data-tile=revenue] .chips-line li")
    expect(chips).to_have_count(2)
    expect(chips.first).to_contain_text("vs last week by now")
    expect(chips.last).to_contain_text("of all last week")
    for part in (".strip .sync", "[data-line=flux]", "[data-line=usd]", "[data-line=payments]", ".pace"):
        box = page.locator(f"#main {part}").first.bounding_box()
        assert box is not None, part
        assert box["y"] + box["height"] <= 600, part
    last = chips.last.bounding_box()
    assert last is not None
    assert last["y"] + last["height"] <= 600
    strip = page.locator(".strip").bounding_box()
    assert strip is not None
    assert strip["height"] < 24, "one line"


@pytest.mark.quick
def test_steps_and_arrow_keys_lead_to_past_weeks_and_back(page: Page) -> None:
    pay(7 * FLUX, at=timezone.now() - timedelta(days=40))
    ready(page)
    title = page.locator("[data-tile=revenue] h2")
    page.evaluate("window.same = true")
    page.get_by_role("link", name="The week before").click()
    expect(title).to_have_text("Revenue week 46, 9 – 15 Nov")
    assert urlsplit(page.url).query == "at=2026-W46"
    page.keyboard.press("ArrowLeft")
    expect(title).to_have_text("Revenue week 45, 2 – 8 Nov")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(title).to_have_text("Revenue this week")
    assert urlsplit(page.url).query == ""
    page.go_back()
    page.go_back()
    expect(title).to_have_text("Revenue week 45, 2 – 8 Nov")
    choose(page, "Month")
    expect(title).to_have_text("Revenue this month")
    page.reload()
    assert parse_qs(urlsplit(page.url).query) == {"period": ["M"], "at": ["2026-W45"]}
    expect(title).to_have_text("Revenue this month")


@pytest.mark.quick
def test_the_period_is_switched_by_a_click_without_a_load(page: Page, watch: Watch) -> None:
    ready(page)
    page.evaluate("window.same = true")
    before = len(watch.requests)
    choose(page, "Month")
    expect(page.locator("[data-tile=revenue] h2")).to_have_text("Revenue this month")
    assert urlsplit(page.url).query == "period=M"
    assert [request.url for request in watch.requests[before:] if "/panels/tiles/" in request.url] == []
    expect(page).to_have_title(re.compile("FLUX this month"))
    assert page.evaluate("window.same") is True


def test_all_periods_are_there_before_they_are_asked_for(page: Page) -> None:
    ready(page)
    took = page.evaluate(
        """async () => {
            const start = performance.now();
            document.querySelector('#period input[value=Q]').click();
            const shown = document.querySelector('[data-tile=revenue] h2').textContent;
            await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
            return {shown, ms: performance.now() - start};
        }"""
    )
    assert took["shown"] == "Revenue this quarter"  # in the same breath as the click


def test_back_and_forward_switch_the_period(page: Page) -> None:
    ready(page)
    choose(page, "Day")
    choose(page, "Year")
    title = page.locator("[data-tile=revenue] h2")
    expect(title).to_have_text("Revenue this year")
    page.go_back()
    expect(title).to_have_text("Revenue today")
    expect(page.locator("#period input[value=D]")).to_be_checked()
    page.go_back()
    expect(title).to_have_text("Revenue this week")
    assert urlsplit(page.url).query == ""
    page.go_forward()
    expect(title).to_have_text("Revenue today")


def test_a_link_to_a_period_opens_it(page: Page) -> None:
    page.goto("/?period=Q&feed=expiring")
    expect(page.locator("[data-tile=revenue] h2")).to_have_text("Revenue this quarter")
    expect(page.locator("#period input[value=Q]")).to_be_checked()
    expect(page.locator("[data-feed=expiring]")).to_be_visible()
    expect(page.locator("[data-feed=network]")).to_be_hidden()


def test_keys_switch_the_period_but_not_while_typing(page: Page) -> None:
    ready(page)
    title = page.locator("[data-tile=revenue] h2")
    for key, words in (
        ("m", "this month"),
        ("q", "this quarter"),
        ("y", "this year"),
        ("d", "today"),
        ("w", "this week"),
    ):
        page.keyboard.press(key)
        expect(title).to_have_text(f"Revenue {words}")
    page.evaluate(
        "document.querySelector('main').append(Object.assign(document.createElement('input'), {id: 'typed'}))"
    )
    page.locator("#typed").focus()
    page.keyboard.press("m")
    page.keyboard.press("Control+d")
    expect(title).to_have_text("Revenue this week")


def test_the_keys_can_be_turned_off_for_good(page: Page) -> None:
    ready(page)
    keys = page.locator("#keys")
    expect(keys).to_have_attribute("aria-pressed", "true")
    keys.click()
    page.reload()
    expect(keys).to_have_attribute("aria-pressed", "false")
    page.locator("body").press("m")
    expect(page.locator("[data-tile=revenue] h2")).to_have_text("Revenue this week")


def test_the_arrow_keys_walk_through_the_periods(page: Page) -> None:
    ready(page)
    page.locator("#period input[value=W]").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-tile=revenue] h2")).to_have_text("Revenue this month")
    expect(page.locator("#period input[value=M]")).to_be_focused()


def test_the_focus_follows_a_key_and_back(page: Page) -> None:
    ready(page)
    page.locator("#period input[value=W]").focus()
    page.keyboard.press("y")
    expect(page.locator("#period input[value=Y]")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#period input[value=Q]")).to_be_checked()
    page.go_back()
    expect(page.locator("#period input[value=Y]")).to_be_checked()
    expect(page.locator("#period input[value=Y]")).to_be_focused()
    page.locator("#theme").focus()
    page.keyboard.press("m")
    expect(page.locator("#theme")).to_be_focused()


def test_choosing_the_active_period_again_refreshes(page: Page) -> None:
    ready(page)
    with page.expect_response(asks("tiles")):
        choose(page, "Week")


@pytest.mark.usefixtures("still")
def test_a_period_chosen_while_the_server_is_away_comes_with_it(page: Page, watch: Watch) -> None:
    page.route("**/panels/**", lambda route: route.abort())
    page.goto("/")
    choose(page, "Month")
    expect(page.locator("#lost")).to_be_visible()
    expect(page.locator("[data-tile=revenue] h2")).to_have_text("Revenue this week")  # the last figures stay
    page.unroute("**/panels/**")
    page.clock.run_for(POLL_MS)
    expect(page.locator("[data-tile=revenue] h2")).to_have_text("Revenue this month")
    watch.troubles.clear()


@pytest.mark.usefixtures("still")
def test_tiles_that_were_fetched_long_ago_are_asked_for_when_they_are_shown(page: Page) -> None:
    with page.expect_response(asks("tiles", "Y")):
        page.goto("/")
        page.clock.run_for(3_000)
    page.clock.run_for(90_000)
    with page.expect_response(asks("tiles", "Y")) as answer:
        choose(page, "Year")
    assert answer.value.status in (200, 304)


def test_a_tiles_link_keeps_what_the_address_says(page: Page) -> None:
    ready(page)
    choose(page, "Month")
    link = page.locator("[data-tile=nodes] .rows a").first
    assert link.get_attribute("href") == "?period=M&metrics=node_cumulus#panel-chart"


@pytest.mark.usefixtures("still")
def test_ages_tick(page: Page, clock: time_machine.Traveller) -> None:
    clock.move_to(rows.NOW)
    page.goto("/")
    page.route("**/panels/**", lambda route: None)  # an answer tells the server's clock, which is not put forward
    age = page.locator(".strip time").first
    expect(age).to_have_text(re.compile(r"^\d+ s ago$"))
    page.clock.fast_forward(185_000)
    expect(age).to_have_text("3 min ago")


def test_times_tell_the_readers_own_on_hover(chromium: Browser, live_server: LiveServer) -> None:
    context = chromium.new_context(base_url=live_server.url, timezone_id="America/New_York", locale="en-GB")
    page = context.new_page()
    page.goto("/")
    title = page.locator(".strip time").first.get_attribute("title")
    assert title is not None
    assert re.search(r" UTC\n.*(GMT-[45]|E[SD]T), your time$", title), title
    context.close()


@pytest.mark.parametrize("system", ["dark", "light"])
def test_the_theme_is_dark_until_light_or_the_systems_is_chosen_and_remembered(page: Page, system: str) -> None:
    dark, light = "rgb(12, 9, 20)", "rgb(247, 244, 255)"
    page.emulate_media(color_scheme=system)
    page.goto("/")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(background) == dark
    for label, colour in (("Light", light), ("System", {"dark": dark, "light": light}[system]), ("Dark", dark)):
        page.click("#theme")
        expect(page.locator("#theme")).to_have_text(f"Theme: {label}")
        assert page.evaluate(background) == colour
        page.reload()
        assert page.evaluate(background) == colour


def test_keys_show_the_shortcuts_and_go_to_the_search(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("#payments-search")).to_be_focused()
    expect(page.locator("#payments-search")).to_have_value("")


@pytest.mark.quick
def test_on_a_phone_ten_payments_have_two_lines_each_until_more_are_asked_for(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/")
    rows_of = page.locator("tr[data-payment]")
    expect(rows_of.nth(9)).to_be_visible()
    expect(rows_of.nth(10)).to_be_hidden()
    box = rows_of.first.bounding_box()
    assert box is not None
    assert box["height"] < 72
    assert page.evaluate("document.documentElement.scrollHeight") <= 7 * 844
    page.get_by_label("Show all 25 rows").check()
    expect(rows_of.nth(24)).to_be_visible()


def test_nothing_is_wider_than_the_screen(page: Page) -> None:
    row = {"address": ADDRESS, "reason": "sender", "first_seen_at": rows.NOW, "next_attempt_at": rows.NOW}
    Quarantined.objects.create(txid="ee" * 32, **row)
    pay(123_456_789_012_345, app="a-name-without-end" * 6, at=timezone.now(), priced=False, from_address=None)
    page.set_viewport_size({"width": 320, "height": 800})
    page.goto("/")
    assert widths_of(page, 320, 390, 740, 768, 1100, 1440) == []


@pytest.mark.quick
def test_it_works_without_javascript(chromium: Browser, live_server: LiveServer) -> None:
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/?search=abc")
    expect(page.locator("[data-line=flux] .figure")).to_contain_text("FLUX")
    for hidden in ("#theme", "#refresh", "#keys", "[data-pause]"):
        expect(page.locator(hidden)).to_be_hidden()
    choose(page, "Month")
    page.locator("#period").get_by_role("button", name="Apply").click()
    expect(page.locator("[data-tile=revenue] h2")).to_have_text("Revenue this month")
    assert parse_qs(urlsplit(page.url).query) == {"search": ["abc"], "period": ["M"]}
    page.get_by_role("radio", name="Just deployed").click()
    expect(page.locator("[data-feed=deployed]")).to_be_visible()
    expect(page.locator("[data-feed=network]")).to_be_hidden()
    page.locator("#about-nodes summary").click()
    expect(page.locator("#about-nodes")).to_contain_text("FluxNodes that the chain lists")
    context.close()


def test_the_reason_of_an_unknown_figure_shows_on_focus(page: Page) -> None:
    page.goto("/")
    unknown = page.locator("[data-tile=nodes] .unknown").first
    reason = unknown.locator(".why")
    assert reason.evaluate("box => box.getBoundingClientRect().width") <= 1
    unknown.focus()
    assert reason.evaluate("box => box.getBoundingClientRect().width") > 100
    page.keyboard.press("Escape")
    assert reason.evaluate("box => box.getBoundingClientRect().width") <= 1
