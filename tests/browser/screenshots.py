"""Makes the pictures of docs/img from made-up numbers: `.venv/bin/python -m pytest tests/browser/screenshots.py`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page
from pytest_django.live_server_helper import LiveServer

from fluxtracker.simnet.base58 import made_up
from ops.status import Status
from revenue.models import App, Payment
from tests.browser.conftest import in_theme
from tests.dashboard import rows

FOLDER = Path(__file__).parents[2] / "docs/img"
LARGEST = 300_000  # bytes of a picture
APPS = (
    "minecraft1719402", "wpnginx88213", "presearchnode7", "kaspanode", "palworld175001", "streamrbroker",
    "fluxexplorer", "alephium4411", "valheim220", "ravencoincore", "rustdesk71", "mysite20261",
)  # fmt: skip
IMAGES = {
    "runonflux/wp-nginx": ("WordPress", 763),
    "presearch/node": ("Presearch", 488),
    "itzg/minecraft-server": ("Minecraft", 399),
    "ghcr.io/girderworks/edge": ("Beldex Edge", 371),
    "streamr/node": ("Streamr", 248),
    "mbround18/valheim": ("Valheim", 186),
}


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
    Picture("chart", "/?metrics=node_total,total_apps&days=90", 1440, 900, part="#panel-chart"),
    Picture("payments", "/?search=minecraft", 1440, 900, part="#panel-payments"),
    Picture("data", "/data/", 1200, 900),
)


def payments(now: datetime) -> list[Payment]:
    """70 days of payments, about a hundred a day, most of them for apps."""
    dice = random.Random(7)
    apps = App.objects.bulk_create([App(name=name) for name in APPS])
    at, found = now - timedelta(minutes=5), []
    while at > now - timedelta(days=70):
        number = len(found)
        app = dice.choice(apps) if dice.random() < 0.85 else None
        sat = int(dice.lognormvariate(3.6, 0.7) * rows.FLUX)
        price = rows.PRICE if number != 3 else None
        sender = made_up(f"sender {number}")
        found.append(rows.made(number, at, app, amount_sat=sat, price_usd=price, from_address=sender))
        at -= timedelta(seconds=dice.expovariate(1 / 860))
    return found


def history(now: datetime) -> None:
    """A year of snapshots that grow towards today, unevenly."""
    dice = random.Random(11)
    for back in range(1, 367):
        shrink = {key: (1 - back * 0.0009) * dice.uniform(0.992, 1.008) for key in rows.NODES | rows.CLOUD | rows.APPS}
        values = {key: type(value)(value * shrink[key]) for key, value in (rows.NODES | rows.CLOUD | rows.APPS).items()}
        rows.snapshot(now.date() - timedelta(days=back), **values)


def feeds(now: datetime) -> None:
    items = [
        {"type": "app", "rank": rank, "label": label, "name": image, "value": count}
        for rank, (image, (label, count)) in enumerate(IMAGES.items(), 1)
    ]
    best = {"type": "benchmark", "label": "Most CPU cores", "name": "Stratus node", "value": 128, "unit": "cores"}
    rows.feed("network", [*items, best], now - timedelta(minutes=12))


@pytest.fixture(scope="module")
def folder() -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    return FOLDER


@pytest.fixture
def _numbers(live_server: LiveServer, server_at_rest: None, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    monkeypatch.setattr("ops.broker.status", Status)
    rows.tracked()
    rows.synced(now - timedelta(seconds=41))
    rows.network(now - timedelta(minutes=4))
    rows.store(payments(now))
    history(now)
    feeds(now)


@pytest.fixture
def page(chromium: Browser, live_server: LiveServer, server_at_rest: None) -> Iterator[Page]:
    context = chromium.new_context(base_url=live_server.url, reduced_motion="reduce")
    yield context.new_page()
    context.close()


@pytest.mark.usefixtures("_numbers")
@pytest.mark.django_db(transaction=True)
def test_the_pictures_of_the_documents(page: Page, folder: Path) -> None:
    for picture in PICTURES:
        page.set_viewport_size({"width": picture.width, "height": picture.height})
        in_theme(page, picture.theme, reduced_motion="reduce")
        page.goto(picture.address)
        if picture.part:
            page.locator(picture.part).evaluate("part => part.scrollIntoView()")
        page.wait_for_timeout(1_500)  # charts and what is fetched ahead
        file = folder / f"{picture.name}.png"
        page.screenshot(path=file)
        assert file.stat().st_size < LARGEST, file
