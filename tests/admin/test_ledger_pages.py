from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from fluxtracker.admin import CappedPaginator
from ops.jobs import services
from ops.models import Job
from revenue.models import App, LedgerState, Payment, Quarantined
from tests.dashboard.rows import ADDRESS, FLUX, NOW, SENDER, many, pay, synced

pytestmark = pytest.mark.django_db

PAYMENTS = "/admin/revenue/payment/"


def listed(client: Client, url: str, **query: Any) -> list[Any]:
    """The rows of a list page."""
    response = client.get(url, query)
    assert response.status_code == 200
    return list(response.context_data["cl"].result_list)


def test_payments_are_listed_newest_first_and_readable(olivia: Client) -> None:
    old = pay(123_456_789, at=NOW - timedelta(hours=1), app="minecraft1510")
    new = pay(31_204 * FLUX, priced=False, from_address=None)
    body = olivia.get(PAYMENTS).content.decode()

    assert listed(olivia, PAYMENTS) == [new, old]
    assert "31,204.00000000" in body
    assert "1.23456789" in body
    assert "$0.09" in body
    assert "2026-11-18 13:05:00" in body


def test_payments_cannot_be_added_changed_or_deleted(olivia: Client) -> None:
    row = pay()
    change = reverse("admin:revenue_payment_change", args=[row.pk])
    assert olivia.get(change).status_code == 200
    assert olivia.get(f"{PAYMENTS}add/").status_code == 403
    assert olivia.post(change, {"amount_sat": 1}).status_code == 403
    assert olivia.post(reverse("admin:revenue_payment_delete", args=[row.pk])).status_code == 403
    assert "delete_selected" not in olivia.get(PAYMENTS).content.decode()
    assert Payment.objects.get().amount_sat == FLUX


def test_a_payment_leads_to_its_app_its_sender_and_the_explorer(olivia: Client) -> None:
    row = pay(app="minecraft1510")
    body = olivia.get(reverse("admin:revenue_payment_change", args=[row.pk])).content.decode()
    assert reverse("admin:revenue_app_change", args=[row.app_id]) in body
    assert f"https://explorer.runonflux.io/tx/{row.txid}" in body
    assert f"q={SENDER}" in olivia.get(PAYMENTS).content.decode()


@pytest.mark.engine
@pytest.mark.parametrize(
    "term", ["5feceb66ff", "5FECEB66FF", "t1Mzja9", SENDER, "craft15", "1.23456789", "2026-11-18", "2026-11"]
)
def test_a_search_finds_what_the_api_finds(olivia: Client, term: str) -> None:
    other = "t1LUs6quf7TB2zVZmexqPQdnqmrFMGZGjV6"
    wanted = pay(123_456_789, app="minecraft1510")
    pay(5 * FLUX, at=NOW - timedelta(days=40), app="presearch", from_address=other)
    assert listed(olivia, PAYMENTS, q=term) == [wanted]


@pytest.mark.parametrize("term", ["zzzz", "%", "'", "0.5.5"])
def test_a_search_for_nothing_known_finds_nothing(olivia: Client, term: str) -> None:
    pay()
    assert listed(olivia, PAYMENTS, q=term) == []


@pytest.mark.engine
def test_all_pages_together_are_all_payments_once(olivia: Client) -> None:
    many(120)
    pages = [listed(olivia, PAYMENTS, p=number) for number in (1, 2, 3)]
    assert [len(page) for page in pages] == [50, 50, 20]
    assert [row for page in pages for row in page] == list(Payment.objects.newest_first())


@pytest.mark.engine
def test_payments_can_be_ordered_by_amount(olivia: Client) -> None:
    small, large = pay(1), pay(9 * FLUX)
    assert listed(olivia, PAYMENTS, o="1") == [small, large]
    assert listed(olivia, PAYMENTS, o="-1") == [large, small]


def test_all_payments_are_counted_by_the_open_days_totals(olivia: Client) -> None:
    many(3)
    pay(at=NOW - timedelta(days=9))
    LedgerState.objects.update_or_create(id=1, defaults={"closed_through": (NOW - timedelta(days=9)).date()})
    Payment.objects.filter(day=(NOW - timedelta(days=9)).date()).delete()
    assert olivia.get(PAYMENTS).context_data["cl"].result_count == 3


@pytest.mark.engine
def test_payments_that_wait_for_a_name_or_a_price_can_be_chosen(olivia: Client) -> None:
    pay(app="minecraft1510")
    unpriced = pay(priced=False)
    unnamed = pay(kind="app", message_hash="cd" * 32)
    assert listed(olivia, PAYMENTS, waiting="price") == [unpriced]
    assert listed(olivia, PAYMENTS, waiting="name") == [unnamed]


@pytest.mark.engine
def test_payments_can_be_chosen_by_days(olivia: Client) -> None:
    days = [NOW - timedelta(days=n) for n in range(4)]
    rows = [pay(at=day) for day in days]
    first, last = f"{days[2]:%Y-%m-%d}", f"{days[1]:%Y-%m-%d}"
    assert listed(olivia, PAYMENTS, **{"from": first, "to": last}) == rows[1:3]
    assert listed(olivia, PAYMENTS, **{"from": first}) == rows[:3]
    assert listed(olivia, PAYMENTS, to=last) == rows[1:]
    assert listed(olivia, PAYMENTS, **{"from": "", "to": ""}) == rows
    kept = olivia.get(PAYMENTS, {"from": first, "app_type__exact": "docker", "q": "2026"}).content.decode()
    for field in ('name="from" value="2026-11-16"', 'name="app_type__exact" value="docker"', 'name="q" value="2026"'):
        assert field in kept


def test_a_day_that_is_none_is_told(olivia: Client) -> None:
    row = pay()
    answer = olivia.get(PAYMENTS, {"from": "2026-13-01"})
    assert "2026-13-01 is no day: expected YYYY-MM-DD." in answer.content.decode()
    assert list(answer.context_data["cl"].result_list) == [row]


@pytest.mark.engine
def test_payments_can_be_chosen_by_type(olivia: Client) -> None:
    pay(app="minecraft1510", app_type="docker")
    git = pay(app="mysite", app_type="git")
    assert listed(olivia, PAYMENTS, app_type__exact="git") == [git]


def test_a_count_that_stopped_says_more_than(olivia: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CappedPaginator, "cap", 5)
    many(8, App.objects.create(name="minecraft1510"))
    app = App.objects.get()
    body = olivia.get(PAYMENTS, {"app__id__exact": app.pk}).content.decode()
    assert "More than 5" in " ".join(body.split())
    assert "More than" not in olivia.get(PAYMENTS).content.decode()


def test_the_number_of_queries_does_not_grow_with_the_rows(olivia: Client, django_assert_num_queries) -> None:
    pay(app="one")
    with django_assert_num_queries(6):
        olivia.get(PAYMENTS)
    many(200, App.objects.create(name="two"))
    with django_assert_num_queries(6):
        olivia.get(PAYMENTS)
    with django_assert_num_queries(6):
        olivia.get(PAYMENTS, {"p": 4})


def test_an_app_leads_to_its_payments(olivia: Client) -> None:
    row = pay(7 * FLUX, app="minecraft1510")
    pay(app="presearch")
    body = olivia.get("/admin/revenue/app/").content.decode()
    assert "7.00000000" in body
    assert f"?app__id__exact={row.app_id}" in body
    assert listed(olivia, PAYMENTS, app__id__exact=row.app_id) == [row]


def test_a_daily_total_leads_to_its_payments(olivia: Client) -> None:
    row = pay(7 * FLUX)
    pay(at=NOW - timedelta(days=1))
    body = olivia.get("/admin/revenue/dailytotal/").content.decode()
    assert f"?day=2026-11-18&amp;address={ADDRESS}" in body
    assert listed(olivia, PAYMENTS, day="2026-11-18", address=ADDRESS) == [row]


@pytest.fixture
def waiting(db: None) -> Quarantined:
    """A transaction whose next try is three hours away."""
    return Quarantined.objects.create(
        txid="ee" * 32, address=ADDRESS, reason="sender", attempts=4, first_seen_at=NOW,
        next_attempt_at=NOW + timedelta(hours=3),
    )  # fmt: skip


def retry(client: Client, row: Quarantined) -> str:
    data = {"action": "retry", "_selected_action": [row.pk]}
    return client.post("/admin/revenue/quarantined/", data, follow=True).content.decode()


def test_quarantined_transactions_are_tried_again_by_a_sync_that_starts_now(
    olivia: Client, waiting: Quarantined, clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(services, "send", sent.append)
    answer = retry(olivia, waiting)
    waiting.refresh_from_db()
    job = Job.objects.get()
    assert (job.name, job.via, sent) == ("revenue-sync", "admin", [job.pk])
    assert "1 transaction will be tried again at the next sync. Revenue sync: queued" in answer
    assert waiting.next_attempt_at == NOW
    assert list(Quarantined.objects.due(NOW)) == [waiting]


def test_while_a_sync_runs_the_next_one_tries_them(
    olivia: Client, waiting: Quarantined, clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "send", lambda job: None)
    Job.objects.create(name="revenue-sync", state="running", actor="olivia", via="api", created_at=NOW)
    answer = retry(olivia, waiting)
    assert "will be tried again at the next sync. Not started: revenue-sync is already running" in answer
    assert list(Quarantined.objects.due(NOW)) == [waiting]


def test_who_may_only_look_cannot_send_them(victor: Client, waiting: Quarantined) -> None:
    victor.post("/admin/revenue/quarantined/", {"action": "retry", "_selected_action": [waiting.pk]})
    waiting.refresh_from_db()
    assert waiting.next_attempt_at == NOW + timedelta(hours=3)
    assert not Job.objects.exists()
    assert "Try again" not in victor.get("/admin/revenue/quarantined/").content.decode()


def test_strangers_are_asked_to_sign_in(client: Client) -> None:
    synced()
    assert client.get(PAYMENTS).status_code == 302
