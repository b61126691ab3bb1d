"""How the chart panel looks when values are missing or late."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import time_machine
from django.test import Client

from dashboard.panels.chart import panel as chart_panel
from revenue.models import LedgerState
from tests.dashboard.chart.conftest import Panel, earn, look, way, words
from tests.factories import pay, settle
from tests.snapshots.series_rows import DAY, NOW, TODAY, image, nodes, read_now, snapshot

pytestmark = pytest.mark.django_db


def test_what_is_whole_is_fresh(panel: Panel) -> None:
    earn("1", "2")
    html = panel(start="2026-11-19", end="2026-11-20")
    assert look(html) == "fresh"


def test_gaps_are_partial(panel: Panel) -> None:
    nodes(TODAY - 2 * DAY, [1])
    assert look(panel(metrics="node_total", days="3")) == "partial"


def test_a_late_sync_is_stale_with_its_time(panel: Panel, clock: time_machine.Traveller) -> None:
    earn("1")
    clock.shift(timedelta(minutes=45))
    html = panel()
    assert look(html) == "stale"
    assert "Payments were last read 20 Nov, 22:00 UTC; newer ones will follow." in words(html)


def test_a_late_source_is_stale_with_the_metrics_it_tells(panel: Panel) -> None:
    read_now("nodes", {"node_total": 6724, "node_stratus": 900}, error="HTTP 502")
    html = panel(metrics="node_total,node_stratus", days="1")
    assert look(html) == "stale"
    assert "Nodes, Stratus nodes: last read 20 Nov, 21:55 UTC; newer readings will follow." in words(html)


def test_a_range_in_the_past_is_not_stale(panel: Panel, clock: time_machine.Traveller) -> None:
    earn("1", "1", "1", "1")
    clock.shift(timedelta(minutes=45))
    assert look(panel(start="2026-11-18", end="2026-11-19")) == "fresh"


def test_nothing_known_says_what_to_do_and_draws_no_zero(panel: Panel) -> None:
    html = panel(metrics="node_total")
    assert look(html) == "empty"
    assert "There is no data yet. Revenue appears with the first sync" in words(html)
    assert "<table" not in html
    assert 'class="line"' not in html


def test_a_range_without_values_leads_to_all_days(panel: Panel) -> None:
    nodes(TODAY - 90 * DAY, [5])
    html = panel(metrics="node_total")
    assert "Data starts on 22 Aug 2026" in words(html)
    assert look(panel(**way(html, "show all days"))) == "partial"
    assert "There is no snapshot of it yet." in words(panel(metrics="gaming_palworld", days="all"))


@pytest.mark.parametrize(
    ("metrics", "first"),
    [
        ("node_total", "22 Sep 2026"),
        ("cpu_utilization_percent", "24 Sep 2026"),
        ("gaming_palworld,total_apps", "26 Sep 2026"),
        ("gaming_palworld", "28 Sep 2026"),
        ("image:itzg/minecraft-server", "26 Sep 2026"),
        ("payments", "20 Sep 2026"),
    ],
)
def test_a_range_without_values_names_the_first_day_of_its_own_metrics(panel: Panel, metrics: str, first: str) -> None:
    pay("1", at=NOW - 61 * DAY)
    settle(NOW)
    LedgerState.objects.update(completed_at=None)
    nodes(TODAY - 59 * DAY, [5])
    snapshot(TODAY - 58 * DAY, used_cpu_cores=1)
    snapshot(TODAY - 57 * DAY, used_cpu_cores=1, total_cpu_cores=2)
    snapshot(TODAY - 55 * DAY, total_apps=9)
    snapshot(TODAY - 53 * DAY, counts={"gaming_palworld": 3})
    image(TODAY - 52 * DAY, "itzg/minecraft-server", 3)
    html = panel(metrics=metrics, start="2026-09-01", end="2026-09-10")
    assert f"Data starts on {first}" in words(html)


def test_a_metric_that_no_day_has_says_so_for_any_range(panel: Panel) -> None:
    nodes(TODAY - DAY, [5])
    assert "There is no snapshot of it yet." in words(panel(metrics="gaming_palworld"))


def test_a_ledger_that_never_completed_is_no_zero(panel: Panel) -> None:
    earn("1")
    LedgerState.objects.update(completed_at=None)
    html = panel(days="3")
    assert "No sync has completed yet: revenue is not known." in words(html)
    assert "— not known" in words(html)
    assert "0.00 FLUX" not in words(html)


def test_a_chart_that_cannot_be_read_says_so_in_its_place(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart_panel.selectors, "read", lambda **_: 1 / 0)
    response = client.get("/panels/chart/?metrics=payments&failing=1")
    assert response.headers["X-Panel-Failed"] == "1"
    assert "Chart cannot be read at the moment" in response.content.decode()


def test_all_days_say_when_they_are_cut(panel: Panel) -> None:
    nodes(date(2010, 1, 1), [5])
    nodes(TODAY, [6])
    assert "There are older days; a chart holds 3,660." in words(panel(metrics="node_total", days="all"))
