"""Walk over the page: each figure of each tile, chip, list and table is the API's."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client

from deployments.models import MessagesState
from fluxtracker import formatting
from tests.dashboard.reading import html, told
from tests.dashboard.rows import FLUX, NOW, network, pay, snapshot, synced
from tests.dashboard.test_detail_pages import life, message, split_all
from tests.factories import digest
from tests.snapshots.series_rows import read_now

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]

TIERS = ("cumulus", "nimbus", "stratus", "total")
PLACES = {  # of the catalogue's metrics in /api/metrics/current and the comparison
    **{f"node_{tier}": ("nodes", tier) for tier in TIERS},
    "total_cpu_cores": ("cloud", "cpu", "total"), "used_cpu_cores": ("cloud", "cpu", "used"),
    "total_ram_gb": ("cloud", "ram", "total"), "used_ram_gb": ("cloud", "ram", "used"),
    "total_storage_gb": ("cloud", "storage", "total"), "used_storage_gb": ("cloud", "storage", "used"),
    "cpu_utilization_percent": ("cloud", "cpu", "utilization"),
    "ram_utilization_percent": ("cloud", "ram", "utilization"),
    "storage_utilization_percent": ("cloud", "storage", "utilization"),
    "total_apps": ("apps", "total"), "watchtower_count": ("apps", "watchtower"), "gitapps_count": ("apps", "gitapps"),
    "dockerapps_count": ("apps", "dockerapps"), "gitapps_percent": ("apps", "gitapps_percent"),
    "dockerapps_percent": ("apps", "dockerapps_percent"), "wordpress_count": ("wordpress", "count"),
    "gaming_apps_total": ("gaming", "total"), "crypto_nodes_total": ("crypto", "total"),
}  # fmt: skip
PARTS = {
    f"{kind}_utilization_percent": (f"used_{unit}", f"total_{unit}")
    for kind, unit in (("cpu", "cpu_cores"), ("ram", "ram_gb"), ("storage", "storage_gb"))
}
FIGURE = re.compile(
    r'data-set="metrics=(\w+)" data-for="chart">[^<]*</a>\s*<b><span\s+title="([^"]*)">([^<]*)</span></b>\s*'
    r'<span\s+class="moved">(.*?)</span>\s*<span class="course">',
    re.DOTALL,
)
LEAD = re.compile(
    r'<p class="figure"><span\s+title="([^"]*)">([^<]*)</span>.*?<p\s+class="moved">(.*?)</p>.*?metrics=(\w+)"',
    re.DOTALL,
)


@pytest.fixture(autouse=True)
def everything() -> None:
    """The network now and a week ago, and payments of two weeks, some of an app."""
    synced()
    network()
    snapshot(NOW.date() - timedelta(days=7), node_cumulus=3_078, node_total=6_424, total_apps=12_000)
    pay(FLUX, at=NOW - timedelta(days=1_000))
    MessagesState.objects.update_or_create(id=1, defaults={"complete_at": NOW, "tip_height": 1})
    life("Wordpress1")
    for back in range(14):
        row = pay((7 + back) * FLUX, at=NOW - timedelta(days=back), app="Wordpress1", message_hash=digest("walk", back))
        message(row, "Wordpress1")
    split_all()


def at(answer: Any, metric: str) -> Any:
    group, _, name = metric.partition("_")
    for key in PLACES.get(metric, (group, name)):
        answer = answer[key]
    return answer


def first_number(text: str) -> float:
    found = re.search(r"[−-]?[\d,]+(?:\.\d+)?", unescape(text))
    assert found, text
    return float(found[0].replace(",", "").replace("−", "-"))


def test_every_figure_and_change_of_every_tile(client: Client) -> None:
    page = html(client, "/panels/tiles/?period=W")
    current = client.get("/api/metrics/current").json()
    against = client.get("/api/analytics/comparison?period=W").json()
    found = [
        *FIGURE.findall(page),
        *((metric, exact, value, moved) for exact, value, moved, metric in LEAD.findall(page)),
    ]
    shown = {metric for metric, *_ in found}
    assert len(found) == len(shown) > 20
    every = set(re.findall(r'data-set="metrics=(\w+)"', page)) - {"revenue_flux", "revenue_usd", "payments"}
    wrong: list[Any] = [(metric, at(current, metric)) for metric in every - shown if at(current, metric) is not None]
    for metric, exact, short, moved in found:
        value, is_share = at(current, metric), metric.endswith("_percent")
        if is_share:
            used, total = (at(current, PARTS[metric][place]) for place in (0, 1))
            told_parts = [first_number(part) for part in exact.split(" of ")]
            wrong += [(metric, exact)] if told_parts != [used, total] else []
        if abs(first_number(short if is_share else exact) - value) > (0.051 if is_share else 0.005):
            wrong.append((metric, exact, short, value))
        change = at(against, metric)
        now = change["points" if is_share else "change"]
        if now and abs(first_number(re.sub("<[^>]*>", "", moved)) - now) > (0.051 if is_share else 0.005):
            wrong.append((metric, moved, change))
    assert wrong == []


@pytest.mark.parametrize("period", "DWMQY")
def test_the_answer_and_its_chips(client: Client, period: str) -> None:
    revenue = client.get(f"/api/analytics/comparison?period={period}").json()["revenue"]
    words = told(client, "revenue", f"?period={period}")
    amount, usd, payments = (revenue[key] for key in ("flux", "usd", "payments"))
    assert (
        f"{amount['amount']:,.2f} FLUX · ${usd['amount']:,.2f} · {formatting.plural(payments['count'], 'payment')}"
        in words
    )
    change = revenue["toDate"]["flux"]["change"]
    if change is None:
        assert "by now" not in words.partition("FLUX ")[0]
    else:
        assert f"{abs(change):,.1f} % vs" in words


def test_every_point_of_the_charts_table(client: Client) -> None:
    read_now("nodes", {"node_total": 6_724}, at=NOW)
    metrics = "revenue_flux,revenue_usd,payments,node_total"
    page = html(client, f"/panels/chart/?metrics={metrics}&days=14")
    series = client.get(f"/api/history/series?metrics={metrics}&days=14").json()
    table = page[page.index('id="chart-table"') :]
    cells = re.findall(r'<td role="cell" class="number"\s+data-label="([^"]*)"><span>(.*?)</span>', table, re.DOTALL)
    lines = [(line["label"], line["unit"], line["points"][::-1]) for line in series["series"]]
    newest_first = [(label, written(points[row], unit)) for row in range(14) for label, unit, points in lines]
    assert [(label, " ".join(re.sub("<[^>]*>", "", cell).split())) for label, cell in cells] == newest_first


def written(value: float | None, unit: str) -> str:
    if value is None:
        return "— not known"
    return {"FLUX": f"{value:,.2f} FLUX", "USD": f"${value:,.2f}"}.get(unit, f"{value:,}")


def test_every_part_of_the_origins(client: Client) -> None:
    page = html(client, "/panels/origins/?period=M")
    days = f"start={NOW.date().replace(day=1)}&end={NOW.date()}&by=month"
    shown = sorted(float(sat.replace(",", "")) for sat in re.findall(r"</span> <b>([\d,.]+)</b>", page))
    (sources,) = client.get(f"/api/revenue/sources?{days}").json()["data"]
    categories = client.get(f"/api/revenue/categories?{days}").json()
    parts = [sources[key] for key in ("card", "team", "platform", "other")]
    parts += [categories["data"][0][key] for key in categories["categories"]]
    assert shown == sorted(round(part["flux"], 2) for part in parts if part["flux"])
    assert f"<b>{sources['organic']['flux']:,.2f} FLUX</b> organic" in page
    assert f"<b>{sources['total']['flux']:,.2f} FLUX</b>" in page


def test_what_is_paid_already(client: Client) -> None:
    page = html(client, "/panels/paid/")
    forecast = client.get("/api/economics/forecast").json()
    soon = forecast["data"][:30]
    assert f"<b>{sum(day['ending']['apps'] for day in soon):,}</b>" in page
    assert f"<b>{sum(day['accrued'] for day in soon):,.2f} FLUX</b>" in page
