"""The snapshots in the admin: to look at, with the days that are missing and why."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fluxtracker.admin import LargeTableAdmin, ReadOnlyAdmin
from snapshots.models import ImageDay, Refusal, Snapshot
from tests.admin.conftest import olivia
from tests.factories import pay, settle
from tests.snapshots.network import DAY, at, backfilled, images, snapshot

__all__ = ["olivia"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

PAGE = "/admin/snapshots/snapshot/"


def days_ago(n):
    return DAY - timedelta(days=n)


def text(response):
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


@pytest.mark.parametrize("model", [Snapshot, ImageDay, Refusal])
def test_nobody_edits_them(model):
    admin.autodiscover()
    kind = LargeTableAdmin if model is ImageDay else ReadOnlyAdmin
    assert isinstance(admin.site.get_model_admin(model), kind)


def test_every_page_opens(olivia):
    images(DAY, nginx=3)
    rows = {
        "snapshot": snapshot(DAY).pk,
        "imageday": ImageDay.objects.get().pk,
        "refusal": Refusal.objects.create(day=days_ago(1), reason="nothing was read", last_at=at("00:09")).pk,
    }
    for model, key in rows.items():
        for page in ("", "?q=nginx", f"{key}/change/"):
            assert olivia.get(f"/admin/snapshots/{model}/{page}").status_code == 200, (model, page)


def test_the_list_shows_totals_and_what_the_ledger_says_of_the_day(olivia):
    snapshot(DAY)
    backfilled(days_ago(1))
    snapshot(days_ago(2))
    pay("25.93", at=at("12:00", days_ago(2)))
    settle(completed_at=at("23:00", days_ago(1)))
    body = text(olivia.get(PAGE))
    assert "2026-11-20 taken 6,724 13,000 54,451 182,000 3,190,000 — images story" in body
    assert "2026-11-19 backfilled — — — — — 0.00 images story" in body
    assert "2026-11-18 taken 6,724 13,000 54,451 182,000 3,190,000 25.93 images story" in body


def test_missing_days_are_told_above_the_list_with_the_reason(olivia, clock):
    clock.move_to(at("12:00"))
    for n in (0, 3):
        snapshot(days_ago(n))
    Refusal.objects.create(day=days_ago(1), reason="2 of 5 totals are known", last_at=at("23:30", days_ago(1)))
    words = "Without a snapshot: 2026-11-19: 2 of 5 totals are known; 2026-11-18: no check ran on that day."
    assert words in text(olivia.get(PAGE))


def test_with_many_missing_days_it_says_how_many_more(olivia, clock):
    clock.move_to(at("12:00"))
    for n in (0, 20):
        snapshot(days_ago(n))
    assert "2026-11-15: no check ran on that day; and 14 more." in text(olivia.get(PAGE))


def test_without_a_gap_there_is_no_warning(olivia, clock):
    clock.move_to(at("12:00"))
    snapshot(DAY)
    assert "Without a snapshot" not in text(olivia.get(PAGE))


def test_rows_can_be_chosen_by_source(olivia):
    snapshot(DAY)
    backfilled(days_ago(1))
    body = text(olivia.get(f"{PAGE}?source__exact=taken"))
    assert "1 snapshot" in body


def test_fifty_rows_are_as_many_queries_as_one(olivia):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            olivia.get(PAGE)
        return len(captured)

    settle(completed_at=at("00:09"))
    snapshot(DAY)
    pay("1", at=at("00:01"))
    few = queries()
    for n in range(1, 50):
        snapshot(days_ago(n))
        pay("1", at=at("12:00", days_ago(n)))
    settle(completed_at=at("00:09"))
    assert queries() <= few
