"""What the tests of comparisons have in common: readings, snapshots, and a way to ask."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.test import Client

from metrics.models import Source
from snapshots.models import Snapshot

NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)  # a Friday
SPANS = {"D": 1, "W": 7, "M": 30, "Q": 90, "Y": 365}
NODES = {"node_total": 13_500, "node_cumulus": 10_500, "node_nimbus": 2_000, "node_stratus": 1_000}
CLOUD = {
    "total_cpu_cores": 80_000.0,
    "used_cpu_cores": 20_000.0,
    "total_ram_gb": 250_000.5,
    "used_ram_gb": 50_000.1,
    "total_storage_gb": 9_000_000.0,
    "used_storage_gb": 0.0,
}
APPS = {
    "total_apps": 14_000,
    "watchtower_count": 5_000,
    "gitapps_count": 700,
    "dockerapps_count": 13_300,
    "gaming_apps_total": 900,
    "crypto_nodes_total": 1_500,
    "wordpress_count": 40,
    "gaming_palworld": 300,
    "crypto_kaspa": 10,
}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def read(now: datetime = NOW, *, age: timedelta = timedelta(minutes=5), **sources: dict[str, Any]) -> None:
    """The sources told these values so long ago; those not named, the values above."""
    for name, values in ({"nodes": NODES, "cloud": CLOUD, "apps": APPS} | sources).items():
        read_at = now - age
        Source.objects.update_or_create(name=name, defaults={"values": values, "read_at": read_at, "tried_at": read_at})


def snapshot(day: date, **values: Any) -> Snapshot:
    """A taken snapshot of the day with these columns; what is not named is not known."""
    made_at = datetime(day.year, day.month, day.day, 0, 6, tzinfo=UTC)
    return Snapshot.objects.create(**({"day": day, "source": "taken", "made_at": made_at} | values))


def ask(client: Client, period: str = "W") -> Any:
    response = client.get("/api/analytics/comparison", {"period": period})
    assert response.status_code == 200, response.content
    return response.json()


def leaves(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Every leaf of the metrics."""
    groups = [answer[name] for name in ("nodes", "apps", "gaming", "crypto", "wordpress")]
    return [leaf for group in [*groups, *answer["cloud"].values()] for leaf in group.values()]
