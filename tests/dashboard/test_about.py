from __future__ import annotations

import pytest
from django.test import Client

from metrics.metric_keys import metrics
from metrics.models import Source, TrackedApp
from tests.dashboard.reading import html, text
from tests.dashboard.rows import ADDRESS, network, synced

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]


def test_every_metric_is_explained(client: Client) -> None:
    body = html(client, "/data/")
    assert [metric.key for metric in metrics() if f"<code>{metric.key}</code>" not in body] == []


def test_it_tells_units_formulas_and_patterns(client: Client) -> None:
    words = text(client, "/data/")
    assert "RAM total_ram_gb GB read" in words
    assert "CPU utilisation cpu_utilization_percent % used_cpu_cores / total_cpu_cores × 100" in words
    assert "Terraria gaming_terraria count image: littlestache/terraria; app name: terraria" in words
    assert ADDRESS in words


def test_it_tells_how_the_sources_are_now(client: Client) -> None:
    synced()
    network()
    Source.objects.filter(name="nodes").update(error="Daemon: HTTP 502")
    words = text(client, "/data/")
    assert "Payments : updated 0 s ago" in words
    assert "Node counts: could not be read since 18 Nov, 14:05 UTC" in words
    assert "The FLUX price : updated 0 s ago" in words


def test_it_works_before_anything_was_read(client: Client) -> None:
    assert "Payments : not read yet" in text(client, "/data/")


def test_operators_words_are_escaped(client: Client) -> None:
    TrackedApp.objects.create(name="<b>New</b>", key="new_game", category="gaming")
    assert "<b>New</b>" not in html(client, "/data/")


def test_its_queries_are_few(client: Client, django_assert_max_num_queries) -> None:
    with django_assert_max_num_queries(5):
        client.get("/data/")


def test_it_is_linked_from_the_page(client: Client) -> None:
    synced()
    assert '<a href="/data/">' in html(client)
