"""Take the pictures of docs/img from a demo that runs: `.venv/bin/python -m tests.browser.screenshots ADDRESS`."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from playwright.sync_api import Browser, sync_playwright

from tests import engines
from tests.settings_names import ROOT

FOLDER = ROOT / "docs" / "img"
LARGEST = 300_000  # bytes of a picture


@dataclass(frozen=True, slots=True)
class Picture:
    """A state of the page, as a screen shows it. `part`: scrolled to that element."""

    name: str
    address: str
    width: int
    height: int
    theme: str = "dark"
    part: str = ""


PICTURES = (
    Picture("dashboard", "/", 1440, 1100),
    Picture("dashboard-light", "/?period=M", 1440, 1100, "light"),
    Picture("dashboard-phone", "/", 390, 844),
    Picture("chart", "/?metrics=revenue_flux&days=365&bucket=month&previous=1", 1440, 900, part="#panel-chart"),
    Picture("payments", "/?search=minecraft", 1440, 900, part="#panel-payments"),
    Picture("api", "/api/docs/", 1440, 900),
    Picture("data", "/data/", 1200, 900),
)


def take(browser: Browser, url: str, picture: Picture) -> int:
    """Write the picture; return its bytes."""
    screen = {"width": picture.width, "height": picture.height}
    page = browser.new_page(base_url=url, viewport=screen, reduced_motion="reduce")  # type: ignore[arg-type]
    page.add_init_script(f"localStorage.setItem('theme', '{picture.theme}')")
    page.goto(picture.address)
    if picture.part:
        page.locator(picture.part).evaluate("part => part.scrollIntoView()")
    page.wait_for_timeout(2_500)  # charts and what is fetched ahead
    size = len(page.screenshot(path=FOLDER / f"{picture.name}.png"))
    page.close()
    return size


def main() -> int:
    if len(sys.argv) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=engines.chromium())
        sizes = {picture.name: take(browser, sys.argv[1], picture) for picture in PICTURES}
        browser.close()
    too_large = [name for name, size in sizes.items() if size > LARGEST]
    sys.stdout.write("".join(f"{name:<20}{size:>9,} bytes\n" for name, size in sizes.items()))
    return int(bool(too_large))


if __name__ == "__main__":
    raise SystemExit(main())
