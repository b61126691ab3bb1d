"""What a visitor on slow 4G with a slow processor waits for: the first paint, a click, and how far the page jumps."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests import engines
from tests.bench.figures import Figure

SLOW_4G = {"offline": False, "latency": 150, "downloadThroughput": 1_600_000 / 8, "uploadThroughput": 750_000 / 8}
SLOWER = 4  # times, the processor
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
FIRST_PAINT_MS, INTERACTION_MS, SHIFT = 1_200, 100, 0.05
PERIODS = ("D", "M", "Q", "Y", "W")
WATCH = """
window.seen = { shift: 0, clicks: [] };
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) seen.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (entry.name === "click") seen.clicks.push(entry.duration);
}).observe({ type: "event", durationThreshold: 16 });
"""
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
REST_MS = 1_500  # after which nothing moves any more


def figures(url: str) -> Iterator[Figure]:
    """The page of a server that is warm: on a phone and on a desktop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=engines.chromium(), args=["--disable-gpu"])
        for name, screen in (("phone", PHONE), ("desktop", DESKTOP)):
            page = slow_page(browser, url, screen)
            page.goto("/", wait_until="load")
            page.wait_for_timeout(REST_MS)
            yield Figure(f"{name}: first paint", page.evaluate(FIRST_PAINT), "ms", FIRST_PAINT_MS)
            clicks = period_clicks(page)
            yield Figure(f"{name}: a click on a period, median", statistics.median(clicks), "ms", INTERACTION_MS)
            yield Figure(f"{name}: a click on a period, longest", max(clicks), "ms", INTERACTION_MS)
            yield Figure(f"{name}: layout shift", page.evaluate("seen.shift"), "", SHIFT)
            page.context.close()
        browser.close()


def slow_page(browser: Browser, url: str, screen: Any) -> Page:
    context = browser.new_context(base_url=url, viewport=screen)
    context.add_init_script(WATCH)
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", SLOW_4G)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    return page


def period_clicks(page: Page) -> list[float]:
    """Milliseconds from each click to the frame that shows its period, as the browser tells them: in steps of 8."""
    for value in PERIODS:
        page.locator(f"label:has(input[name=period][value={value}])").click()
        page.wait_for_timeout(REST_MS / 2)
    found: list[float] = page.evaluate("seen.clicks")
    return found
