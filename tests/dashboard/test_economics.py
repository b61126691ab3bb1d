from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from dashboard.panels.payments.rows import CARD, TEAM
from deployments.models import MessagesState
from revenue.models import ChangedDay
from tests.dashboard.reading import html, panel
from tests.dashboard.rows import FLUX, NOW, pay, synced

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]


def test_the_sources_of_a_period_add_up_and_organic_stands_beside_the_total(client: Client) -> None:
    synced()
    pay(50 * FLUX, from_address=CARD)
    pay(25 * FLUX, from_address=TEAM)
    pay(25 * FLUX)
    pay(900 * FLUX, from_address=TEAM, at=NOW - timedelta(days=7))
    words = panel(client, "origins")
    assert "this week: Mon 16 Nov – Wed 18 Nov" in words
    assert "75.00 FLUX organic (without the Flux team), 75.0 % of 100.00 FLUX" in words
    assert "Card gateway (customers who pay by card) 50.00 50.0 % · 1 payment" in words
    assert "Flux team 25.00 25.0 % · 1 payment" in words
    assert "0.00 FLUX organic (without the Flux team), 0.0 % of 900.00 FLUX" in panel(client, "origins", "?at=2026-W46")


def test_a_period_without_payments_has_a_reason_instead_of_parts(client: Client) -> None:
    synced()
    assert "No payment in this period yet." in panel(client, "origins")
    assert "%" not in panel(client, "origins")


def test_days_that_are_not_split_yet_are_unknown(client: Client) -> None:
    synced()
    for back in range(32):
        pay(at=NOW - timedelta(days=back))
        ChangedDay.objects.get_or_create(day=NOW.date() - timedelta(days=back))
    assert "Many days have changed" in panel(client, "origins", "?period=Y")


def test_what_is_paid_is_unknown_until_the_messages_are_read(client: Client) -> None:
    synced()
    words = panel(client, "paid")
    assert "Run-rate, a month — App messages have not been read completely yet." in words
    assert "Paid, not yet earned — App messages have not been read completely yet." in words
    assert "due for renewal" not in words
    MessagesState.objects.update_or_create(id=1, defaults={"complete_at": NOW})
    words = panel(client, "paid")
    assert "Paid, not yet earned 0.00 FLUX" in words
    assert "Apps due for renewal in 30 days 0" in words


def test_the_queries_of_both_panels_are_few(client: Client, django_assert_max_num_queries) -> None:
    synced()
    pay(at=NOW - timedelta(days=40))
    html(client, "/panels/origins/?period=Y")
    for name, most in (("origins", 9), ("paid", 10)):
        with django_assert_max_num_queries(most):
            html(client, f"/panels/{name}/?period=M")
