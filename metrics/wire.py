"""What this room knows, as the API writes it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fluxtracker import money
from metrics.catalogue import Metric
from metrics.latest import Latest, SourceView
from metrics.models import Source, TrackedApp
from metrics.timeline import Point
from ops.health import iso
from revenue.reports import Sums
from revenue.wire import flux

NETWORK = (Source.Name.NODES, Source.Name.CLOUD, Source.Name.APPS)


def current(latest: Latest, today: Sums, tracked: Iterable[TrackedApp]) -> dict[str, Any]:
    """`/api/metrics/current` (docs/contract.md#api)."""
    value, tracked = latest.values.get, list(tracked)
    times = [latest.sources[name].read_at for name in NETWORK]
    newest = max((time for time in times if time), default=None)
    return {
        "lastUpdate": None if newest is None else int(newest.timestamp() * 1000),
        "asOf": iso(latest.read_at),
        "revenue": {
            "current": flux(today.revenue_sat),
            "fluxPriceUsd": value("flux_price_usd"),
            "usdValue": money.usd(today.usd_micro),
            "usdMissing": today.usd_missing,
            "paymentCount": today.payments,
        },
        "cloud": {
            "cpu": _resource(latest, "cpu_cores", "cpu"),
            "ram": _resource(latest, "ram_gb", "ram"),
            "storage": _resource(latest, "storage_gb", "storage"),
        },
        "apps": {
            "total": value("total_apps"),
            "watchtower": value("watchtower_count"),
            "gitapps": value("gitapps_count"),
            "dockerapps": value("dockerapps_count"),
            "gitapps_percent": value("gitapps_percent"),
            "dockerapps_percent": value("dockerapps_percent"),
        },
        "gaming": _counted(latest, "gaming_apps_total", tracked, TrackedApp.Category.GAMING),
        "crypto": _counted(latest, "crypto_nodes_total", tracked, TrackedApp.Category.CRYPTO),
        "wordpress": {"count": value("wordpress_count")},
        "nodes": {name: value(f"node_{name}") for name in ("cumulus", "nimbus", "stratus", "total")},
        "sources": {name: source(view) for name, view in latest.sources.items()},
    }


def _resource(latest: Latest, amount: str, name: str) -> dict[str, Any]:
    return {
        "total": latest.values.get(f"total_{amount}"),
        "used": latest.values.get(f"used_{amount}"),
        "utilization": latest.values.get(f"{name}_utilization_percent"),
    }


def _counted(latest: Latest, total: str, tracked: Iterable[TrackedApp], category: str) -> dict[str, Any]:
    """The total and every tracked app; null for one that was not counted yet."""
    apps = {app.key: latest.values.get(app.column) for app in tracked if app.category == category}
    return {"total": latest.values.get(total)} | apps


def source(view: SourceView) -> dict[str, Any]:
    return {
        "status": view.status,
        "asOf": iso(view.read_at),
        "triedAt": iso(view.tried_at),
        "error": view.error,
        "doubtedSince": iso(view.doubted_since),
        "coverage": view.coverage,
    }


def readings(metric: Metric, start: datetime, end: datetime, step: str, points: Iterable[Point]) -> dict[str, Any]:
    data = [{"at": iso(point.at), "value": point.value} for point in points]
    return {
        "metric": metric.key,
        "label": metric.label,
        "unit": metric.unit,
        "step": step,
        "start": iso(start),
        "end": iso(end),
        "count": len(data),
        "data": data,
    }
