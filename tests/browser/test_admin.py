"""The admin in a browser: every page in both themes, and the stories of an operator."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from metrics.models import ImageCount, Reading, TrackedApp
from metrics.sources import SPECS, remember
from ops.access import authentication
from ops.admin_site import GROUPS
from ops.jobs import services
from ops.models import Alert, AuditEntry, Job, Lease, ServiceCheck, ServiceState, TaskRun, TaskState
from ops.schedule_rows import install
from revenue.models import DailyPrice, Message, Quarantined
from snapshots.models import ImageDay, Refusal
from tests.browser.conftest import Watch
from tests.dashboard import rows

pytestmark = pytest.mark.usefixtures("ledger")

OURS = ("/admin/", "/admin/snapshots/snapshot/calendar/", "/admin/work/backfill/", "/admin/ops/apitoken/add/")
THEIRS = ("/admin/auth/", "/admin/django_celery_beat/")  # with widgets of Django's that axe has something against
ROW = f"/admin/snapshots/snapshot/day/{rows.NOW.date()}/"
NOT_OURS = ("aria-prohibited-attr", "label", "empty-table-header")
COLOURS = ("color-contrast", "link-in-text-block")
PICTURES = os.environ.get("ADMIN_PICTURES", "")  # a folder for screenshots


@pytest.fixture
def signed_in(context: BrowserContext, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> Page:
    """Olivia, who may do everything, signed in; the broker takes what it is given."""
    monkeypatch.setattr(services, "send", lambda job: None)
    client = Client()
    client.force_login(User.objects.create_superuser("olivia", password="only-for-this-test"))
    cookie = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
    return context.new_page()


def a_life() -> None:
    """Rows in every table, as after some weeks of work with some trouble in it."""
    now, today = rows.NOW, rows.NOW.date()
    install()
    rows.pay(app="minecraft1510")
    for back in [*range(12), *range(14, 40)]:
        rows.snapshot(today - timedelta(days=back), "backfilled" if back > 20 else "taken")
    Refusal.objects.create(day=today - timedelta(days=12), reason="2 of 5 totals are known", attempts=47, last_at=now)
    ImageCount.objects.create(image="itzg/minecraft-server", category="gaming", count=399)
    ImageDay.objects.create(day=today, image="itzg/minecraft-server", category="gaming", count=399)
    remember(SPECS, {"minecraftj1719402000000": [True, {}]}, now)
    Reading.objects.create(at=now, values=rows.NODES)
    Message.objects.create(hash="cd" * 32)
    DailyPrice.objects.create(day=today, price_usd=rows.PRICE, source="coingecko")
    Quarantined.objects.create(
        txid="ee" * 32, address=rows.ADDRESS, reason="sender", first_seen_at=now, next_attempt_at=now
    )
    Lease.objects.create(name="prune", holder="box:12:1.00:ab", taken_at=now, expires_at=now)
    TaskState.objects.create(name="sync_revenue", last_started_at=now, last_success_at=now)
    TaskState.objects.create(name="prune", last_failure_at=now, consecutive_failures=2, last_error="the disk is full")
    TaskRun.objects.create(name="prune", trigger="schedule", started_at=now, finished_at=now, ok=False, error="x")
    ServiceState.objects.create(kind="api", name="stats", status="failed", checked_at=now, consecutive_failures=1)
    ServiceState.objects.create(kind="api", name="daemon", status="ok", checked_at=now)
    ServiceCheck.objects.create(kind="api", name="stats", status="failed", at=now)
    made = {"actor": "olivia", "created_at": now - timedelta(minutes=9), "started_at": now - timedelta(minutes=8)}
    done = {"finished_at": now, "result": {"transactions": 0, "checks": 12}}
    Job.objects.create(name="prune", via="admin", state="done", **made, **done)
    Job.objects.create(name="backup", via="api", state="failed", error="the disk is full", finished_at=now, **made)
    Job.objects.create(name="audit-transactions", via="api", state="running", progress="block 2,996,100", **made)
    Alert.objects.create(key="disk", message="The disk is nearly full: 1.2 GB are free.", raised_at=now, seen_at=now)
    AuditEntry.objects.create(at=now, actor="olivia", action="job prune", outcome="asked", detail={"job": 1})
    authentication.create(username="olivia", now=now, days=30, name="grafana", by="olivia")


def addresses() -> list[str]:
    """Every page of our own, and of the tables that operators need the list and the first row."""
    day = rows.NOW.date()
    found = [
        "/admin/", "/admin/work/backfill/", "/admin/work/clear-revenue-data/", "/admin/snapshots/snapshot/calendar/",
        f"/admin/snapshots/snapshot/day/{day}/", f"/admin/snapshots/snapshot/day/{day - timedelta(days=12)}/",
        "/admin/ops/apitoken/add/", "/admin/metrics/trackedapp/add/", "/admin/password_change/",
    ]  # fmt: skip
    admin.autodiscover()
    needed = {label for labels in GROUPS.values() for label in labels}
    for model in [model for model in admin.site._registry if model._meta.label in needed]:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found.append(reverse(f"{name}_changelist"))
        row = model._default_manager.order_by("-pk").first()
        if row is not None:
            found.append(reverse(f"{name}_change", args=[row.pk]))
    return found


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def violations(page: Page, address: str, *, only: tuple[str, ...] = ()) -> list[str]:
    """What axe finds, one line a rule. `preload` would have axe ask for styles by addresses that are not theirs."""
    options: dict[str, Any] = {"preload": False, "resultTypes": ["violations"]}
    if only:
        options["runOnly"] = list(only)
    elif address.startswith(THEIRS):
        options["rules"] = {name: {"enabled": False} for name in NOT_OURS}
    found = Axe().run(page, options=options).response["violations"]
    return [f"{address} {each['id']}: {[node['html'][:120] for node in each['nodes'][:3]]}" for each in found]


@pytest.mark.slow
@pytest.mark.parametrize("system", ["dark", "light"])
def test_every_page_keeps_the_policy_and_is_for_everybody(signed_in: Page, watch: Watch, system: str) -> None:
    a_life()
    signed_in.emulate_media(color_scheme=system)
    is_dark = system == "dark"  # the rest is the same in both, and so are the colours of lists and of rows
    only = COLOURS if is_dark else ()
    wrong: list[str] = []
    for address in (*OURS, "/admin/ops/job/", ROW) if is_dark else addresses():
        answer = signed_in.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        wrong += violations(signed_in, address, only=only)
        picture(signed_in, f"{system}{address.replace('/', '-')}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_nothing_is_cut_off_on_small_screens(signed_in: Page) -> None:
    a_life()
    for address in (
        "/admin/",
        "/admin/snapshots/snapshot/calendar/",
        "/admin/work/backfill/",
        "/admin/ops/apitoken/add/",
    ):
        signed_in.goto(address)
        for width in (375, 768):
            signed_in.set_viewport_size({"width": width, "height": 800})
            picture(signed_in, f"{width}{address.replace('/', '-')}")
            assert signed_in.evaluate("document.documentElement.scrollWidth") <= width, address


def test_the_overview_keeps_itself_current(signed_in: Page) -> None:
    a_life()
    signed_in.goto("/admin/")
    expect(signed_in.locator("#overview")).to_contain_text("block 2,996,100")
    Job.objects.filter(state="running").update(progress="block 2,996,777")
    signed_in.evaluate("htmx.ajax('GET', '/admin/overview/', '#overview')")
    expect(signed_in.locator("#overview")).to_contain_text("block 2,996,777")


@pytest.mark.engine
@pytest.mark.quick
def test_a_job_is_started_followed_and_called_off(signed_in: Page) -> None:
    signed_in.goto("/admin/")
    signed_in.get_by_role("button", name="Revenue sync", exact=True).click()
    expect(signed_in.locator(".messagelist")).to_contain_text("queued as job")
    expect(signed_in.locator("#standing")).to_contain_text("Queued")
    job = Job.objects.filter(name="revenue-sync")
    job.update(state="running", progress="block 1,200,000", started_at=timezone.now())
    expect(signed_in.locator("#standing")).to_contain_text("block 1,200,000")
    signed_in.get_by_role("button", name="Cancel the job").click()
    expect(signed_in.locator(".messagelist")).to_contain_text("stop at its next step")
    job.update(state="cancelled", error="cancelled by olivia", finished_at=timezone.now())
    expect(signed_in.locator("#standing")).to_contain_text("Cancelled: cancelled by olivia")
    expect(signed_in.locator("[hx-get]")).to_have_count(0)


@pytest.mark.engine
def test_clearing_the_ledger_takes_a_page_a_word_and_a_button(signed_in: Page, watch: Watch) -> None:
    signed_in.goto("/admin/")
    signed_in.get_by_role("link", name="Clear revenue data…").click()
    signed_in.get_by_label("confirmation").fill("clear-revenue-data")
    signed_in.get_by_role("button", name="Start it").click()
    expect(signed_in.locator(".errornote")).to_contain_text("Not started")
    assert not Job.objects.exists()
    watch.troubles.clear()  # the browser itself notes a 400


def test_the_calendar_is_walked_with_the_keyboard(signed_in: Page) -> None:
    a_life()
    signed_in.goto("/admin/snapshots/snapshot/calendar/")
    today = rows.NOW.date()
    focused = "document.activeElement.dataset.day"
    signed_in.locator(f'[data-day="{today}"]').focus()
    for key, day in (("ArrowUp", 7), ("ArrowLeft", 8), ("ArrowDown", 1), ("ArrowRight", 0)):
        signed_in.keyboard.press(key)
        assert signed_in.evaluate(focused) == str(today - timedelta(days=day))
    assert signed_in.locator('.months a[tabindex="0"]').count() == 1
    lost = today - timedelta(days=12)
    signed_in.locator(f'[data-day="{lost}"]').focus()
    signed_in.keyboard.press("Enter")
    expect(signed_in.locator(".facts")).to_contain_text("missing: 2 of 5 totals are known")


def test_a_pattern_shows_what_it_matches_as_it_is_typed(signed_in: Page) -> None:
    a_life()
    app = TrackedApp.objects.get(key="minecraft")
    signed_in.goto(f"/admin/metrics/trackedapp/{app.pk}/change/")
    expect(signed_in.locator("#preview")).to_contain_text("399 containers of 1 public image")
    signed_in.fill("#id_image_patterns", "nothing/of-the-kind")
    expect(signed_in.locator("#preview")).to_contain_text("0 containers of 0 public images")
    signed_in.fill("#id_image_patterns", "ab")
    expect(signed_in.locator("#preview")).to_contain_text("3 letters or more")


@pytest.mark.engine
def test_a_token_is_made_and_shown_once(signed_in: Page) -> None:
    signed_in.goto("/admin/ops/apitoken/")
    signed_in.locator(".addlink").last.click()
    signed_in.fill("#id_name", "grafana")
    signed_in.get_by_role("button", name="Make the token").click()
    secret = signed_in.locator("#secret").inner_text()
    assert len(secret) == 40
    signed_in.get_by_role("link", name="I have copied it").click()
    assert secret not in signed_in.content()
