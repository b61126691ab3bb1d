from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.test import Client

from metrics.models import Source
from ops.models import ServiceState, TaskState, WorkerSeen
from ops.status import Status
from revenue.models import Cursor, DailyPrice, LedgerState, LivePrice, Quarantined
from tests.dashboard.reading import html, panel, text
from tests.dashboard.rows import ADDRESS, FLUX, NOW, feed, network, pay, snapshot, synced

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]


def test_the_strip_says_how_fresh_the_page_is(client: Client, clock: time_machine.Traveller) -> None:
    synced()
    clock.shift(41)
    words = text(client)
    assert "All systems normal: confirmed to block 2,996,908 · 41 s ago" in words
    assert "1 FLUX = $0.07440 · coingecko, 41 s ago" in words
    assert 'aria-label="Problems"' not in client.get("/").content.decode()


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
    assert "Last chain read failed; retrying automatically." in text(client)
    assert 'data-level="warn"' in client.get("/").content.decode()


def test_while_the_chain_cannot_be_read_the_lag_is_that_of_the_last_time(
    client: Client, clock: time_machine.Traveller
) -> None:
    synced()
    TaskState.objects.create(name="sync_revenue", consecutive_failures=5, last_error="blockbook: HTTP 502")
    clock.shift(timedelta(minutes=60))
    assert "7 blocks (about 4 min) behind the tip at 14:05 UTC · 1 h ago" in panel(client, "strip")
    clock.shift(timedelta(hours=20))
    assert "behind the tip at 18 Nov, 14:05 UTC" in panel(client, "strip")


RAW = "127.0.0.1:36495 /coingecko/simple/price: no answer within 30 s"
ALL_RAW = f"prices now: {RAW}; 127.0.0.1:36495 /binance/klines: HTTP 502"
STOOD = "127.0.0.1:36495 tip: stands at block 2996915, 127.0.0.1:36496 is at 2996990"
KINDS = (
    ("api", "127.0.0.1:36495", RAW),
    ("api", "coingecko", "HTTP 404: /no/such"),
    ("gaming", "Rust", "none is left"),
)


def test_what_is_wrong_is_told_without_hosts_paths_and_codes(client: Client) -> None:
    synced()
    network(at=NOW - timedelta(hours=3))
    Source.objects.update(error=ALL_RAW, tried_at=NOW)
    Source.objects.filter(name="cloud").update(read_at=None)
    Source.objects.filter(name="apps").update(implausible_since=NOW, error="implausible: 10 rows count, not 6724")
    feed("network", [], error=RAW)
    failed = {"consecutive_failures": 3, "last_error": RAW, "last_failure_at": NOW}
    for name in ("collect_metrics", "backup", "sync_revenue"):
        TaskState.objects.create(
            name=name,
            last_report={"failedSources": [RAW, RAW, STOOD], "failedCodes": ["unavailable", "unavailable", "behind"]},
            **failed,
        )
    for kind, name, detail in KINDS:
        state = {"status": "failed", "detail": detail, "checked_at": NOW, "consecutive_failures": 3}
        ServiceState.objects.create(kind=kind, name=name, **state)
    words = text(client)
    for told in (
        "Payments may be missing: reading them failed 3 times in a row.",
        "A source of the chain did not answer, and another one was used instead.",
        "A source of the chain was behind, and another one was used instead.",
        "Collect metrics failed 3 times in a row: the reason is in the admin.",
        "Backup failed 3 times in a row: the reason is in the admin.",
        "Node counts: could not be read since 18 Nov, 11:05 UTC; showing the last values.",
        "Capacity and use: not read yet; the last try failed at 18 Nov, 14:05 UTC.",
        "Running containers: new numbers are not confirmed yet; showing those of 18 Nov, 11:05 UTC.",
        "A source of the chain failed 3 checks in a row, the last one 0 s ago.",
        "CoinGecko failed 3 checks in a row, the last one 0 s ago.",
        "Rust failed 3 checks in a row, the last one 0 s ago: none is left.",
        "The source could not be read at 18 Nov, 14:05 UTC.",
    ):
        assert told in words, told
    for address in ("/", "/data/"):
        for raw in ("127.0.0.1", "/coingecko", "HTTP 502", "/no/such", "within 30 s"):
            assert raw not in html(client, address), raw
    assert ServiceState.objects.filter(name="127.0.0.1:36495", detail=RAW).exists()


def test_the_api_still_tells_what_the_page_does_not(client: Client) -> None:
    synced()
    network(at=NOW - timedelta(hours=3))
    Source.objects.filter(name="nodes").update(error=RAW, tried_at=NOW)
    health = client.get("/api/health").json()
    assert health["sources"]["nodes"]["error"] == RAW
    assert any(RAW in sentence for sentence in health["problems"])


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
    monkeypatch.setattr("ops.broker.status", lambda: Status("broker_silent"))
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
    assert "confirmed to block —" in text(client)


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
    assert "Node counts: could not be read since 18 Nov, 11:05 UTC; showing the last values." in body


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
    assert f'data-etag="{etag.replace(chr(34), "&quot;")}"\n  aria-label="Freshness"' in html(client)
