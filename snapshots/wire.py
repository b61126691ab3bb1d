"""Days as the API writes them: nested for readers, flat under the columns of the tracker that was replaced."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fluxtracker import money
from metrics.catalogue import COUNTED, FIXED, TOTALS
from metrics.models import TrackedApp
from ops.health import iso
from revenue.wire import flux
from snapshots.gaps import Gap
from snapshots.history import DayRow

Row = dict[str, Any]

FLAT = tuple(metric.key for metric in FIXED if metric.key != "flux_price_usd")
CLOUD = {"cpu": "cpu_cores", "ram": "ram_gb", "storage": "storage_gb"}
CATEGORY_TOTALS = {"gaming": "gaming_apps_total", "crypto": "crypto_nodes_total", "wordpress": "wordpress_count"}


def gap(found: Gap) -> Row:
    return {"date": found.day.isoformat(), "reason": found.reason}


class Writer:
    """Writes days; an active tracked app that a day did not count is null in it."""

    def __init__(self, tracked: Iterable[TrackedApp]) -> None:
        self._columns = {app.column: None for app in tracked}
        self._untold = split(self._columns)

    def nested(self, day: DayRow) -> Row:
        row = day.values
        return {
            "date": row["day"].isoformat(),
            **_earned(day),
            "price": price(row["flux_price_usd"]),
            "nodes": {key: row[f"node_{key}"] for key in ("total", "cumulus", "nimbus", "stratus")},
            "apps": {
                "total": row["total_apps"],
                "gaming": row["gaming_apps_total"],
                "crypto": row["crypto_nodes_total"],
                "gitapps": row["gitapps_count"],
                "dockerapps": row["dockerapps_count"],
                "gitapps_percent": row["gitapps_percent"],
                "dockerapps_percent": row["dockerapps_percent"],
                "watchtower": row["watchtower_count"],
                "wordpress": row["wordpress_count"],
            },
            "cloud": {key: _use(row, key, column) for key, column in CLOUD.items()},
            **self._categories(row),
            "wordpress": {"count": row["wordpress_count"]},
            "source": row["source"],
            "readAt": iso(row["read_at"]),
        }

    def flat(self, day: DayRow) -> Row:
        """One key a column; `daily_revenue` is the ledger's total of the day."""
        row, sums = day.values, day.revenue.sums
        return {
            "id": row["id"],
            "snapshot_date": row["day"].isoformat(),
            "date": row["day"].isoformat(),
            "timestamp": _unix(row["read_at"]),
            "daily_revenue": flux(sums.revenue_sat),
            "daily_revenue_usd": money.usd(sums.usd_micro),
            "usdMissing": sums.usd_missing,
            "payments": sums.payments,
            "complete": day.revenue.complete,
            "flux_price_usd": price(row["flux_price_usd"]),
            **{key: row[key] for key in FLAT},
            **self._columns,
            **row["counts"],
            "sync_status": "partial" if any(row[total] is None for total in TOTALS) else "completed",
            "source": row["source"],
            "created_at": _unix(row["made_at"]),
        }

    def category(self, category: str, row: Any) -> Row:
        """The category's total and each tracked app under its short key."""
        told = split(row["counts"]).get(category, {})
        return {"total": row[CATEGORY_TOTALS[category]], **self._untold.get(category, {}), **told}

    def _categories(self, row: Any) -> dict[str, Row]:
        told = split(row["counts"])
        return {
            category: {"total": row[CATEGORY_TOTALS[category]], **untold, **told[category]}
            for category, untold in self._untold.items()
        }


def split(columns: dict[str, Any]) -> dict[str, Row]:
    """The tracked apps' values by category and short key: `gaming_palworld` is `palworld` of `gaming`."""
    found: dict[str, Row] = {str(category): {} for category in COUNTED}
    for column, value in columns.items():
        category, _, key = column.partition("_")
        if category in found:
            found[category][key] = value
    return found


def price(value: Any) -> float | None:
    return None if value is None else float(value)


def _earned(day: DayRow) -> Row:
    sums = day.revenue.sums
    return {
        "revenue": flux(sums.revenue_sat),
        "revenueUsd": money.usd(sums.usd_micro),
        "usdMissing": sums.usd_missing,
        "payments": sums.payments,
        "complete": day.revenue.complete,
    }


def _use(row: Any, key: str, column: str) -> Row:
    return {
        "total": row[f"total_{column}"],
        "used": row[f"used_{column}"],
        "utilization": row[f"{key}_utilization_percent"],
    }


def _unix(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
