"""The page of each thing in a browser: links lead on. How they look: `test_every_page.py`."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from revenue.models import Payment
from tests.dashboard import rows
from tests.dashboard.test_detail_pages import OWNER, event, life, message
from tests.factories import digest

pytestmark = pytest.mark.usefixtures("ledger")

LONG_NAME = "wordpress" + "1234567890" * 5


@pytest.fixture
def paths(ledger: None) -> dict[str, str]:
    """An app with a long name, its owner, and the others of its last payment."""
    app = life(LONG_NAME)
    for number in range(3):
        at = rows.NOW - timedelta(days=30 * number)
        row = rows.pay(3 * rows.FLUX, at=at, app=LONG_NAME, kind="app", message_hash=digest(number))
        message(row, LONG_NAME)
        event(app, row, "renewal", 3 - number)
    last = Payment.objects.filter(app__name=LONG_NAME).latest("paid_at")
    names = {
        "app": LONG_NAME, "owner": OWNER, "payer": last.from_address, "tx": last.txid, "day": last.day,
        "block": last.height,
    }  # fmt: skip
    return {kind: f"/{kind}/{name}" for kind, name in names.items()}


def test_links_lead_from_thing_to_thing(page: Page, paths: dict[str, str]) -> None:
    page.goto("/")
    page.locator("#panel-payments").get_by_role("link", name=LONG_NAME).first.click()
    expect(page).to_have_url(re.compile(re.escape(paths["app"]) + "$"))
    page.locator(".facts").get_by_role("link", name=OWNER[:8]).click()
    expect(page.get_by_role("heading", level=2)).to_contain_text("Owner")
    for kind in ("block", "sender", "tx"):
        page.locator(f".payments td.{kind} a").first.click()
        expect(page.locator(".payments tbody tr").first).to_be_visible()
    expect(page.get_by_role("heading", level=2)).to_contain_text("Transaction")


def test_what_there_is_not_leads_to_what_is_close(chromium: Browser, live_server: LiveServer, ledger: None) -> None:
    rows.pay(app="minecraft1510")
    page = chromium.new_page(base_url=live_server.url, java_script_enabled=False)
    page.goto("/app/minecraft151")
    page.get_by_role("link", name="minecraft1510").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("App minecraft1510")
    page.close()
