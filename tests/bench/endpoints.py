"""Measure the endpoints and the page: fill the database of the settings, send requests, print a table.

Run as a program of its own on an empty database (tests/bench/test_endpoints.py does). One request after the other in
one process; but for the comparisons that are said to be warm, nothing is cached: every request does its whole work.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection

REPEATS = 15
TARGET_MS = {  # at 20,000 rows, at 1,000,000 rows
    "page": (15, 20),
    "deep": (30, 30),
    "search": (60, 100),
    "apps": (150, 150),
    "sums": (20, 20),
    "warm": (10, 10),
    "cold": (80, 80),
    "other": (None, None),
    "days": (40, 40),
    "many days": (100, 100),
    "network": (None, None),
    "admin": (300, 300),
}
DAYS = 1_095  # daily snapshots


def cases() -> dict[str, tuple[str, dict[str, Any]]]:
    """Label: kind, query."""
    from revenue.models import App, Payment

    middle = Payment.objects.order_by("id")[Payment.objects.count() // 2]
    common, rare = (
        App.objects.order_by("-payments").first(),
        App.objects.filter(payments__gt=0).order_by("payments").first(),
    )
    assert common is not None
    assert rare is not None
    pages = Payment.objects.count() // 50
    return {
        "page 1": ("page", {}),
        "page in the middle": ("deep", {"page": pages // 2}),
        "last page": ("deep", {"page": pages}),
        "page 2, 1000 rows": ("other", {"page": 2, "limit": 1000}),
        "search: whole txid": ("search", {"search": middle.txid}),
        "search: 4 characters of a txid": ("search", {"search": middle.txid[:4]}),
        "search: beginning of a sender": ("search", {"search": middle.from_address[:6] if middle.from_address else ""}),
        "search: tracked address": ("search", {"search": middle.address[:6]}),
        "search: tracked address, deep": ("search", {"search": middle.address[:6], "page": pages // 3}),
        "search: rare app": ("search", {"search": rare.name[3:]}),
        "search: common app": ("search", {"search": common.name[2:]}),
        "search: a tenth of all": ("search", {"search": "minecraft"}),
        "search: a tenth of all, deep": ("search", {"search": "minecraft", "page": pages // 30}),
        "search: half of all": ("search", {"search": "e"}),
        "search: nothing": ("search", {"search": "nothing of the kind"}),
        "search: exact amount": ("search", {"search": "25.93"}),
        "search: a month": ("search", {"search": f"{middle.day:%Y-%m}", "page": 5}),
        "filter: app": ("other", {"app": common.name}),
        "filter: days": ("other", {"from": str(middle.day)}),
        "filter: type": ("other", {"type": "git"}),
        "filter: type, search": ("search", {"type": "git", "search": "e"}),
        "filter: amount": ("other", {"min_amount": "99"}),
        "sort: amount": ("other", {"sort": "-amount"}),
        "sort: block height": ("other", {"sort": "block_height"}),
    }


SUMS = {
    "app analytics": ("apps", "/api/analytics/apps"),
    "app analytics, search": ("apps", "/api/analytics/apps?search=craft"),
    "daily revenue of a year": ("sums", "/api/revenue/daily?days=365"),
    "monthly revenue": ("sums", "/api/revenue/monthly"),
    "yearly revenue": ("sums", "/api/revenue/yearly"),
    "comparison with a week ago, warm": ("warm", "/api/analytics/comparison?period=W"),
    "comparison with a year ago, warm": ("warm", "/api/analytics/comparison?period=Y"),
    "comparison with a week ago, cold": ("cold", "/api/analytics/comparison?period=W"),
    "comparison with a year ago, cold": ("cold", "/api/analytics/comparison?period=Y"),
}
NETWORK = {
    "snapshots, 365 days": ("days", "/api/history/snapshots?limit=365"),
    "snapshots, 1000 days": ("many days", "/api/history/snapshots?limit=1000"),
    "snapshots with every column, 365 days": ("days", "/api/history/snapshots/full?limit=365"),
    "series, 8 metrics, 1095 days": (
        "network",
        "/api/history/series?days=1095&metrics=revenue_flux,payments,node_total,total_cpu_cores,"
        "cpu_utilization_percent,total_apps,gaming_minecraft,image:library/image-7",
    ),
    "current metrics": ("network", "/api/metrics/current"),
    "readings of a day": ("network", "/api/history/readings?metric=node_total&step=10m"),
    "top of a category": ("network", "/api/metrics/category/gaming/top?days=30"),
    "stats": ("network", "/api/stats"),
}


def admin_pages() -> dict[str, tuple[str, str]]:
    """The pages of the admin that read large tables."""
    from revenue.models import App, Payment

    payment, app = Payment.objects.order_by("id")[1000], App.objects.order_by("-payments").first()
    assert app is not None
    payments, day = "/admin/revenue/payment/", f"from={payment.day}&to={payment.day}"
    pages = {
        "overview": "/admin/",
        "payments": payments,
        "payments, last page": f"{payments}?p={Payment.objects.count() // 50}",
        "payments of a day": f"{payments}?{day}",
        "payments of a year": f"{payments}?from={payment.day}",
        "payments of an app": f"{payments}?app__id__exact={app.pk}",
        "payments deployed from git": f"{payments}?app_type__exact=git",
        "payments without a name": f"{payments}?waiting=name",
        "payments, search for a txid": f"{payments}?q={payment.txid[:6]}",
        "payments, search for a common app": f"{payments}?q=minecraft",
        "payments by amount": f"{payments}?o=-2",
        "a payment": f"{payments}{payment.pk}/change/",
        "apps": "/admin/revenue/app/",
        "daily totals": "/admin/revenue/dailytotal/",
        "snapshots": "/admin/snapshots/snapshot/",
        "calendar": "/admin/snapshots/snapshot/calendar/",
        "a day": f"/admin/snapshots/snapshot/day/{payment.day}/",
        "images by day": "/admin/snapshots/imageday/",
    }
    return {f"admin: {label}": ("admin", page) for label, page in pages.items()}


def forget_comparisons() -> None:
    """As if nothing had been made ahead."""
    from snapshots.models import WarmComparison

    WarmComparison.objects.all().delete()


def keep_comparisons() -> None:
    """As after every sync."""
    from snapshots.comparison.cache import keep_warm

    keep_warm()


BEFORE: dict[str, Callable[[], None]] = {"cold": forget_comparisons, "warm": keep_comparisons}


def measured(client: Any, kind: str, path: str, query: dict[str, Any]) -> float:
    """p50 in ms."""
    times = []
    for _ in range(REPEATS):
        BEFORE.get(kind, lambda: None)()
        started = time.perf_counter()
        response = client.get(path, query or None)
        times.append((time.perf_counter() - started) * 1000)
        assert response.status_code == 200, response.content
    return statistics.median(times)


def table(size: int) -> list[str]:
    """The lines of the table."""
    from django.contrib.auth.models import User
    from django.test import Client

    client, path = Client(HTTP_HOST="localhost"), "/api/revenue/transactions"
    client.force_login(User.objects.create_superuser("bench"))
    asked = {label: (kind, path, query) for label, (kind, query) in cases().items()}
    asked |= {label: (kind, address, {}) for label, (kind, address) in (SUMS | NETWORK | admin_pages()).items()}
    lines = [f"{connection.vendor}, {size:,} payments: p50 in ms (target)"]
    for label, (kind, address, query) in asked.items():
        target = TARGET_MS[kind][0 if size < 100_000 else 1]
        wanted = f"  ({target})" if target else ""
        lines.append(f"  {label:<38}{measured(client, kind, address, query):8.1f}{wanted}")
    return lines


def main(size: int) -> None:
    from tests.bench import browser
    from tests.bench.days import fill_days
    from tests.bench.rows import fill

    settings.REQUEST_LOGGING = False
    call_command("migrate", verbosity=0)
    fill(size)
    fill_days(DAYS)
    sys.stdout.write("\n".join([*table(size), *browser.table()]) + "\n")


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]))
