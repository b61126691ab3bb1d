from __future__ import annotations

import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from fluxtracker.admin import ReadOnlyAdmin
from ops.models import (
    Alert,
    AlertDelivery,
    ApiToken,
    AuditEntry,
    Job,
    Lease,
    Passkey,
    ServiceCheck,
    ServiceState,
    SignInAttempt,
    Tally,
    TaskRun,
    TaskState,
)
from ops.schedule_rows import install
from revenue.models import ChangedDay, DailyPrice, Label, Message, PrunedPayment, Quarantined, RemovedPayment, ShareRule
from tests.dashboard.rows import ADDRESS, NOW, pay, pending, synced

pytestmark = pytest.mark.django_db

EDITED = [Label, ShareRule]
OTHERS = [*EDITED, PeriodicTask, CrontabSchedule, User]
OURS = [*apps.get_app_config("revenue").get_models(), *apps.get_app_config("ops").get_models()]
OURS = [model for model in OURS if model not in EDITED]
INLINE = re.compile(r"<style|\sstyle=|\son(click|change|load|submit)=|<script(?![^>]*(\ssrc=|application/json))")


@pytest.fixture
def one_of_each(db: None) -> None:
    """A row in every table that has an admin page."""
    install()
    synced()
    pay(app="minecraft1510")
    Message.objects.create(hash="cd" * 32)
    DailyPrice.objects.create(day=NOW.date())
    Quarantined.objects.create(txid="ee" * 32, address=ADDRESS, reason="sender", first_seen_at=NOW, next_attempt_at=NOW)
    PrunedPayment.objects.create(
        txid="bb" * 32, day=NOW.date(), paid_at=NOW, height=5, kind="plain", amount_sat=5, payments=1
    )
    pending(3)
    ChangedDay.mark([NOW.date()])
    RemovedPayment.objects.create(txid="dd" * 32, vout=0, amount_sat=5, day=NOW.date(), usd_micro=1)
    Lease.objects.create(name="prune", holder="box:12:1.00:ab", taken_at=NOW, expires_at=NOW)
    TaskState.objects.create(name="prune", consecutive_failures=3, last_error="the disk is full")
    TaskRun.objects.create(name="prune", trigger="schedule", started_at=NOW)
    ServiceState.objects.create(kind="api", name="stats", status="ok", checked_at=NOW)
    ServiceCheck.objects.create(kind="api", name="stats", status="ok", at=NOW)
    Job.objects.create(name="prune", actor="olivia", via="admin", created_at=NOW, result={"transactions": 0})
    ApiToken.objects.create(user=User.objects.create_user("tim"), prefix="abcd1234", digest="ef" * 32, created_at=NOW)
    Passkey.objects.create(
        user=User.objects.create_user("pat"),
        name="Phone",
        digest="ab" * 32,
        sign_count=0,
        created_at=NOW,
        last_used_at=NOW,
    )
    AuditEntry.objects.create(at=NOW, actor="olivia", action="prune", outcome="asked", detail={"days": 1})
    SignInAttempt.objects.create(at=NOW, client="192.0.2.7", mark="ab" * 8)
    alert = Alert.objects.create(key="disk", message="The disk is nearly full.", raised_at=NOW, seen_at=NOW)
    AlertDelivery.objects.create(alert=alert, channel="email", event="raised", sent_at=NOW)
    Tally.objects.create(name="upstream", label="stats.test", outcome="ok", value=3)
    CrontabSchedule.objects.create(minute="0", hour="3")


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_model_has_a_page_that_nobody_edits(model: type[Model]) -> None:
    admin.autodiscover()
    assert isinstance(admin.site.get_model_admin(model), ReadOnlyAdmin)


@pytest.mark.parametrize("model", [*OURS, *OTHERS], ids=lambda model: model.__name__)
def test_its_list_search_and_rows_open_without_anything_inline(
    olivia: Client, one_of_each: None, model: type[Model]
) -> None:
    admin.autodiscover()
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    row = model._default_manager.first()
    assert row is not None
    pages = [reverse(f"{name}_changelist"), reverse(f"{name}_changelist") + "?q=abcd"]
    pages.append(reverse(f"{name}_change", args=[row.pk]))
    if not isinstance(admin.site.get_model_admin(model), ReadOnlyAdmin):
        pages.append(reverse(f"{name}_add"))
    for page in pages:
        response = olivia.get(page)
        assert response.status_code == 200, page
        assert not INLINE.search(response.content.decode()), page


def test_schedules_can_be_edited(olivia: Client, one_of_each: None) -> None:
    task = PeriodicTask.objects.get(name="sync-revenue")
    url = "/admin/django_celery_beat/periodictask/"
    olivia.post(url, {"action": "disable_tasks", "_selected_action": [task.pk]})
    task.refresh_from_db()
    assert not task.enabled


def test_a_schedules_crontab_is_told_in_words_by_a_file_of_ours(olivia: Client, one_of_each: None) -> None:
    body = olivia.get("/admin/django_celery_beat/periodictask/add/").content.decode()
    assert "At 03:00 AM" in body
    assert re.search(r'src="/static/js/admin-crontab\.[\w.]+js"', body)


def test_the_index_wears_our_name(olivia: Client) -> None:
    body = olivia.get("/admin/").content.decode()
    assert "FLUX/TRACKER" in body
    assert "Django administration" not in body


def test_failing_work_is_seen_at_a_glance(olivia: Client, one_of_each: None) -> None:
    body = olivia.get("/admin/ops/taskstate/").content.decode()
    assert "the disk is full" in body
    assert 'alt="False"' in body
