from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.test import Client

from metrics.models import Source
from ops.models import TaskState, WorkerSeen
from revenue.models import Cursor, DailyPrice, LedgerState, LivePrice, Quarantined
from tests.dashboard.reading import html, panel, text
from tests.dashboard.rows import ADDRESS, FLUX, NOW, network, pay, snapshot, synced

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]


def test_the_strip_says_how_fresh_the_page_is(client: Client, clock: time_machine.Traveller) -> None:
    synced()
    clock.shift(41)
    words = text(client)
    assert "In order: synced to block 2,996,908 · 7 blocks (about 4 min) behind the tip · 41 s ago" in words
    assert "1 FLUX = $0.07440 · coingecko, 41 s ago" in words
    assert "What is wrong" not in client.get("/").content.decode()


def test_that_times_are_utc_is_said_once_in_the_strip(client: Client) -> None:
    synced()
    snapshot(NOW.date())
    network()
    assert panel(client, "strip").count("UTC") == 1
    assert "times are UTC" in panel(client, "strip")


def test_an_overdue_sync_is_told_in_words_and_the_lag_counts_on(client: Client, clock: time_machine.Traveller) -> None:
    synced()
    clock.shift(timedelta(minutes=60))
    body, words = client.get("/").content.decode(), text(client)
    assert 'data-level="bad"' in body
    assert "127 blocks (about 64 min) behind the tip" in words
    assert "Payments up to block 2,996,908 are complete; newer ones will follow." in words


def test_one_failed_try_is_amber_with_its_reason(client: Client) -> None:
    synced()
    TaskState.objects.create(name="sync_revenue", consecutive_failures=1, last_error="blockbook: HTTP 502")
    assert "The chain could not be read at the last try, and is tried again: blockbook: HTTP 502" in text(client)
    assert 'data-level="warn"' in client.get("/").content.decode()


def test_a_first_sync_in_progress_tells_its_block(client: Client) -> None:
    synced()
    LedgerState.objects.update(completed_at=None)
    words = text(client)
    assert "The first sync has read up to block 2,996,908." in words
    assert "No sync has completed yet." in words


def test_a_missing_worker_is_told(client: Client) -> None:
    synced()
    WorkerSeen.objects.all().delete()
    assert "No worker has been seen" in text(client)


def test_a_missing_broker_is_told_and_the_page_works(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    synced()
    monkeypatch.setattr("ops.health.broker_report", lambda: {"status": "error", "error": "the broker does not answer"})
    pay(3 * FLUX)
    assert "The broker does not answer" in text(client)
    assert "3.00 FLUX" in text(client)


def test_quarantined_transactions_are_counted(client: Client) -> None:
    synced()
    row = {"address": ADDRESS, "reason": "sender", "first_seen_at": NOW, "next_attempt_at": NOW}
    Quarantined.objects.create(txid="ee" * 32, **row)
    assert "1 transaction could not be read and is not counted yet" in text(client)


def test_an_address_that_was_never_read_makes_the_height_unknown(client: Client) -> None:
    synced()
    Cursor.objects.filter(address=ADDRESS).delete()
    assert "synced to block —" in text(client)


def test_the_size_of_the_network_and_the_last_snapshot_are_told(client: Client) -> None:
    synced()
    network()
    snapshot(NOW.date())
    assert "6,724 nodes 12,480 app containers snapshot today" in panel(client, "strip")


def test_the_last_snapshot_is_told_by_its_day(client: Client) -> None:
    synced()
    snapshot(date(2026, 11, 16))
    snapshot(date(2026, 11, 17), source="backfilled")
    assert "snapshot 16 Nov" in panel(client, "strip")


def test_what_was_never_read_is_a_dash_with_its_reason(client: Client) -> None:
    synced()
    LivePrice.objects.all().delete()
    words = panel(client, "strip")
    assert "1 FLUX = — No price has been read yet." in words
    assert "— Node counts: not read yet. nodes" in words
    assert "snapshot — No snapshot has been taken yet" in words


def test_an_old_count_is_shown_as_old(client: Client) -> None:
    synced()
    network(at=NOW - timedelta(hours=3))
    Source.objects.update(error="Daemon: HTTP 502", tried_at=NOW)
    body = html(client, "/panels/strip/")
    assert "6,724" in body
    assert "(old)" in body
    assert (
        "Node counts: the source failed at 18 Nov, 14:05 UTC, value from 18 Nov, 11:05 UTC: Daemon: HTTP 502." in body
    )


@pytest.mark.parametrize(
    ("yesterday", "words"), [("0.0700", "▲ +6.3 % on yesterday"), ("0.0800", "▼ −7.0 % on yesterday"), (None, "")]
)
def test_the_price_is_held_against_yesterdays(client: Client, yesterday: str | None, words: str) -> None:
    synced()
    price = None if yesterday is None else Decimal(yesterday)
    DailyPrice.objects.create(day=date(2026, 11, 17), price_usd=price)
    told = panel(client, "strip")
    assert "on yesterday" in told if words else "on yesterday" not in told
    assert words in told


def test_ages_alone_are_no_news(client: Client, clock: time_machine.Traveller) -> None:
    synced()
    network()
    first = client.get("/panels/strip/")
    clock.shift(55)
    again = client.get("/panels/strip/", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")

    pay()
    assert client.get("/panels/strip/", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_the_page_tells_what_its_strip_was_made_of(client: Client) -> None:
    synced()
    etag = client.get("/panels/strip/").headers["ETag"]
    assert f'data-panel="strip" data-etag="{etag.replace(chr(34), "&quot;")}"' in html(client)
