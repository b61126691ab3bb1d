"""The reason behind the dash of an unknown figure: whole on every screen."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from metrics.models import Source
from revenue.models import LivePrice
from tests.browser.conftest import in_order
from tests.browser.worlds import Worlds
from tests.dashboard import rows
from tests.dashboard.rows import pay

pytestmark = pytest.mark.usefixtures("dashes")

WIDTHS = (320, 390, 768, 1440)
CUT = """() => {
    const wide = document.documentElement.clientWidth;
    const cut = [];
    for (const dash of document.querySelectorAll(".unknown")) {
        if (!dash.checkVisibility()) continue;
        dash.focus();
        const why = dash.querySelector(".why");
        const {left, right, top, bottom, width} = why.getBoundingClientRect();
        const covered = [[left + 6, bottom - 4], [right - 6, bottom - 4], [left + 6, top + 4], [right - 6, top + 4]]
            .some(([x, y]) => !dash.contains(document.elementFromPoint(x, y)));
        if (width < 100 || left < 0 || right > wide || document.documentElement.scrollWidth > wide || covered)
            cut.push([dash.id, Math.round(left), Math.round(right), covered]);
    }
    return cut;
}"""


def unknown() -> None:
    """Many unknown figures: no snapshot to compare with, no price, sources that were never read."""
    in_order()
    LivePrice.objects.all().delete()
    Source.objects.filter(name="cloud").update(values={}, read_at=None)
    pay(at=rows.NOW, priced=False, from_address=None)
    rows.snapshot(rows.NOW.date() - timedelta(days=3))


@pytest.fixture
def dashes(server_at_rest: None, broker: None, worlds: Worlds) -> None:
    worlds.put(unknown)


def test_no_reason_is_cut_off_or_makes_the_page_wider(page: Page) -> None:
    page.goto("/")
    assert page.locator("#panel-tiles .unknown").count() > 20
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert (width, page.evaluate(CUT)) == (width, [])


def test_it_is_whole_under_the_mouse_too(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 800})
    page.goto("/")
    dash = page.locator("[data-tile=nodes] .rows .unknown").first
    dash.hover()
    expect(dash.locator(".why")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_without_javascript_it_is_not_cut_off_either(chromium: Browser, live_server: LiveServer) -> None:
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    for width in (320, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        dashes = page.locator(".unknown:visible").all()
        assert dashes
        for dash in dashes:
            dash.focus()
            box = dash.locator(".why").bounding_box()
            assert box
            assert (box["width"] > 100, box["x"] >= 0, box["x"] + box["width"] <= width) == (True, True, True), box
    context.close()
