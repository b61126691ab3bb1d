"""The last values of the sources, and rows of days, for the tests of snapshots."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from metrics.models import ImageCount, Source
from revenue.models import LivePrice
from snapshots.models import ImageDay, Snapshot

DAY = date(2026, 11, 20)

NODES = {"node_total": 6724, "node_cumulus": 3378, "node_nimbus": 1582, "node_stratus": 1764}
CLOUD = {
    "total_cpu_cores": 54_451.0, "used_cpu_cores": 14_612.5, "total_ram_gb": 182_000.5, "used_ram_gb": 29_000.25,
    "total_storage_gb": 3_190_000.0, "used_storage_gb": 386_000.0,
}  # fmt: skip
APPS = {
    "total_apps": 13_000, "watchtower_count": 0, "gitapps_count": 400, "dockerapps_count": 12_600,
    "gaming_apps_total": 700, "crypto_nodes_total": 2_900, "wordpress_count": 45,
    "gaming_palworld": 61, "crypto_presearch": 1_200,
}  # fmt: skip
VALUES: dict[str, dict[str, Any] | None] = {"nodes": NODES, "cloud": CLOUD, "apps": APPS, "specs": None, "price": None}
IMAGES = {
    "presearch/node": ("crypto", 1_200),
    "thijsvanloef/palworld-server-docker": ("gaming", 60),
    "itzg/minecraft-server": ("gaming", 9),
    "nginx": ("", 300),
}


def at(text: str, day: date = DAY) -> datetime:
    """An instant of the day: `at("00:07")`."""
    return datetime.fromisoformat(f"{day}T{text}+00:00")


def collected(when: datetime, *names: str, error: str = "") -> None:
    """A collection at this instant: the named sources (or all) were read, or failed with the error."""
    for name in names or tuple(VALUES):
        row = Source.objects.filter(name=name).first() or Source(name=name)
        row.tried_at, row.error = when, error
        if error:
            row.failures += 1
        else:
            row.read_at, row.failures, row.values = when, 0, VALUES[name]
        row.save()
        if name == "price" and not error:
            LivePrice.objects.update_or_create(
                id=1, defaults={"price_usd": Decimal("0.0744310000"), "source": "coingecko", "read_at": when}
            )
        if name == "apps" and not error:
            ImageCount.objects.all().delete()
            rows = [ImageCount(image=image, category=kind, count=n) for image, (kind, n) in IMAGES.items()]
            ImageCount.objects.bulk_create(rows)


def snapshot(day: date, *, source: str = "taken", **values: Any) -> Snapshot:
    """A day's row with everything known, but for what is given."""
    counts = {key: value for key, value in APPS.items() if key.startswith(("gaming_pal", "crypto_pre"))}
    columns = NODES | CLOUD | {key: value for key, value in APPS.items() if key not in counts}
    instant = datetime(day.year, day.month, day.day, 0, 7, tzinfo=UTC)
    known = {"read_at": instant, "made_at": instant, "flux_price_usd": Decimal("0.07"), "counts": counts, **columns}
    return Snapshot.objects.create(day=day, source=source, **(known | values))


def backfilled(day: date, **values: Any) -> Snapshot:
    """A day of which nothing but what is given is known."""
    made_at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return Snapshot.objects.create(day=day, source="backfilled", made_at=made_at, **values)


def images(day: date, **counts: int) -> None:
    """Counts of images on a day; `__` in a name is a slash."""
    rows = [ImageDay(day=day, image=name.replace("__", "/"), category="gaming", count=n) for name, n in counts.items()]
    ImageDay.objects.bulk_create(rows)
