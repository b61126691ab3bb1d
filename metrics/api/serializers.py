"""Describe and write the answers of the metrics API."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rest_framework import serializers

from fluxtracker import money
from fluxtracker.timestamps import iso, unix_ms
from metrics.catalogue import Metric
from metrics.models import Source, TrackedApp
from metrics.selectors import Latest, Point, SourceView, Step
from ops.models import ServiceState
from revenue.api.serializers import UNKNOWN, flux
from revenue.selectors import Sums


def _count(help_text: str = UNKNOWN) -> serializers.IntegerField:
    return serializers.IntegerField(allow_null=True, help_text=help_text)


def _number(help_text: str = UNKNOWN) -> serializers.FloatField:
    return serializers.FloatField(allow_null=True, help_text=help_text)


class TodaysRevenue(serializers.Serializer[Any]):
    current = _number("FLUX, today so far.")
    fluxPriceUsd = _number("As last read.")
    usdValue = _number("Of today's priced payments, each at its own price.")
    usdMissing = serializers.IntegerField(help_text="Payments of today without a price.")
    paymentCount = _count()


class Resource(serializers.Serializer[Any]):
    total = _number("Cores, or GB.")
    used = _number("Cores, or GB.")
    utilization = _number("%")


class Cloud(serializers.Serializer[Any]):
    cpu = Resource()
    ram = Resource()
    storage = Resource()


class RunningApps(serializers.Serializer[Any]):
    total = _count("Running containers without Watchtower.")
    watchtower = _count()
    gitapps = _count("On an Orbit image.")
    dockerapps = _count("All others.")
    gitapps_percent = _number("%")
    dockerapps_percent = _number("%")


class WordPress(serializers.Serializer[Any]):
    count = _count()


class Nodes(serializers.Serializer[Any]):
    cumulus = _count()
    nimbus = _count()
    stratus = _count()
    total = _count()


class SourceAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(
        ["ok", "stale", "failed", "never"],
        help_text="stale: the last good values, older than they should be; failed: there are none.",
    )
    asOf = serializers.DateTimeField(allow_null=True, help_text="When its values were read.")
    triedAt = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(allow_null=True, help_text="Why the last try failed, or is not believed.")
    doubtedSince = serializers.DateTimeField(
        allow_null=True, help_text="Since when its numbers differ too much to be believed at once."
    )
    coverage = serializers.DictField(
        allow_null=True,
        help_text="How much of the answer its values rest on; `doubted`: the numbers that are not believed.",
    )


class CurrentAnswer(serializers.Serializer[Any]):
    lastUpdate = serializers.IntegerField(allow_null=True, help_text="When any part of the network was last read, ms.")
    asOf = serializers.DateTimeField(allow_null=True, help_text="When the oldest part of it was read.")
    revenue = TodaysRevenue()
    cloud = Cloud()
    apps = RunningApps()
    gaming = serializers.DictField(
        child=_count(), help_text="`total` and one key for each tracked game; null: not counted yet."
    )
    crypto = serializers.DictField(child=_count(), help_text="`total` and one key for each tracked crypto node.")
    wordpress = WordPress()
    nodes = Nodes()
    sources = serializers.DictField(child=SourceAnswer())


class ReadingPoint(serializers.Serializer[Any]):
    at = serializers.DateTimeField(help_text="Of the last reading in its step.")
    value = serializers.FloatField()


class ReadingsAnswer(serializers.Serializer[Any]):
    metric = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the wire name
    unit = serializers.CharField(help_text="Empty for counts.", allow_blank=True)
    step = serializers.ChoiceField(list(Step))
    start = serializers.DateTimeField(help_text="Included.")
    end = serializers.DateTimeField(help_text="Included.")
    count = serializers.IntegerField()
    data = ReadingPoint(many=True, help_text="Oldest first; steps without a value are absent.")  # type: ignore[assignment]  # the wire name


NETWORK = (Source.Name.NODES, Source.Name.CLOUD, Source.Name.APPS)


def current(latest: Latest, today: Sums, tracked: Iterable[TrackedApp]) -> dict[str, Any]:
    """`/api/metrics/current` (docs/contract.md#api)."""
    value, tracked = latest.values.get, list(tracked)
    times = [latest.sources[name].read_at for name in NETWORK]
    newest = max((time for time in times if time), default=None)
    return {
        "lastUpdate": None if newest is None else unix_ms(newest),
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
    """Return the total and every tracked app; null for one that was not counted yet."""
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


class CheckAnswer(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.ChoiceField(ServiceState.Kind.choices)
    status = serializers.ChoiceField(ServiceState.Status.choices)
    latencyMs = serializers.IntegerField(allow_null=True, help_text="null: nothing was asked, instances were counted.")
    detail = serializers.CharField(allow_null=True)
    checkedAt = serializers.DateTimeField()
    lastOk = serializers.DateTimeField(allow_null=True, help_text="null: never.")
    consecutiveFailures = serializers.IntegerField(help_text="Checks in a row that found it failed or missing.")


class TestStatus(serializers.Serializer[Any]):
    __test__ = False  # no test of pytest's

    isSchedulerRunning = serializers.BooleanField(help_text="A worker lives and the checks are on its schedule.")
    isTestInProgress = serializers.BooleanField()
    lastRun = serializers.DateTimeField(allow_null=True)
    lastCompleted = serializers.DateTimeField(allow_null=True)
    consecutiveFailures = serializers.IntegerField(help_text="Runs in a row in which no upstream answered.")
    isHealthy = serializers.BooleanField()
    reason = serializers.CharField(allow_null=True, help_text="Why it is not healthy.")
    note = serializers.CharField(help_text="What a check is.")
    checks = CheckAnswer(many=True)
