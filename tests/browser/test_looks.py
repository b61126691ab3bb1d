"""Each look of the page, in both themes and three widths: nothing is cut off, and axe finds nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from carousel.models import Feed
from dashboard import views
from dashboard.panels.base import Panel
from metrics.models import Source
from revenue.models import Cursor, DailyTotal, LedgerState, LivePrice, Payment
from snapshots.models import Snapshot
from tests.browser.conftest import Watch, asks, in_theme, widths_of
from tests.dashboard import rows
from tests.marks import only_in_full

pytestmark = pytest.mark.usefixtures("ledger")

ITEM = {"type": "app", "rank": 1, "label": "WordPress", "name": "runonflux/wp-nginx", "value": 763}


def fresh() -> None:
    for back in (1, 7, 14, 30):
        rows.snapshot(rows.NOW.date() - timedelta(days=back), node_total=6_700, used_cpu_cores=15_000.0)
    for name in Feed.Name:
        rows.feed(name, [ITEM] * 12, rows.NOW)


def stale() -> None:
    fresh()
    old = rows.NOW - timedelta(hours=5)
    Source.objects.update(read_at=old, tried_at=rows.NOW, error="stats.runonflux.io: HTTP 503 " + "long" * 40)
    Feed.objects.update(read_at=old, tried_at=rows.NOW, error="stats.runonflux.io: HTTP 503")
    LedgerState.objects.update(completed_at=old)


def partial() -> None:
    rows.snapshot(rows.NOW.date() - timedelta(days=3))
    Source.objects.filter(name="cloud").update(coverage={"rows": 6_724, "counted": 6_600, "remembered": 60})
    rows.pay(5 * rows.FLUX, at=rows.NOW, priced=False)


def empty() -> None:
    for model in (Payment, DailyTotal, Source, Snapshot, Feed, LivePrice, Cursor, LedgerState):
        model.objects.all().delete()


LOOKS: dict[str, Callable[[], None]] = {"fresh": fresh, "stale": stale, "partial": partial, "empty": empty}
SAYS = {
    "fresh": "Network now vs",
    "stale": "could not be read since",
    "partial": "the nearest day that has one is",
    "empty": "No sync has completed yet.",
}


SCREENS = [(320, "dark"), *only_in_full((1440, "light"))]  # a theme changes no width


def violations(page: Page) -> list[tuple[str, list[str]]]:
    found = Axe().run(page).response["violations"]
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]


@pytest.mark.quick
@pytest.mark.parametrize("look", ["partial", *only_in_full(*(look for look in LOOKS if look != "partial"))])
@pytest.mark.parametrize(("width", "theme"), SCREENS)
def test_every_look_is_whole_and_accessible(page: Page, look: str, width: int, theme: str) -> None:
    LOOKS[look]()
    page.set_viewport_size({"width": width, "height": 800})
    in_theme(page, theme, reduced_motion="reduce")
    page.goto("/")
    expect(page.locator("main")).to_contain_text(SAYS[look])
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert violations(page) == []
    if width == 320:
        assert widths_of(page, 320, 768, 1440) == []


@pytest.mark.parametrize("width", [320, *only_in_full(1440)])
def test_a_panel_that_failed_offers_to_try_again(
    page: Page, watch: Watch, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh()
    whole = views.PANELS["tiles"]

    def fail(query: object, now: object) -> dict[str, object]:
        raise RuntimeError("broken for this test")

    page.set_viewport_size({"width": width, "height": 800})
    monkeypatch.setitem(views.PANELS, "tiles", Panel("tiles", "Figures", whole.template, fail))
    with page.expect_response(asks("tiles", "Y")):  # the last one that is fetched ahead
        page.goto("/?period=M")
    expect(page.locator("#panel-tiles")).to_contain_text("Figures cannot be read at the moment.")
    expect(page.locator("#panel-strip")).to_contain_text("confirmed to block")
    assert violations(page) == []
    assert sum("/panels/tiles/" in request.url for request in watch.requests) <= 6  # the other periods, once
    monkeypatch.setitem(views.PANELS, "tiles", whole)
    page.get_by_role("link", name="Try again").click()
    expect(page.locator("[data-tile=revenue] h2")).to_have_text("Revenue this month")


def test_a_panel_that_is_waited_for_says_so(page: Page) -> None:
    fresh()
    page.goto("/")
    held: list[Route] = []
    holding = True
    page.route("**/panels/tiles/**", lambda route: held.append(route) if holding else route.continue_())
    page.locator("#refresh").click()
    expect(page.locator("#panel-tiles")).to_have_attribute("aria-busy", "true")
    expect(page.locator("[data-tile=nodes]")).to_contain_text("6,724")
    holding = False
    for route in held:
        route.continue_()
    expect(page.locator("#panel-tiles")).not_to_have_attribute("aria-busy", "true")


def test_at_200_percent_everything_is_still_there(page: Page) -> None:
    fresh()
    page.set_viewport_size({"width": 720, "height": 450})  # 1440 by 900, twice as large
    page.goto("/")
    assert page.evaluate("document.documentElement.scrollWidth") == 720
    expect(page.locator("[data-tile=crypto]")).to_contain_text("1,510")


def test_targets_are_large_enough(page: Page) -> None:
    fresh()
    page.goto("/")
    small = page.evaluate(
        """() => [...document.querySelectorAll('button, summary, .switch span, .rows a, .foot a')]
            .filter((one) => one.offsetParent)
            .map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
            .filter(([, box]) => box.height < 24 || box.width < 24)
            .map(([html]) => html)"""
    )
    assert small == []


def test_it_prints_light_and_without_controls(page: Page) -> None:
    fresh()
    page.emulate_media(media="print", color_scheme="dark")
    page.goto("/")
    assert page.evaluate("getComputedStyle(document.querySelector('.tile')).backgroundColor") == "rgb(255, 255, 255)"
    for hidden in ("#period", ".feeds", "#theme", "#keys"):
        expect(page.locator(hidden)).to_be_hidden()


def test_reasons_are_printed_beside_figures_but_not_in_every_row(page: Page) -> None:
    page.emulate_media(media="print")
    page.goto("/")  # no snapshot: no change is known
    expect(page.locator("[data-tile=nodes] .lead .why").first).to_be_visible()
    expect(page.locator("[data-tile=nodes] .rows .unknown").first).to_be_visible()
    expect(page.locator("[data-tile=nodes] .rows .why").first).to_be_hidden()


@pytest.mark.usefixtures("still")
def test_the_time_now_is_not_needed_to_be_right(page: Page) -> None:
    """A reader's clock may be wrong by an hour: ages go by the server's."""
    page.clock.fast_forward(3_600_000)
    page.goto("/")
    expect(page.locator(".strip time").first).not_to_contain_text(" h ago")
