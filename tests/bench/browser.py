"""What a reader waits for in a real browser: from a key press to the rows found, from a click to the other period.

Against a web server of its own on the database of the settings; everything as in `make up`, nothing is warmed but
what a page warms itself.
"""

from __future__ import annotations

import os
import statistics
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone
from playwright.sync_api import Page, sync_playwright

from fluxtracker.supervisor.processes import WEB, Program
from tests import engines
from tests.bench.serving import serving

KEYS_TARGET_MS = {"postgresql": 300, "sqlite": 700}
CLICK_TARGET_MS = 100
TYPED = {  # what is typed letter by letter, on which page
    "a tenth of all": ("minecraft", "/"),
    "half of all at first": ("explorer", "/"),
    "a transaction": ("5a5a", "/"),
    "among those from git": ("minecraft", "/?type=git"),
    "among those of half a year": ("palworld", "/?from={half_a_year_ago}"),
}
WATCH = """
window.awaited = "html";
addEventListener("keydown", (event) => start(event), true);
addEventListener("click", (event) => event.isTrusted && start(event), true);
function start(event) {
  window.begun = event.timeStamp;
  window.took = null;
}
function painted() {
  if (window.took !== null) return;
  requestAnimationFrame(() => setTimeout(() => { window.took ??= performance.now() - window.begun; }));
}
new MutationObserver((changes) => {
  const added = changes.flatMap((change) => [...change.addedNodes]).filter((node) => node.nodeType === 1);
  if (added.some((node) => node.matches(window.awaited) || node.querySelector(window.awaited))) painted();
}).observe(document, { childList: true, subtree: true });
"""
TOOK = """() => new Promise((done) => {
  const look = () => window.took === null ? setTimeout(look, 5) : done(window.took);
  look();
})"""


def key_presses(page: Page, word: str, path: str) -> list[float]:
    """Milliseconds from each key press to the rows that it finds."""
    page.goto(path, wait_until="load")
    page.evaluate("window.awaited = '#payments-results'")
    page.locator("#payments-search").focus()
    found = []
    for letter in word:
        page.keyboard.press(letter)
        found.append(page.evaluate(TOOK))
    return found


def period_switches(page: Page) -> list[float]:
    """Milliseconds from a click on another period to its tiles."""
    page.goto("/", wait_until="networkidle")
    page.evaluate("window.awaited = '#panel-tiles *'")
    found = []
    for value in ("D", "M", "Q", "Y", "W") * 2:
        page.locator(f"label:has(input[name=period][value={value}])").click()
        found.append(page.evaluate(TOOK))
    return found


def line(label: str, found: list[float], target: int) -> str:
    return f"  {label:<38}{statistics.median(found):8.1f}  ({target}), at most {max(found):.0f}"


def table() -> list[str]:
    """The lines of the table; one that says so where there is no browser."""
    path = engines.chromium()
    if path is None:
        return ["  in a browser: not measured, no chromium"]
    half_a_year_ago = timezone.now().date() - timedelta(days=182)
    web = serving(Program("web", WEB).argv, {**os.environ, "REQUEST_LOGGING": "0"}, within_s=60)
    with web as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--disable-gpu"])
        context: Any = browser.new_context(base_url=site.url, viewport={"width": 1440, "height": 900})
        context.add_init_script(WATCH)
        page = context.new_page()
        lines = [
            line(f"key press to rows: {label}", key_presses(page, word, place.format(half_a_year_ago=half_a_year_ago)),
                 KEYS_TARGET_MS[connection.vendor])
            for label, (word, place) in TYPED.items()
        ]  # fmt: skip
        lines.append(line("click to the other period", period_switches(page), CLICK_TARGET_MS))
        browser.close()
    return lines
