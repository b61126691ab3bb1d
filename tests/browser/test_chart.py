"""The chart in a real browser: drawn, read, zoomed, chosen; with the mouse, the keyboard, and without JavaScript."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from metrics.models import ImageCount
from snapshots.models import Snapshot
from tests.browser.conftest import Watch, in_order, in_theme
from tests.browser.worlds import Worlds
from tests.dashboard import rows
from tests.marks import only_in_full
from tests.snapshots.series_rows import read_now

pytestmark = pytest.mark.usefixtures("history")

DAY = timedelta(days=1)
LIVE = "#panel-chart .chart-live"
LEGEND = "#panel-chart .chart-legend li"
DRAWN = f"{LIVE} canvas"


def a_hundred_days() -> None:
    """A hundred days of nodes with a gap of two days, the older ones made up; an image; payments of today."""
    in_order()
    now = rows.NOW
    today = now.date()
    Snapshot.objects.bulk_create(
        Snapshot(
            day=today - DAY * back,
            source="simulated" if back > 40 else "taken",
            made_at=now,
            node_total=6_700 + back,
            node_cumulus=4_000 + back,
            node_nimbus=1_700,
            node_stratus=1_000,
            total_apps=12_000,
            counts={"gaming_palworld": back},
        )
        for back in range(100, 0, -1)
        if back not in (10, 11)
    )
    ImageCount.objects.create(image="itzg/minecraft-server", count=98)
    read_now("nodes", {"node_total": 6_724}, at=now)
    read_now("apps", {"total_apps": 12_000, "gaming_palworld": 7}, at=now)


@pytest.fixture
def history(server_at_rest: None, broker: None, worlds: Worlds) -> None:
    worlds.put(a_hundred_days)


def see(page: Page, address: str = "/") -> None:
    """Open the page and bring the chart into view, until it is drawn."""
    page.goto(address)
    page.locator("#panel-chart").scroll_into_view_if_needed()
    expect(page.locator(DRAWN)).to_be_visible()


def box(page: Page) -> dict[str, float]:
    found = page.locator(f"{LIVE} .u-over").bounding_box()
    assert found
    return dict(found)


def test_its_code_comes_only_when_it_comes_into_view(page: Page, watch: Watch) -> None:
    page.set_viewport_size({"width": 390, "height": 600})
    page.goto("/")
    page.wait_for_load_state("networkidle")
    assert not [request for request in watch.requests if "uPlot" in request.url or "/js/chart." in request.url]
    page.locator("#panel-chart").scroll_into_view_if_needed()
    expect(page.locator(DRAWN)).to_be_visible()
    assert [request for request in watch.requests if "uPlot" in request.url]


@pytest.mark.quick
def test_hovering_reads_the_values_of_a_day(page: Page) -> None:
    see(page, "/?metrics=node_total&days=30")
    value, when = page.locator(f"{LEGEND} b"), page.locator(f"{LEGEND} [data-chart-when]")
    expect(value).to_have_text("6,724")
    place = box(page)
    page.mouse.move(place["x"] + 1, place["y"] + 50)
    first = timezone.now().date() - DAY * 29
    expect(when).to_have_text(f"{first.day} {first:%b %Y}")
    expect(value).to_have_text("6,729")
    page.mouse.move(place["x"], place["y"] - 200)
    expect(value).to_have_text("6,724")


def test_the_box_tells_the_apis_figures_of_every_day(page: Page) -> None:
    for back in range(1, 7):
        rows.pay((3 + back * back) * rows.FLUX, at=rows.NOW - DAY * back)
    see(page, "/?days=7")
    told = page.request.get("/api/history/series?metrics=revenue_flux,revenue_usd,payments&days=7").json()
    flux, usd, payments = (line["points"] for line in told["series"])
    assert len(set(flux)) == len(told["dates"]) == 7
    place, tip = box(page), page.locator(".chart-tip")
    for number, day in enumerate(told["dates"]):
        page.mouse.move(place["x"] + place["width"] * (number + 0.5) / 7, place["y"] + 50)
        expect(tip).to_contain_text(f"{int(day[8:])} Nov 2026")
        expect(tip).to_contain_text(f"Revenue in FLUX: {flux[number]:,.2f} FLUX")
        expect(tip).to_contain_text(f"Revenue in US dollars: ${usd[number]:,.2f}")
        expect(tip).to_contain_text(f"Payments: {payments[number]:,}")


@pytest.mark.quick
def test_a_box_at_the_pointer_tells_value_dollars_and_payments_and_stays_through_a_refresh(page: Page) -> None:
    for back, amount in ((2, 4), (1, 5)):
        rows.pay(amount * rows.FLUX, at=rows.NOW - DAY * back)
    see(page, "/?days=7")
    place, tip = box(page), page.locator(".chart-tip")
    expect(tip).to_be_hidden()
    page.mouse.move(place["x"] + place["width"] * 5.5 / 7, place["y"] + 50)
    expect(tip).to_contain_text("17 Nov 2026")
    expect(tip).to_contain_text("Revenue in FLUX: 5.00 FLUX")
    expect(tip).to_contain_text("▲ 25.0 % on the day before")
    expect(tip).to_contain_text("Revenue in US dollars: $0.37")
    expect(tip).to_contain_text("Payments: 1")
    rows.pay(3 * rows.FLUX, at=timezone.now())
    with page.expect_response(lambda response: "/api/history/series" in response.url):
        page.locator("#refresh").dispatch_event("click")
    expect(page.locator(f"{LIVE}[aria-valuetext*='33.00 FLUX']")).to_have_count(1)
    expect(tip).to_contain_text("17 Nov 2026")
    page.mouse.move(place["x"] + place["width"] - 5, place["y"] + 50)
    expect(tip).to_contain_text("in progress")
    expect(tip).not_to_contain_text("on the day before")
    page.mouse.move(place["x"], place["y"] - 300)
    expect(tip).to_be_hidden()


def test_a_drag_along_the_dates_looks_closer(page: Page) -> None:
    see(page, "/?metrics=node_total&days=90")
    place = box(page)
    under = place["y"] + place["height"] + 12
    page.mouse.move(place["x"] + place["width"] * 0.25, under)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] * 0.5, under, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"start=\d{4}-\d\d-\d\d&end=\d{4}-\d\d-\d\d"))


def test_a_finger_reads_values(page: Page) -> None:
    see(page, "/?metrics=node_total&days=30")
    event = {"pointerType": "touch", "pointerId": 7, "bubbles": True}
    place = box(page)
    over = page.locator(f"{LIVE} .u-over")
    over.dispatch_event("pointerdown", event | {"clientX": place["x"] + 200, "clientY": place["y"] + 40})
    over.dispatch_event("pointermove", event | {"clientX": place["x"] + 2, "clientY": place["y"] + 40})
    first = timezone.now().date() - DAY * 29
    expect(page.locator(".chart-tip b")).to_have_text(f"{first.day} {first:%b %Y}")
    expect(page.locator(f"{LEGEND} b")).to_have_text("6,729")


def test_arrow_keys_read_the_values_and_a_gap_is_not_known(page: Page) -> None:
    see(page, "/?metrics=node_total&days=30")
    page.locator("#panel-chart .chart-add button").focus()
    for _ in range(5):
        page.keyboard.press("Tab")
        if page.locator(LIVE).evaluate("box => box === document.activeElement"):
            break
    live = page.locator(LIVE)
    expect(live).to_be_focused()
    expect(live).to_have_attribute("aria-valuetext", re.compile(r"Nodes 6,724 \(as last read\)$"))
    page.keyboard.press("ArrowLeft")
    expect(live).to_have_attribute("aria-valuetext", re.compile(r"Nodes 6,701$"))
    for _ in range(9):
        page.keyboard.press("ArrowLeft")
    expect(live).to_have_attribute("aria-valuetext", re.compile(r"Nodes not known$"))
    expect(page.locator(f"{LEGEND} b")).to_have_text("not known")
    page.keyboard.press("Home")
    expect(live).to_have_attribute("aria-valuenow", "0")


def test_dragging_looks_closer_and_back_returns(page: Page) -> None:
    see(page, "/?metrics=node_total&days=90&period=M")
    place = box(page)
    page.mouse.move(place["x"] + place["width"] * 0.25, place["y"] + 80)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] * 0.5, place["y"] + 90, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"start=\d{4}-\d\d-\d\d&end=\d{4}-\d\d-\d\d"))
    assert "period=M" in page.url
    assert "days" not in page.url
    expect(page.locator(DRAWN)).to_be_visible()
    expect(page.get_by_role("textbox", name="From")).not_to_have_value("")
    page.go_back()
    expect(page).to_have_url(re.compile(r"days=90"))
    expect(page.locator("#panel-chart [aria-current]", has_text="90d")).to_be_visible()
    expect(page.locator(DRAWN)).to_be_visible()


@pytest.mark.quick
def test_ranges_and_buckets_change_the_address_without_a_reload(page: Page) -> None:
    see(page)
    page.evaluate("window.same = true")
    page.locator("#panel-chart").get_by_role("link", name="90 days").click()
    expect(page).to_have_url(re.compile(r"\?days=90$"))
    page.locator("#panel-chart").get_by_role("link", name="Week", exact=True).click()
    expect(page).to_have_url(re.compile(r"days=90&bucket=week"))
    page.get_by_label("Previous period").check()
    expect(page).to_have_url(re.compile(r"previous=1"))
    expect(page.locator(DRAWN)).to_be_visible()
    assert page.evaluate("window.same") is True


def test_two_quick_clicks_both_hold(page: Page) -> None:
    see(page, "/?metrics=node_total,payments&start=nonsense")
    page.evaluate(r"""() => {
        const links = [...document.querySelectorAll("#panel-chart a")];
        const link = (name) => links.find((a) => a.textContent.replace(/\s+/g, " ").trim().startsWith(name));
        for (const name of ["90d", "Week", "Cumulus", "Nodes, take out"]) link(name).click();
    }""")
    expect(page).to_have_url(re.compile(r"\?metrics=payments,node_cumulus&days=90&bucket=week$"))
    expect(page.locator(LEGEND)).to_have_count(2)


def test_choosing_keeps_the_focus_in_its_place(page: Page) -> None:
    see(page)
    link = page.locator("#panel-chart").get_by_role("link", name="60 days")
    link.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"days=60"))
    expect(page.locator("#panel-chart").get_by_role("link", name="60 days")).to_be_focused()


def test_a_typed_name_is_drawn_also_and_taken_out_again(page: Page) -> None:
    see(page, "/?metrics=node_total")
    field = page.get_by_label("Compare with...")
    field.fill("Palworld")
    field.press("Enter")
    expect(page.locator(LEGEND)).to_have_count(2)
    expect(page).to_have_url(re.compile(r"metrics=node_total,gaming_palworld"))
    expect(page.get_by_label("Compare with...")).to_be_focused()
    page.get_by_role("link", name="Take out Nodes").click()
    expect(page.locator(LEGEND)).to_have_count(1)
    expect(page.locator(LEGEND)).to_contain_text("Palworld")


def test_typing_offers_images(page: Page) -> None:
    see(page)
    page.locator("#panel-chart #chart-names").evaluate("list => list.querySelector('[data-key^=\"image:\"]').remove()")
    page.get_by_label("Compare with...").press_sequentially("minecraft-s")
    offered = page.locator("#chart-names option[value='itzg/minecraft-server']")
    expect(offered).to_have_count(1)
    page.get_by_label("Compare with...").fill("itzg/minecraft-server")
    page.get_by_label("Compare with...").press("Enter")
    expect(page.locator(LEGEND)).to_have_count(2)


def test_a_name_that_is_none_is_told_beside_the_field(page: Page) -> None:
    see(page)
    page.get_by_label("Compare with...").fill("nothing like it")
    page.get_by_label("Compare with...").press("Enter")
    expect(page.locator("#chart-add-hint")).to_contain_text("Nothing is called “nothing like it”.")
    expect(page.locator(LEGEND)).to_have_count(1)


def test_several_metrics_are_told_apart_by_colour_and_dash(page: Page) -> None:
    see(page, "/?metrics=node_cumulus,node_nimbus,node_stratus,payments,gaming_palworld")
    styles = page.locator(f"{LEGEND} path").evaluate_all(
        "paths => paths.map((path) => [getComputedStyle(path).stroke, getComputedStyle(path).strokeDasharray])"
    )
    assert len({stroke for stroke, _ in styles}) == len({dash for _, dash in styles}) == 5


def test_another_theme_draws_in_its_colours(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    see(page, "/?metrics=node_total")
    colours = """canvas => {
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
        copy.drawImage(canvas, 0, 0);
        const {data} = copy.getImageData(0, 0, canvas.width, canvas.height);
        const found = new Set();
        for (let at = 0; at < data.length; at += 4)
            if (data[at + 3] === 255) found.add([data[at], data[at + 1], data[at + 2]].join());
        return [...found];
    }"""
    assert "183,148,255" in page.locator(DRAWN).evaluate(colours)
    page.click("#theme")
    page.wait_for_function(f"() => ({colours})(document.querySelector('{DRAWN}')).includes('100,35,200')")
    assert "183,148,255" not in page.locator(DRAWN).evaluate(colours)


def test_the_table_holds_what_is_drawn(page: Page) -> None:
    see(page, "/?metrics=node_total&days=14")
    page.locator("#chart-table summary").click()
    cells = page.locator("#chart-table tbody tr")
    expect(cells).to_have_count(14)
    expect(cells.first).to_contain_text("6,724")
    expect(cells.nth(10)).to_contain_text("not known")


def test_the_file_holds_what_is_drawn(page: Page) -> None:
    see(page, "/?metrics=node_total&days=14")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV of this view").click()
    with download.value.path().open() as file:
        found = list(csv.reader(file))
    assert found[0] == ["start", "end", "node_total", "node_total note"]
    assert [row[2] for row in found[1:6]] == ["6713", "6712", "", "", "6709"]
    assert found[-1][2:] == ["6724", "live"]


def test_the_link_to_this_view_is_copied_and_said(context: BrowserContext, page: Page, live_server: LiveServer) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=live_server.url)
    see(page, "/?metrics=node_total&days=14&period=M")
    page.get_by_role("link", name="Link to this view").click()
    expect(page.locator(".chart-copied")).to_have_text("Link copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"/\?metrics=node_total&start=[\d-]+&end=[\d-]+#panel-chart$", copied)
    see(page, copied)
    expect(page.locator(LEGEND)).to_contain_text("Nodes")


def test_the_same_view_can_be_opened_again(page: Page) -> None:
    see(page, "/?metrics=node_cumulus,payments&days=60&bucket=week&previous=1#panel-chart")
    expect(page.locator(LEGEND)).to_have_count(2)
    expect(page.get_by_label("Previous period")).to_be_checked()


def test_values_that_cannot_be_fetched_leave_the_servers_drawing_and_say_so(page: Page, watch: Watch) -> None:
    page.route("**/api/history/series**", lambda route: route.abort())
    page.goto("/?metrics=node_total")
    page.locator("#panel-chart").scroll_into_view_if_needed()
    expect(page.locator(".chart-trouble")).to_contain_text("The chart data could not be loaded")
    expect(page.locator(".chart-still .line")).to_be_visible()
    watch.troubles.clear()  # the browser itself notes the failed request


def test_it_is_complete_without_javascript(chromium: Browser, live_server: LiveServer) -> None:
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/?metrics=node_total")
    expect(page.locator(".chart-still .line")).to_be_visible()
    page.get_by_label("Compare with...").fill("Palworld")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(LEGEND)).to_have_count(2)
    page.locator("#panel-chart").get_by_role("link", name="7 days").click()
    expect(page.locator(LEGEND)).to_have_count(2)
    page.get_by_label("Previous period").check()
    page.locator(".chart-days").get_by_role("button", name="Apply").click()
    expect(page.locator(".chart-still .ghost")).to_have_count(1)
    page.locator("#chart-table summary").click()
    expect(page.locator("#chart-table tbody tr")).to_have_count(7)
    context.close()


@pytest.mark.parametrize("metrics", ["node_total", "node_total,payments,revenue_usd,image:itzg/minecraft-server"])
def test_nothing_is_wider_than_the_screen(page: Page, metrics: str) -> None:
    see(page, f"/?metrics={metrics}&days=90&previous=1")
    page.locator("#chart-table summary").click()
    for width in (320, 390, 768, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function(f"() => document.querySelector('{DRAWN}').getBoundingClientRect().width < {width}")
        assert page.locator("#panel-chart").evaluate("section => section.scrollWidth <= section.clientWidth + 1"), width
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_another_width_is_drawn_anew(page: Page) -> None:
    see(page, "/?metrics=node_total")
    page.set_viewport_size({"width": 600, "height": 800})
    page.wait_for_function(f"() => document.querySelector('{DRAWN}').getBoundingClientRect().width < 600")


# The labels of the x axis, left to right, with their left and right end in pixels of the drawing.
WRITTEN = """
    const write = CanvasRenderingContext2D.prototype.fillText;
    window.written = [];
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
        const half = this.measureText(text).width / 2;
        if (this.textAlign === "center") window.written.push([text, x - half, x + half, this.canvas.width]);
        return write.apply(this, arguments);
    };
"""


def test_a_single_day_stands_between_its_neighbours(page: Page) -> None:
    day = timezone.now().date() - DAY * 5
    page.add_init_script(WRITTEN)
    see(page, f"/?metrics=node_total&start={day}&end={day}")
    around = {f"{day + DAY * by:%-d %b}" for by in (-1, 0, 1)}
    page.wait_for_function("() => window.written.length")
    written = [text for text, *_ in page.evaluate("window.written") if text]
    assert f"{day:%-d %b}" in written
    assert set(written) <= around
    assert len(written) == len(set(written)), "each day is named once"


def test_the_last_month_is_written_whole(page: Page) -> None:
    Snapshot.objects.create(day=timezone.now().date() - DAY * 360, made_at=timezone.now(), node_total=6_000)
    page.add_init_script(WRITTEN)
    see(page, "/?metrics=node_total&days=365&bucket=month")
    written = page.evaluate("window.written")
    assert [text for text, *_ in written if text.endswith(str(timezone.now().year))]
    for text, left, right, width in written:
        assert left >= 0, text
        assert right <= width, text


@pytest.mark.parametrize("system", ["dark", *only_in_full("light")])
@pytest.mark.parametrize(
    "query",
    [
        "metrics=node_total,payments&previous=1&days=60",
        *only_in_full("metrics=crypto_kaspa", "start=x&add=nothing"),
    ],
)
def test_axe_finds_no_violation(page: Page, query: str, system: str) -> None:
    in_theme(page, system, reduced_motion="reduce")
    page.goto(f"/?{query}")
    page.locator("#panel-chart").scroll_into_view_if_needed()
    if "kaspa" not in query:
        expect(page.locator(DRAWN)).to_be_visible()
        page.locator("#chart-words summary").click()
        page.locator("#chart-table summary").click()
    page.set_viewport_size({"width": 320 if system == "dark" else 1440, "height": 800})
    found: list[Any] = Axe().run(page, context="#panel-chart").response["violations"]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []
