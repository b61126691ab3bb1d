"""A passkey in a browser, with the authenticator that its developer tools have."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from ops.models import AuditEntry, Passkey

pytestmark = [pytest.mark.usefixtures("ledger"), pytest.mark.quick]

AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A page of a browser on a device that makes passkeys."""
    page = context.new_page()
    tools = context.new_cdp_session(page)
    tools.send("WebAuthn.enable")
    tools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    return page


def test_it_is_added_signs_in_and_is_removed(page: Page, live_server: LiveServer) -> None:
    User.objects.create_superuser("olivia", password="only-for-this-test")
    page.goto(f"{live_server.url}/admin/second-factor/")
    page.get_by_label("Username:").fill("olivia")
    page.get_by_label("Password:").fill("only-for-this-test")
    page.get_by_role("button", name="Log in", exact=True).click()

    page.get_by_label("Name:").fill("Laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#codes li")).to_have_count(10)
    page.get_by_role("link", name="I have copied them").click()
    expect(page.get_by_text("Laptop, added")).to_be_visible()
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("status")).to_have_text("This device has a passkey of yours already.")

    page.get_by_role("button", name="Log out").click()
    page.goto(f"{live_server.url}/admin/second-factor/")
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page.get_by_text("Laptop, added")).to_be_visible()
    assert AuditEntry.objects.filter(action="sign in", outcome="done").latest("id").detail == {"by": "passkey"}

    page.get_by_role("button", name="Remove Laptop").click()
    expect(page.get_by_text("Second factor is off.")).to_be_visible()
    assert Passkey.objects.count() == 0
