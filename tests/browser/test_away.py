"""A server that hangs or fails in part: it is said where somebody looks, and what was asked for comes later."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watch

pytestmark = pytest.mark.usefixtures("ledger")

LOST = "#lost"


def test_a_server_that_hangs_is_told_within_fifteen_seconds(page: Page, watch: Watch) -> None:
    page.goto("/")
    page.wait_for_load_state("networkidle")
    page.route("**/panels/**", lambda route: None)  # never answered
    start = time.monotonic()
    expect(page.locator(LOST)).to_be_visible(timeout=16_000)
    assert time.monotonic() - start < 15
    page.unroute_all(behavior="ignoreErrors")
    expect(page.locator(LOST)).to_be_hidden(timeout=12_000)
    watch.troubles.clear()
