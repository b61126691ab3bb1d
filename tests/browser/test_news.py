"""News arrive while a user reads or writes: focus, position and input stay."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from metrics.models import Source
from tests.browser.test_chart import LIVE, history, see
from tests.dashboard import rows
from tests.dashboard.rows import FLUX, pay

__all__ = ["history"]

pytestmark = pytest.mark.usefixtures("history")

CHANGED = "#panel-feeds > form, #panel-tiles > div, #panel-chart > div, #payments-results"
PLACES = (
    "#about-nodes summary",
    "#more-gaming summary",
    "[data-tile=nodes] .rows li:nth-child(2) a",
    "[data-cell=usd] a.course",
    "#chart-words summary",
    "#chart-table summary",
    ".chart-categories li:nth-child(2) a",
    ".chart-days [name=end]",
    LIVE,
    "[name=feed][value=deployed]",
    "[data-pause]",
    "[data-feed=network] .window",
)
ITEM = {"type": "app", "rank": 1, "label": "WordPress", "name": "runonflux/wp-nginx", "value": 763}


def news(page: Page, number: int = 1) -> None:
    """Something new in four panels, shown by the page as if it had just heard of it."""
    now = timezone.now()
    pay(number * FLUX, at=now)
    rows.feed("network", [ITEM | {"value": number}] * 40, now)
    page.evaluate(
        f"document.querySelectorAll('{CHANGED}').forEach((one) => one.dataset.before = '');"
        "document.dispatchEvent(new CustomEvent('panels:news'))"
    )
    expect(page.locator("[data-before]")).to_have_count(0)


def place(page: Page, selector: str) -> float:
    """How far from the top of the screen it is. In one step: what is found may be replaced before it is measured."""
    return float(page.evaluate("selector => document.querySelector(selector).getBoundingClientRect().top", selector))


def test_what_has_the_focus_keeps_it_and_its_place(page: Page) -> None:
    rows.feed("network", [ITEM] * 40, timezone.now())
    see(page)
    for number, selector in enumerate(PLACES, 2):
        one = page.locator(selector).first
        one.evaluate("element => element.scrollIntoView({block: 'center'})")
        one.focus()
        before = place(page, selector)
        news(page, number)
        expect(page.locator(selector).first, selector).to_be_focused()
        assert abs(place(page, selector) - before) <= 1, selector


def test_a_definition_that_is_being_read_stays_where_it_is(page: Page) -> None:
    see(page)
    summary = "#about-nodes summary"
    page.locator(summary).click()
    before = place(page, summary)
    news(page)
    expect(page.locator(summary)).to_be_focused()
    expect(page.locator("#about-nodes")).to_have_attribute("open", "")
    assert abs(place(page, summary) - before) <= 1


def test_what_is_read_without_focus_stays_where_it_is(page: Page) -> None:
    see(page)
    row = "#payments-results tbody tr:nth-child(4)"
    page.evaluate("document.querySelector('#panel-tiles > div').style.height = '3000px'")  # what comes is less tall
    page.evaluate(f"document.querySelector('{row}').scrollIntoView()")
    before = place(page, row)
    Source.objects.filter(name="nodes").update(values=rows.NODES | {"node_total": 9_999}, read_at=timezone.now())
    page.evaluate("panels.refresh(panels.named('tiles'))")
    expect(page.locator("[data-tile=nodes]")).to_contain_text("9,999")
    assert abs(place(page, row) - before) <= 1


def test_tiles_that_were_swiped_on_a_phone_stay_where_they_are(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    see(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    tiles = page.locator("#panel-tiles .swipe")
    page.locator("[data-tile=crypto]").scroll_into_view_if_needed()
    before = tiles.evaluate("row => row.scrollLeft")
    assert before > 390
    Source.objects.filter(name="nodes").update(values=rows.NODES | {"node_total": 9_999}, read_at=timezone.now())
    page.evaluate("panels.refresh(panels.named('tiles'))")
    expect(page.locator("[data-tile=nodes]")).to_contain_text("9,999")
    assert tiles.evaluate("row => row.scrollLeft") == before


def test_the_meaning_of_words_stays_open(page: Page) -> None:
    see(page)
    page.locator("#payments-words summary").click()
    page.locator("#theme").focus()
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")  # else new rows would wait
    news(page)
    expect(page.locator("#payments-words")).to_have_attribute("open", "")


def test_the_day_that_the_arrow_keys_read_is_read_on(page: Page) -> None:
    see(page, "/?metrics=node_total,payments&days=30")
    live = page.locator(LIVE)
    live.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    day = live.get_attribute("aria-valuenow")
    news(page)
    expect(live).to_be_focused()
    page.keyboard.press("ArrowLeft")
    assert int(live.get_attribute("aria-valuenow") or 0) == int(day or 0) - 1


def test_a_day_that_is_written_into_the_chart_stays(page: Page) -> None:
    see(page)
    field = page.get_by_label("From", exact=True)
    field.fill("2026-01-02")
    news_of_others(page)
    expect(field).to_have_value("2026-01-02")
    expect(field).to_be_focused()
    page.locator("#theme").focus()
    news(page)
    expect(field).to_have_value("2026-01-02")
    page.get_by_label("Compare with...").focus()
    page.locator(".chart-days").get_by_role("button", name="Apply").click()
    expect(page).to_have_url("/?start=2026-01-02")
    expect(page.locator(".chart-days [name=start][value='2026-01-02']")).to_have_count(1)  # the answer is there
    page.locator("#panel-chart").get_by_role("link", name="7 days").click()
    expect(page.get_by_label("From", exact=True)).to_have_value("")


def news_of_others(page: Page) -> None:
    """News while the chart's form is being filled in: the chart waits, the others come."""
    pay(7 * FLUX, at=timezone.now())
    page.evaluate(
        "document.querySelector('#panel-tiles > div').dataset.before = '';"
        "document.dispatchEvent(new CustomEvent('panels:news'))"
    )
    expect(page.locator("#panel-tiles [data-before]")).to_have_count(0)
    page.wait_for_load_state("networkidle")
