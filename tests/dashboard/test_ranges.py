"""One range above everything: tiles, origins, chart, payments, apps and their files show the same days."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client

from tests.dashboard.reading import html, panel, text, told
from tests.dashboard.rows import FLUX, NOW, pay, synced
from tests.dashboard.test_export_laws import cells

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]


@pytest.fixture
def ledger() -> None:
    """3 FLUX this month, 5 in the month before, 9 the year before, and of one app but for the first."""
    synced()
    pay(FLUX)
    pay(2 * FLUX, at=NOW - timedelta(days=3), app="web1")
    pay(5 * FLUX, at=NOW - timedelta(days=30), app="web1")
    pay(9 * FLUX, at=NOW - timedelta(days=365), app="web2")


@pytest.mark.parametrize(
    ("days", "title", "flux", "payments", "apps"),
    [
        ("this_month", "Revenue this month", "3.00", 2, 1),
        ("last_month", "Revenue last month", "5.00", 1, 1),
        ("2026-10", "Revenue October 2026", "5.00", 1, 1),
        ("last_7d", "Revenue last 7 days", "3.00", 2, 1),
        ("2026-10..2026-11", "Revenue Oct 2026 – Nov 2026", "8.00", 3, 1),
        ("2026-11-15..2026-11-16", "Revenue 15 Nov – 16 Nov", "2.00", 1, 1),
        ("last_13m", "Revenue last 13 months", "17.00", 4, 2),
        ("2025", "Revenue 2025", "9.00", 1, 1),
    ],
)
def test_every_panel_and_file_obeys_it(
    client: Client, ledger: None, days: str, title: str, flux: str, payments: int, apps: int
) -> None:
    query = f"?range={days}"
    tile = told(client, "revenue", query)
    assert title in tile
    assert f"{flux} FLUX" in tile
    assert f"{flux} FLUX" in panel(client, "origins", query)
    assert f"of {payments} payment" in panel(client, "payments", query)
    assert f"of {apps} app" in panel(client, "payments", f"{query}&tab=apps")
    assert len(cells(client, "/export/payments.csv", range=days)) == payments
    assert len(cells(client, "/export/apps.csv", range=days)) == apps
    drawn = cells(client, "/export/chart.csv", range=days, metrics="revenue_flux")
    assert f"{sum(float(day['revenue_flux'] or 0) for day in drawn):.2f}" == flux
    chart = html(client, f"/panels/chart/{query}")
    assert f"range={days}" in re.search(r'href="/export/chart.csv\?([^"]+)"', chart)[1]  # type: ignore[index]
    assert f'href="/export/payments.csv?range={days}"' in html(client, f"/panels/payments/{query}")


def test_days_that_go_on_are_compared_with_as_much_before(client: Client, ledger: None) -> None:
    """7 days: 3 FLUX; the 7 before: 4, of which 1 came later in its last day than it is now."""
    pay(3 * FLUX, at=NOW - timedelta(days=9))
    pay(FLUX, at=NOW - timedelta(days=7) + timedelta(hours=2))
    tile = told(client, "revenue", "?range=last_7d")
    assert "same as the 7 days before, by now" in tile
    assert "75.0 % of all the 7 days before" in tile
    assert "Thu 5 Nov – Wed 11 Nov, 14:05 UTC: 3.00 FLUX" in tile


def test_a_panels_own_keys_go_before_it(client: Client, ledger: None) -> None:
    assert "Revenue this week" in told(client, "revenue", "?range=2026-10&period=W")
    assert "of 1 payment" in panel(client, "payments", "?range=last_year&from=2026-11-18")
    chart = html(client, "/panels/chart/?range=2026-10&days=30")
    assert "20 Oct – 18 Nov 2026" in chart
    assert re.search(r'href="\?range=2026-10#panel-chart"[^>]*><span[^>]*>range<', chart)
    assert re.search(r'href="\?range=2026-10&amp;days=7#panel-chart"', chart)


def test_a_wrong_one_is_said_in_a_sentence_and_falls_back(client: Client, ledger: None) -> None:
    words = text(client, "/?range=October")
    assert "Expected a range such as this_month, last_7d, 2026-10, 2026-W45 or 2025-01..2026-10." in words.replace(
        "2026-w45", "2026-W45"
    )
    assert "Revenue this week" in words
    assert "of 4 payments" in words
    assert "cannot be read at the moment" not in words


def test_links_without_scripts_keep_the_view_and_drop_what_the_range_replaces(client: Client, ledger: None) -> None:
    page = html(client, "/?metrics=payments&period=M&days=7&from=2026-11-01&search=web")
    link = re.search(r'id="range-last_7d"\s+href="([^"]+)"', page)
    assert link
    assert link[1] == "?metrics=payments&amp;search=web&amp;range=last_7d"
    page = html(client, "/?metrics=payments&range=2026-10")
    form = re.search(r'<form id="period".*?</form>', page, re.DOTALL)
    assert form
    assert 'name="metrics"' in form[0]
    assert 'name="range"' not in form[0]
    assert " checked" not in form[0]
    assert 'href="?metrics=payments&amp;range=2026-09"' in page  # a step back
    assert 'href="?metrics=payments&amp;range=this_month"' in page
