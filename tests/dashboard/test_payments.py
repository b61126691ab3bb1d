"""The payments panel: what is listed, filters, pages, order, wrong values, its looks."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from hypothesis import HealthCheck, given, settings

from revenue.models import LedgerState, Message, Quarantined
from tests.dashboard import rows
from tests.dashboard.payments_rows import CARD, TEAM, ledger, questions
from tests.dashboard.reading import with_ages
from tests.dashboard.rows import ADDRESS, FLUX, NOW, SENDER, many, pay, synced
from tests.factories import SECOND
from tests.marks import examples, law

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]


def panel(client: Client, **query: Any) -> str:
    response = client.get("/panels/payments/", query)
    assert response.status_code == 200
    assert "X-Panel-Failed" not in response.headers
    return even(response)


def even(response: Any) -> str:
    """The markup, white space made even."""
    return " ".join(response.content.decode().split())


def words(markup: str) -> str:
    """What a reader sees, white space made even."""
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", with_ages(markup)).split()))


def txids(markup: str) -> list[str]:
    return re.findall(r'data-copy="([0-9a-f]{64})"', markup)


def total(markup: str) -> int:
    found = re.search(r'data-total="(\d+)"', markup)
    return int(found[1]) if found else 0


def wrong(markup: str, key: str) -> str:
    found = re.search(rf'id="payments-wrong-{key}">([^<]*)</p>', markup)
    assert found
    return html.unescape(found[1])


def href(markup: str, key: str) -> str:
    """Where the link of that id leads."""
    found = re.search(rf'id="{key}" href="([^"#]*)#panel-payments"', markup)
    assert found, key
    return html.unescape(found[1])


def page_of(markup: str, key: str) -> str:
    """The page that the link of that id leads to."""
    found = re.search(rf'id="{key}"\s+href="(/[^"]*)"', markup)
    assert found, key
    return html.unescape(found[1])


def follow(client: Client, markup: str, key: str) -> str:
    address = href(markup, key)
    assert address.startswith("?")
    return even(client.get(f"/panels/payments/{address}"))


def test_a_payment_says_everything_about_itself(client: Client) -> None:
    synced()
    row = pay(123_456_789, app="minecraft1510")
    shown = panel(client)
    assert f'href="https://explorer.runonflux.io/tx/{row.txid}"' in shown
    for part in ("18 Nov 2026 14:05:00", "minecraft1510", f"{row.txid[:8]}…{row.txid[-6:]}", "1.23456789", "$0.09"):
        assert part in words(shown)
    assert f'title="{SENDER}"' in shown
    assert f"{ADDRESS}, a tracked address" in shown
    assert "1–1 of 1 payment " in words(shown)


@law
def test_the_list_is_that_of_the_endpoint_whatever_is_asked_for(client: Client) -> None:
    ledger()

    @settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(questions())
    def check(query: dict[str, Any]) -> None:
        answer = client.get("/api/revenue/transactions", query | {"limit": 25}).json()
        shown = panel(client, **query)
        assert txids(shown) == [row["txid"] for row in answer["transactions"]]
        assert total(shown) == answer["total"]

    check()


def test_pages_lead_on_and_back_and_to_both_ends(client: Client) -> None:
    found = [row.txid for row in ledger(120)]
    first = panel(client)
    assert txids(first) == found[:25]
    assert "payments-previous" not in first
    second = follow(client, first, "payments-next")
    assert txids(second) == found[25:50]
    assert "26–50 of 120 payments" in words(second)
    last = follow(client, second, "payments-last")
    assert txids(last) == found[100:]
    assert "payments-next" not in last
    assert txids(follow(client, last, "payments-previous")) == found[75:100]
    assert txids(follow(client, last, "payments-first")) == found[:25]


@pytest.mark.parametrize("limit", [25, 50, 100, 200])
def test_as_many_rows_as_are_chosen(client: Client, limit: int) -> None:
    found = ledger(120)
    shown = follow(client, panel(client), f"payments-limit-{limit}")
    assert len(txids(shown)) == min(limit, len(found))
    assert f'aria-current="true">{limit}<' in shown


@pytest.mark.parametrize("limit", ["10", "1000", "-1", "x", ""])
def test_other_numbers_of_rows_fall_back(client: Client, limit: str) -> None:
    ledger(60)
    assert len(txids(panel(client, limit=limit))) == 25


@pytest.mark.parametrize("page", ["0", "-1", "1.5", "abc", "9" * 40, "٣"])
def test_a_page_that_is_none_is_told_beside_the_field(client: Client, page: str) -> None:
    found = ledger(60)
    shown = panel(client, page=page)
    assert wrong(shown, "page") == "Expected a whole number from 1; this is page 1."
    assert txids(shown) == [row.txid for row in found[:25]]


def test_a_page_past_the_end_is_the_last_one_and_says_so(client: Client) -> None:
    found = ledger(60)
    shown = panel(client, page="99")
    assert wrong(shown, "page") == "There are 3 pages; this is the last."
    assert txids(shown) == [row.txid for row in found[50:]]


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("from", "yesterday", "Expected a day as YYYY-MM-DD. The list is shown without it."),
        ("to", "2026-02-30", "Expected a day as YYYY-MM-DD. The list is shown without it."),
        ("min_amount", "lots", "Expected an amount of FLUX such as 25.93, with at most 8 decimals."),
        ("max_amount", "-1", "Expected an amount of FLUX such as 25.93, with at most 8 decimals."),
        ("type", "cloud", "Expected one of git, docker, unknown."),
        ("search", "x" * 129, "Ensure this field has no more than 128 characters."),
    ],
)
def test_a_wrong_value_is_told_beside_its_field_and_the_list_stays(
    client: Client, key: str, value: str, sentence: str
) -> None:
    found = ledger(30)
    shown = panel(client, **{key: value, "sender": TEAM})
    assert wrong(shown, key).startswith(sentence)
    assert 'aria-invalid="true"' in shown or key == "type"
    assert txids(shown) == [row.txid for row in found if row.from_address == TEAM]
    assert key not in href(shown, "payments-limit-50")


def test_a_range_the_wrong_way_round_keeps_its_end(client: Client) -> None:
    found = ledger(60)
    day = (NOW - timedelta(days=5)).date()
    shown = panel(client, **{"from": "2026-12-01", "to": str(day), "limit": 200})
    assert wrong(shown, "from").startswith("The first day is after the last one.")
    assert txids(shown) == [row.txid for row in found if row.day <= day]


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "colour"}, {"tab": "nothing"}, {"sort": "-flux"}, {"period": "M", "metrics": "x"}, {"search": "  "},
        {"app": ""}, {"from": "", "to": "", "min_amount": ""},
    ],
)  # fmt: skip
def test_unknown_and_empty_values_fall_back(client: Client, query: dict[str, str]) -> None:
    found = ledger(30)
    assert txids(panel(client, **query)) == [row.txid for row in found[:25]]


@pytest.mark.parametrize("value", ["a\x00b", "'\"><script>", "%", "\\", "🦑" * 100])
@pytest.mark.parametrize("key", ["search", "app", "sender", "address", "sort", "page", "from", "tab"])
def test_no_value_breaks_the_panel(client: Client, key: str, value: str) -> None:
    ledger(10)
    shown = panel(client, **{key: value})
    assert "<script>" not in shown


def test_links_keep_what_the_other_panels_were_told(client: Client) -> None:
    ledger(60)
    shown = panel(client, period="M", metrics="node_total,apps", search="craft", page="1")
    assert href(shown, "payments-limit-50") == "?period=M&metrics=node_total%2Capps&search=craft&limit=50"
    assert '<input type="hidden" name="period" value="M">' in shown


def test_columns_sort_and_turn_round(client: Client) -> None:
    found = ledger(60)
    shown = panel(client)
    assert re.search(r'class="when" aria-sort="descending"', shown)
    assert shown.count("aria-sort") == 1
    largest = follow(client, shown, "payments-sort-amount")
    by_amount = sorted(found, key=lambda row: (row.amount_sat, row.pk), reverse=True)
    assert txids(largest) == [row.txid for row in by_amount[:25]]
    assert re.search(r'class="flux" aria-sort="descending"', largest)
    smallest = follow(client, largest, "payments-sort-amount")
    assert re.search(r'class="flux" aria-sort="ascending"', smallest)
    assert txids(smallest) == [row.txid for row in by_amount[::-1][:25]]
    assert "sort=amount" in href(smallest, "payments-next")


def test_every_order_can_be_chosen_by_its_words(client: Client) -> None:
    ledger(30)
    shown = panel(client, sort="date")
    assert '<option value="timestamp" selected>oldest first</option>' in shown
    assert '<option value="">newest first</option>' in shown


def test_filters_that_hold_are_chips_that_can_be_removed(client: Client) -> None:
    ledger()
    shown = panel(client, search="craft", sender=CARD, min_amount="0.5", max_amount="2")
    assert "“craft” ×" in words(shown)
    assert "from card gateway ×" in words(shown)
    assert "0.5 – 2 FLUX ×" in words(shown)
    without = follow(client, shown, "payments-chip-min_amount")
    assert "2 FLUX" not in words(without)
    assert "from card gateway" in words(without)
    assert total(follow(client, shown, "payments-clear")) == 120


@pytest.mark.parametrize(
    ("query", "chip"),
    [
        ({"from": "2026-11-02"}, "from 2026-11-02"),
        ({"to": "2026-11-02"}, "up to 2026-11-02"),
        ({"from": "2026-11-02", "to": "2026-11-02"}, "2026-11-02"),
        ({"min_amount": "1"}, "from 1 FLUX"),
        ({"type": "unknown"}, "other or not known"),
        ({"address": SECOND}, "to t3aGJvdt…uJFLUX"),
        ({"sender": "t1LMGzWNaaaaaaaaaaaaaaaaaaaaxZ1BeX1"}, "from t1LMGzWN…1BeX1"[:13]),
        ({"app": "wordpress7"}, "app wordpress7"),
    ],
)
def test_a_chip_says_its_filter(client: Client, query: dict[str, str], chip: str) -> None:
    ledger()
    assert f"Remove the filter: {chip}" in words(panel(client, **query))


def test_when_nothing_fits_it_says_which_filter_to_loosen(client: Client) -> None:
    found = ledger()
    shown = panel(client, app="minecraft1510", sender=TEAM, min_amount="1000")
    assert "No payments match." in words(shown)
    mine = sum(row.app is not None and row.app.name == "minecraft1510" and row.from_address == TEAM for row in found)
    assert f"Clear from 1000 FLUX ({mine} payments" in words(shown)
    assert "Clear app minecraft1510" not in words(shown)
    assert total(follow(client, shown, "payments-without-min_amount")) == mine


def test_what_would_be_found_is_counted_only_so_far(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.panels.payments.filters.ENOUGH", 10)
    ledger()
    shown = words(panel(client, type="git", sender="t1nobody"))
    assert "Clear from t1nobody (10+ payments" in shown


def test_when_one_filter_is_not_enough_it_says_so(client: Client) -> None:
    ledger()
    shown = panel(client, app="nobody", sender="t1nobody")
    assert "Clearing one filter is not enough. Remove all filters" in words(shown)
    assert "No app has exactly this name." in words(shown)


@pytest.mark.parametrize(
    ("kind", "attempts", "short", "meaning"),
    [
        ("plain", None, "plain transfer", "names no app, and is counted"),
        ("fluxdrive", None, "FluxDrive", "storage on FluxDrive"),
        ("app", None, "name not read yet", "requested after the next sync"),
        ("app", 0, "name not read yet", "requested after the next sync"),
        ("app", 3, "app name pending", "It is requested again"),
    ],
)
def test_a_payment_without_an_app_says_why(
    client: Client, kind: str, attempts: int | None, short: str, meaning: str
) -> None:
    synced()
    if attempts is not None:
        again = NOW + timedelta(hours=2)
        Message.objects.create(hash="cd" * 32, attempts=attempts, next_attempt_at=again)
    pay(kind=kind, message_hash="cd" * 32 if kind == "app" else "")
    shown = panel(client)
    assert short in words(shown)
    assert meaning in words(shown.partition("Legend")[2])
    assert ("Next: 18 Nov, 16:05 UTC." in shown) == (attempts == 3)


@pytest.mark.parametrize(
    ("sender", "word"), [(TEAM, "Flux team"), (CARD, "card gateway"), (SENDER, "development"), ("t1other", None)]
)
def test_known_wallets_are_named(client: Client, sender: str, word: str | None) -> None:
    synced()
    pay(from_address=sender)
    list_ = panel(client).partition("<tbody")[2]
    assert [name for name in ("Flux team", "card gateway", "development") if name in list_] == ([word] if word else [])


def test_an_unknown_sender_or_price_is_a_dash_with_its_reason(client: Client) -> None:
    synced()
    pay(from_address=None, priced=False)
    shown = words(panel(client))
    assert "— The transaction names no sender." in shown
    assert "— No price for 18 Nov 2026 yet." in shown
    assert "$0.00" not in shown


def test_words_from_the_chain_are_escaped(client: Client) -> None:
    synced()
    pay(app="<script>alert(1)</script>")
    for query in ({}, {"tab": "apps"}, {"app": "<script>alert(1)</script>"}):
        assert "<script>" not in panel(client, **query)


def test_an_app_has_its_sums_its_curve_and_its_payments(client: Client) -> None:
    synced()
    pay(2 * FLUX, app="one", at=NOW - timedelta(days=3))
    pay(1 * FLUX, app="one", priced=False)
    pay(1 * FLUX, app="two")
    shown = panel(client, app="one")
    assert total(shown) == 2
    card = words(shown.partition('class="app-card"')[2].partition("</section>")[0])
    for part in ("one Payments 2", "FLUX 3.00", "USD $0.15 1 not priced", "Share of all FLUX 75.00 %", "15 Nov 2026"):
        assert part in card
    assert "FLUX per day, 15 Nov 2026 to today" in card
    assert "from 2 to 1; lowest 0, highest 2." in card


def test_days_that_no_sync_has_looked_at_are_gaps_in_the_curve(client: Client, clock: time_machine.Traveller) -> None:
    synced()
    pay(2 * FLUX, app="one")
    clock.shift(timedelta(days=3))
    assert "3 days not known" in words(panel(client, app="one"))


def test_a_row_leads_to_the_pages_of_its_app_its_sender_its_day_and_its_block(client: Client) -> None:
    synced()
    row = pay(app="one & two")
    shown = panel(client)
    links = {name: page_of(shown, f"p{row.pk}-{name}") for name in ("app", "sender", "day", "block")}
    assert links == {
        "app": "/app/one%20&%20two", "sender": f"/payer/{row.from_address}", "day": f"/day/{row.day}",
        "block": f"/block/{row.height}",
    }  # fmt: skip


def test_the_payments_of_a_block_are_a_filter_that_a_search_keeps(client: Client) -> None:
    synced()
    pay(height=200)
    pay(height=300)
    shown = panel(client, block="200")
    assert total(shown) == 1
    assert "block 200 ×" in words(shown)
    assert '<input type="hidden" name="block" value="200">' in shown
    assert page_of(shown, "payments-export-1") == "/export/payments.csv?block=200"


# The looks


def test_fresh_new_ones_come_in_by_themselves_only_at_the_top_of_everything(client: Client) -> None:
    ledger(60)
    assert "data-live" in panel(client)
    for query in ({"page": "2"}, {"search": "craft"}, {"sort": "amount"}, {"tab": "apps"}, {"type": "git"}):
        assert "data-live" not in panel(client, **query)


def test_stale_says_since_when_and_what_still_holds(client: Client, clock: time_machine.Traveller) -> None:
    ledger(30)
    assert "No sync has completed since" not in words(panel(client))
    clock.shift(timedelta(minutes=47))
    shown = words(panel(client))
    assert "No sync has completed since 47 min ago : newer payments are missing." in shown
    assert "Payments up to block 2,996,908 are complete; newer ones will follow." in shown


def test_partial_while_the_first_sync_runs(client: Client) -> None:
    ledger(30)
    LedgerState.objects.update(completed_at=None)
    assert "The first sync is under way and has read up to block 2,996,908" in words(panel(client))


def test_partial_where_transactions_could_not_be_read(client: Client) -> None:
    ledger(30)
    row = {"address": ADDRESS, "reason": "sender", "first_seen_at": NOW, "next_attempt_at": NOW}
    Quarantined.objects.create(txid="ee" * 32, **row)
    said = "1 transaction could not be read and is not listed yet; it is tried again automatically."
    assert said in words(panel(client))
    Quarantined.objects.create(txid="ef" * 32, **row)
    assert "2 transactions could not be read and are not listed yet" in words(panel(client))


def test_partial_where_older_payments_are_totals_only(client: Client) -> None:
    ledger(30)
    LedgerState.objects.update(closed_through=(NOW - timedelta(days=40)).date())
    note = "Individual payments go back to 10 Oct 2026; before that only daily totals are kept."
    assert note in words(panel(client))
    assert note in words(panel(client, to="2026-01-01"))
    assert note not in words(panel(client, **{"from": "2026-11-01"}))


def test_empty_before_the_first_sync_says_what_to_do(client: Client) -> None:
    shown = words(panel(client))
    assert "No sync has completed yet." in shown
    assert "manage.py sync_revenue" in shown
    assert "0 payments" not in shown


def test_empty_after_a_sync_says_that_nothing_was_paid(client: Client) -> None:
    synced()
    assert "The ledger holds no payments." in words(panel(client))
    assert "The ledger holds no payments." in words(panel(client, tab="apps"))


def test_failed_says_so_in_its_own_place(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("revenue.payments.filters.select", broken)
    response = client.get("/panels/payments/", {"search": "craft"})
    assert (response.status_code, response.headers["X-Panel-Failed"]) == (200, "1")
    assert "Payments cannot be read at the moment." in words(response.content.decode())
    assert "search=craft" in response.content.decode()


# What it costs


def test_an_unchanged_list_is_304_and_a_new_payment_changes_it(client: Client, clock: time_machine.Traveller) -> None:
    ledger(30)
    etag = client.get("/panels/payments/").headers["ETag"]
    clock.shift(60)
    assert client.get("/panels/payments/", headers={"if-none-match": etag}).status_code == 304
    rows.pay(app="minecraft1510")
    assert client.get("/panels/payments/", headers={"if-none-match": etag}).status_code == 200


def test_the_number_of_queries_does_not_grow_with_the_rows(client: Client, django_assert_max_num_queries: Any) -> None:
    ledger(30)
    many(300)
    with django_assert_max_num_queries(12):
        panel(client)
    with django_assert_max_num_queries(12):
        panel(client, limit="200")
    with django_assert_max_num_queries(12):
        panel(client, tab="apps")


def test_nothing_is_inline_and_every_id_is_there_once(client: Client) -> None:
    ledger()
    for query in ({}, {"tab": "apps"}, {"app": "minecraft1510"}, {"app": "nobody", "type": "git"}, {"from": "x"}):
        shown = panel(client, **query)
        assert not re.search(r"<style|\sstyle=|\son\w+=|hx-on|<script", shown)
        ids = re.findall(r'\sid="([^"]+)"', shown)
        assert ids
        assert len(ids) == len(set(ids))
        for described in re.findall(r'aria-describedby="([^"]+)"', shown):
            assert set(described.split()) <= set(ids)
