"""The walks of four visitors: on a phone, an analyst, an operator and a programmer. Questions: `test_questions.py`."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from ops.models import Job
from tests.browser.test_admin import a_life, signed_in
from tests.browser.test_detail_pages import LONG_NAME, paths

__all__ = ["paths", "signed_in"]

pytestmark = pytest.mark.usefixtures("ledger")


def test_on_a_phone_from_the_answer_to_an_app_and_back(
    chromium: Browser, live_server: LiveServer, paths: dict[str, str]
) -> None:
    """The figure, another period by a tap, the app of a payment, and back to where one was."""
    context = chromium.new_context(
        base_url=live_server.url, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    )
    page = context.new_page()
    page.goto("/")
    expect(page.locator(".strip")).to_contain_text("ago")
    expect(page.locator("[data-line=flux]")).to_be_in_viewport()
    page.locator("label:has(input[name=period][value=M])").tap()
    expect(page.locator("#tile-revenue")).to_have_text("Revenue this month")
    page.locator("#panel-payments").get_by_role("link", name=LONG_NAME).first.tap()
    expect(page).to_have_url(re.compile(re.escape(paths["app"]) + "$"))
    expect(page.get_by_role("heading", level=2)).to_contain_text(LONG_NAME)
    page.go_back()
    expect(page.locator("#tile-revenue")).to_have_text("Revenue this month")
    context.close()


def test_an_analyst_from_a_range_to_a_file_and_a_link(page: Page, paths: dict[str, str]) -> None:
    """Last month by app: the sums, the same as a file, and a link with which others see the same."""
    page.goto("/")
    page.locator("#range-summary").click()
    page.locator("#range-last_month").click()
    expect(page.locator("#tile-revenue")).to_have_text("Revenue last month")
    page.get_by_role("link", name="By app").click()
    expect(page.locator("#payments-tabs [aria-current]")).to_have_text("By app")
    expect(page.locator("#panel-payments tr", has_text=LONG_NAME)).to_contain_text("3.00")
    with page.expect_download() as started:
        page.locator("#panel-payments a[href*='apps.csv']").first.click()
    found = list(csv.DictReader(Path(started.value.path()).read_text().splitlines()))
    assert [(one["app_name"], one["revenue_sat"]) for one in found] == [(LONG_NAME, "300000000")]
    page.locator(".share summary").click()
    other = page.context.new_page()
    other.goto(page.get_by_label("Link; relative periods stay relative").input_value())
    expect(other.locator("#tile-revenue")).to_have_text("Revenue last month")


def test_an_operator_from_what_is_wrong_to_a_job(signed_in: Page) -> None:
    """The alert on the first page, who is told of it, and a repair that is started and found again."""
    a_life()
    page = signed_in
    page.goto("/admin/")
    expect(page.locator("#overview")).to_contain_text("The disk is nearly full")
    page.goto("/admin/ops/alert/")
    expect(page.locator("#content")).to_contain_text("test")
    page.goto("/admin/")
    page.get_by_role("button", name="Revenue sync", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("queued as job")
    page.goto("/admin/ops/job/")
    page.locator(f"a[href$='/job/{Job.objects.get(name='revenue-sync').pk}/change/']").first.click()
    expect(page.locator("#standing")).to_contain_text("Queued")


def test_a_programmer_from_the_page_to_an_answer(page: Page) -> None:
    """From the foot of the page to a curl line, which answers what its sample says, and to the schema."""
    page.goto("/")
    page.locator(".foot").get_by_role("link", name="API docs").click()
    block = page.get_by_role("article", name="GET /api/revenue/weekly")
    address = re.fullmatch(r'curl "(\S+)"\s*', block.locator(".curl").inner_text())
    assert address
    answer = page.request.get(address[1], headers={"accept": "*/*"})
    assert answer.status == 200
    assert answer.json().keys() == json.loads(block.locator(".sample").inner_text()).keys()
    block.get_by_role("link", name="Try it").click()
    expect(page.get_by_role("group", name="Answer")).to_contain_text('"period": "weekly"')
    page.get_by_role("link", name="All endpoints").click()
    schema = page.request.get(page.locator("main").get_by_role("link", name="/api/schema/").get_attribute("href") or "")
    assert "/api/revenue/weekly" in schema.text()
