"""Every kind of page, in both themes and on screens from 320 to 2560 px: nothing is wider, axe finds nothing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watch, asks, widths_of
from tests.browser.test_admin import signed_in, violations
from tests.browser.test_detail_pages import paths
from tests.browser.test_looks import fresh

__all__ = ["paths", "signed_in"]

pytestmark = pytest.mark.usefixtures("ledger")

WIDTHS = (320, 768, 1440, 2560)
THEMES = ("dark", "light")
THINGS = ("app", "owner", "payer", "tx", "day", "block")
PUBLIC = (
    "/", "/live", "/embed/tiles", "/embed/chart", "/embed/payments", "/status",
    "/data/", "/api/", "/api/docs/", "/api/revenue/weekly", "/admin/login/",
)  # fmt: skip
UNKNOWN = ("/nowhere", "/app/nothing-like-it", "/tx/00")
STAFF = ("/admin/", "/admin/second-factor/")
IN_THEME = """theme => {
  document.documentElement.dataset.theme = theme;
  document.getAnimations().filter((one) => one instanceof CSSTransition).forEach((one) => one.finish());
}"""
SHIFT = 0.05  # what a good page may jump while it loads, by web.dev
SHIFTED = """() => new Promise((done) => new PerformanceObserver((list) => done(
  list.getEntries().filter((entry) => !entry.hadRecentInput).reduce((sum, entry) => sum + entry.value, 0)
)).observe({ type: "layout-shift", buffered: true }) ?? setTimeout(() => done(0), 500))"""


def assert_for_everybody(page: Page, address: str, *, status: int = 200) -> None:
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == status
    assert widths_of(page, *WIDTHS) == []
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for theme in THEMES:
            page.evaluate(IN_THEME, theme)
            found += [(width, theme, rule) for rule in violations(page, address)]
    assert found == []


@pytest.mark.parametrize("address", PUBLIC)
def test_every_public_page(page: Page, address: str) -> None:
    fresh()
    page.emulate_media(reduced_motion="reduce")
    assert_for_everybody(page, address)


@pytest.mark.parametrize("kind", THINGS)
def test_the_page_of_every_thing(page: Page, paths: dict[str, str], kind: str) -> None:
    assert_for_everybody(page, paths[kind])


@pytest.mark.parametrize("address", UNKNOWN)
def test_what_there_is_not(page: Page, watch: Watch, address: str) -> None:
    assert_for_everybody(page, address, status=404)
    watch.troubles.clear()  # the browser's own word about the 404


@pytest.mark.parametrize("address", STAFF)
def test_pages_of_the_staff(signed_in: Page, address: str) -> None:
    signed_in.emulate_media(reduced_motion="reduce")
    assert_for_everybody(signed_in, address)


@pytest.mark.quick
@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_keeps_its_place_while_it_loads(page: Page, width: int) -> None:
    fresh()
    page.set_viewport_size({"width": width, "height": 844})
    with page.expect_response(asks("tiles", "Y")):  # the last one that is fetched ahead
        page.goto("/")
    expect(page.locator("#refresh")).to_be_visible()
    assert page.evaluate(SHIFTED) <= SHIFT
