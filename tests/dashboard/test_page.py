from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from ops.models import TaskState, WorkerSeen
from revenue.models import Cursor, LedgerState, Message, Quarantined
from tests.dashboard.rows import ADDRESS, FLUX, NOW, SENDER, many, pay, synced

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]


def text(client: Client, **headers: str) -> str:
    """What a reader sees of the page, white space made even."""
    body = client.get("/", headers=headers).content.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def part(client: Client, key: str) -> str:
    """The words of one of the revenue figures."""
    body = client.get("/").content.decode()
    found = re.search(rf'<div class="{key}">(.*?)</div>', body, re.DOTALL)
    assert found
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split())


def test_it_shows_what_was_earned_today_and_yesterday(client: Client) -> None:
    synced()
    pay(250 * FLUX)
    pay(50 * FLUX, at=NOW - timedelta(hours=14))
    pay(7 * FLUX, at=NOW - timedelta(hours=15))

    assert part(client, "today") == "Today so far 300.00 FLUX ≈ $22.32 2 payments Wed 18 Nov – now"
    assert part(client, "yesterday").startswith("Yesterday 7.00 FLUX ≈ $0.52 1 payment Tue 17 Nov")


def test_the_week_begins_on_monday_and_the_month_on_its_first(client: Client) -> None:
    synced()
    pay(1 * FLUX, at=NOW - timedelta(days=2))
    pay(2 * FLUX, at=NOW - timedelta(days=3))
    pay(4 * FLUX, at=NOW - timedelta(days=18))

    assert "1.00 FLUX" in part(client, "week")
    assert "3.00 FLUX" in part(client, "month")


def test_the_title_tells_todays_revenue(client: Client) -> None:
    synced()
    pay(31_204 * FLUX)
    assert "<title>31,204.00 FLUX today · Fluxtracker</title>" in client.get("/").content.decode()


def test_before_the_first_sync_nothing_is_shown_as_zero(client: Client) -> None:
    words = text(client)
    assert "No sync has completed yet." in words
    assert not re.search(r"\b0\.00\b|\b0 payments", words)
    assert "Revenue not known yet" in words


def test_a_day_without_payments_is_a_zero_once_a_sync_has_looked(client: Client) -> None:
    synced()
    assert part(client, "today").startswith("Today so far 0.00 FLUX ≈ $0.00 0 payments")


def test_after_midnight_today_is_unknown_until_the_next_sync(client: Client, clock: time_machine.Traveller) -> None:
    synced()
    pay(5 * FLUX)
    clock.move_to(NOW.replace(day=19, hour=0, minute=2))
    assert "Not read yet: the last complete sync was on 18 Nov, 14:05 UTC." in part(client, "today")
    assert "5.00 FLUX" in part(client, "yesterday")


def test_payments_without_a_price_are_left_out_of_the_dollars_and_counted(client: Client) -> None:
    synced()
    pay(100 * FLUX)
    pay(900 * FLUX, priced=False)
    assert "≈ $7.44 2 payments Wed 18 Nov – now · 1 without a price" in part(client, "today")


def test_dollars_are_unknown_when_no_payment_has_a_price(client: Client) -> None:
    synced()
    pay(900 * FLUX, priced=False)
    assert "≈ — None of these payments has a price yet." in part(client, "today")


def test_a_payment_is_listed_with_link_sender_app_flux_and_dollars(client: Client) -> None:
    synced()
    row = pay(123_456_789, app="minecraft1510")
    words = text(client)
    assert f'href="https://explorer.runonflux.io/tx/{row.txid}"' in client.get("/").content.decode()
    assert f"18 Nov 14:05:00 {row.txid[:8]}…{row.txid[-6:]} t1Mzja9i…dFZ16A minecraft1510 1.23456789 $0.09" in words


def test_the_newest_25_payments_are_listed(client: Client) -> None:
    synced()
    many(30)
    assert client.get("/").content.decode().count("data-payment") == 25


@pytest.mark.parametrize(
    ("kind", "attempts", "words"),
    [
        ("plain", None, "names no app"),
        ("fluxdrive", None, "FluxDrive storage"),
        ("app", None, "app name not read yet"),
        ("app", 0, "app name not read yet"),
        ("app", 3, "app message not found yet"),
    ],
)
def test_a_payment_without_an_app_says_why(client: Client, kind: str, attempts: int | None, words: str) -> None:
    synced()
    if attempts is not None:
        Message.objects.create(hash="cd" * 32, attempts=attempts)
    pay(kind=kind, message_hash="cd" * 32 if kind == "app" else "")
    assert words in text(client)


def test_an_unknown_sender_or_price_is_a_dash_with_its_reason(client: Client) -> None:
    synced()
    pay(from_address=None, priced=False)
    words = text(client)
    assert "— The transaction names no sender." in words
    assert "— No price for 18 Nov 2026 yet." in words


def test_words_from_the_chain_are_escaped(client: Client) -> None:
    synced()
    pay(app="<script>alert(1)</script>")
    assert "<script>alert" not in client.get("/").content.decode()


def test_the_strip_says_how_fresh_the_page_is(client: Client, clock: time_machine.Traveller) -> None:
    synced()
    clock.shift(41)
    words = text(client)
    assert "In order: synced to block 2,996,908 · 7 blocks (about 4 min) behind the tip · 41 s ago" in words
    assert "1 FLUX = $0.07440 · coingecko, 41 s ago" in words
    assert "What is wrong" not in client.get("/").content.decode()


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
    assert "3.00 FLUX" in part(client, "today")


def test_quarantined_transactions_are_counted(client: Client) -> None:
    synced()
    row = {"address": ADDRESS, "reason": "sender", "first_seen_at": NOW, "next_attempt_at": NOW}
    Quarantined.objects.create(txid="ee" * 32, **row)
    assert "1 transaction could not be read and is not counted yet" in text(client)


def test_an_address_that_was_never_read_makes_the_height_unknown(client: Client) -> None:
    synced()
    Cursor.objects.filter(address=ADDRESS).delete()
    assert "synced to block —" in text(client)


def test_a_poll_gets_only_the_part_that_changes(client: Client) -> None:
    synced()
    body = client.get("/", headers={"HX-Request": "true"}).content.decode()
    assert body.startswith("<title>")
    assert "<html" not in body
    assert "HX-Request" in client.get("/").headers["Vary"]


def test_a_poll_is_answered_304_until_something_changes(client: Client, clock: time_machine.Traveller) -> None:
    synced()
    poll = {"HX-Request": "true"}
    poll["If-None-Match"] = client.get("/", headers=poll).headers["ETag"]
    clock.shift(55)
    unchanged = client.get("/", headers=poll)
    assert (unchanged.status_code, unchanged.content) == (304, b"")

    pay()
    assert client.get("/", headers=poll).status_code == 200


def test_the_page_carries_the_etag_of_its_first_poll(client: Client) -> None:
    synced()
    body = client.get("/").content.decode()
    etag = re.search(r'data-etag="&quot;(\w+)&quot;"', body)
    assert etag
    poll = {"HX-Request": "true", "If-None-Match": f'"{etag[1]}"'}
    assert client.get("/", headers=poll).status_code == 304


def test_a_page_loaded_again_shows_new_ages(client: Client, clock: time_machine.Traveller) -> None:
    synced()
    etag = client.get("/").headers["ETag"]
    clock.shift(30)
    again = client.get("/", headers={"If-None-Match": etag})
    assert again.status_code == 200
    assert "30 s ago" in again.content.decode()


def test_the_number_of_queries_does_not_grow_with_the_ledger(client: Client, django_assert_max_num_queries) -> None:
    synced()
    pay(app="one")
    client.get("/")  # what a process asks only once
    with django_assert_max_num_queries(14) as few:
        client.get("/")
    many(60)
    with django_assert_max_num_queries(14) as more:
        client.get("/")
    assert len(more) == len(few)


def test_nothing_on_the_page_is_inline(client: Client) -> None:
    synced()
    pay()
    response = client.get("/")
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    body = response.content.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|hx-on|<script(?![^>]*\ssrc=)", body)


def test_it_rejects_post(client: Client) -> None:
    assert client.post("/").status_code == 405


def test_the_sender_stands_in_full_on_hover(client: Client) -> None:
    synced()
    pay()
    assert f'title="{SENDER}"' in client.get("/").content.decode()
