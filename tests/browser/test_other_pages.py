from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.test import Client
from django_celery_beat.models import CrontabSchedule
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from ops.schedule_rows import install
from tests.browser.conftest import Watch, in_theme

pytestmark = pytest.mark.usefixtures("ledger")

PAGES = (
    "/admin/",
    "/admin/revenue/payment/",
    "/admin/revenue/payment/?q=2026-11",
    "/admin/revenue/app/",
    "/admin/revenue/dailytotal/",
    "/admin/revenue/quarantined/",
    "/admin/ops/taskstate/",
    "/admin/ops/taskrun/",
    "/admin/django_celery_beat/periodictask/",
    "/admin/django_celery_beat/periodictask/add/",
    "/admin/django_celery_beat/crontabschedule/add/",
    "/admin/auth/user/add/",
)


@pytest.fixture
def signed_in(context: BrowserContext, live_server: LiveServer) -> Page:
    """Olivia, who may do everything, signed in."""
    client = Client()
    client.force_login(User.objects.create_superuser("olivia", password="only-for-this-test"))
    cookie = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
    return context.new_page()


def test_the_admin_keeps_to_our_content_policy(signed_in: Page) -> None:
    install()
    for address in PAGES:
        answer = signed_in.goto(address)
        assert answer is not None
        assert answer.status == 200, address


@pytest.mark.quick
def test_a_payment_opens_from_the_list(signed_in: Page) -> None:
    signed_in.goto("/admin/revenue/payment/")
    signed_in.click("#result_list tbody th a")
    link = signed_in.locator(".field-transaction a")
    expect(link).to_have_attribute("href", f"https://explorer.runonflux.io/tx/{link.inner_text()}")


def test_a_schedules_crontab_is_translated_as_it_is_chosen(signed_in: Page) -> None:
    install()
    chosen = CrontabSchedule.objects.create(minute="30", hour="4")
    signed_in.goto("/admin/django_celery_beat/periodictask/add/")
    signed_in.select_option("#id_crontab", str(chosen.pk))
    expect(signed_in.locator(".field-crontab .help").last).to_contain_text("At 04:30 AM")


def test_the_theme_chosen_on_the_page_holds_in_the_admin(signed_in: Page) -> None:
    signed_in.emulate_media(color_scheme="dark")
    signed_in.goto("/")
    signed_in.click("#theme")
    signed_in.goto("/admin/")
    background = "getComputedStyle(document.body).backgroundColor"
    assert signed_in.evaluate(background) == "rgb(247, 244, 255)"


@pytest.mark.parametrize("system", ["dark", "light"])
def test_an_address_without_a_page_is_told_in_the_same_look(page: Page, watch: Watch, system: str) -> None:
    in_theme(page, system)
    page.goto("/nowhere")
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    watch.troubles.clear()  # the browser itself notes a 404
