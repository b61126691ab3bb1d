"""Makes docs/img/dashboard.png from made-up payments: `.venv/bin/python -m pytest tests/browser/screenshots.py`."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Browser
from pytest_django.live_server_helper import LiveServer

from fluxtracker.simnet.addresses import made_up
from ops import health
from revenue.models import App, Payment
from tests.dashboard import rows

FILE = Path(__file__).parents[2] / "docs/img/dashboard.png"
APPS = (
    "minecraft1719402", "wpnginx88213", "presearchnode7", "kaspanode", "palworld175001", "streamrbroker",
    "fluxexplorer", "alephium4411", "valheim220", "ravencoincore", "rustdesk71", "mysite20261",
)  # fmt: skip


def payments(now: datetime) -> list[Payment]:
    """A month of payments, about a hundred a day, most of them for apps."""
    dice = random.Random(7)
    apps = App.objects.bulk_create([App(name=name) for name in APPS])
    at, found = now - timedelta(minutes=5), []
    while at > now - timedelta(days=31):
        number = len(found)
        app = dice.choice(apps) if dice.random() < 0.85 else None
        sat = int(dice.lognormvariate(0.6, 1.1) * rows.FLUX)
        price = rows.PRICE if number != 3 else None
        sender = made_up(f"sender {number}")
        found.append(rows.made(number, at, app, amount_sat=sat, price_usd=price, from_address=sender))
        at -= timedelta(seconds=dice.expovariate(1 / 860))
    return found


@pytest.mark.django_db(transaction=True)
def test_the_picture_of_the_readme(chromium: Browser, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    monkeypatch.setattr(health, "broker_report", lambda: {"status": "ok"})
    rows.synced(now - timedelta(seconds=41))
    rows.store(payments(now))
    context = chromium.new_context(
        base_url=live_server.url, viewport={"width": 1440, "height": 900}, color_scheme="dark"
    )
    page = context.new_page()
    page.goto("/")
    FILE.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=FILE)
    context.close()
    assert FILE.stat().st_size < 300_000
