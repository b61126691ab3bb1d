"""Fill an empty database with years of daily snapshots, counts by image and the last readings."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from carousel.models import Feed
from metrics.metric_keys import tracked_apps
from metrics.models import ImageCount, Reading, Source
from revenue.models import LivePrice
from snapshots.models import ImageDay, Snapshot

DAY = timedelta(days=1)
IMAGES = 120  # different ones a day
NODES = {"node_cumulus": 3378, "node_nimbus": 1582, "node_stratus": 1764, "node_total": 6724}
CLOUD = {
    "total_cpu_cores": 54_451.0, "used_cpu_cores": 14_612.3, "total_ram_gb": 182_004.5,
    "used_ram_gb": 29_020.25, "total_storage_gb": 3_190_112.0, "used_storage_gb": 386_040.0,
}  # fmt: skip
APPS = {
    "total_apps": 12_480, "watchtower_count": 0, "gitapps_count": 2_100, "dockerapps_count": 10_380,
    "gaming_apps_total": 1_264, "crypto_nodes_total": 1_510, "wordpress_count": 763,
}  # fmt: skip


def fill_days(days: int, seed: int = 1) -> None:
    """`days` snapshots up to today, each with its images, and sources that were read just now."""
    rng, now = random.Random(seed), timezone.now().replace(microsecond=0)
    columns = [app.column for app in tracked_apps()]
    every = [now.date() - DAY * back for back in range(days)]
    Snapshot.objects.bulk_create([_snapshot(day, columns, rng, now) for day in every], batch_size=500)
    images = [f"library/image-{number}" for number in range(IMAGES)]
    counts = (
        ImageDay(day=day, image=image, category="gaming" if number % 5 else "", count=rng.randrange(1, 800))
        for day in every
        for number, image in enumerate(images)
    )
    ImageDay.objects.bulk_create(counts, batch_size=2_000)
    ImageCount.objects.bulk_create(ImageCount(image=image, count=rng.randrange(1, 800)) for image in images)
    tracked = {column: rng.randrange(0, 300) for column in columns}
    for name, values in (("nodes", NODES), ("cloud", CLOUD), ("apps", APPS | tracked), ("specs", {})):
        Source.objects.create(name=name, tried_at=now, read_at=now, values=values, coverage={"rows": 6724}, size=6724)
    LivePrice.objects.update_or_create(
        id=1, defaults={"price_usd": Decimal("0.0744"), "source": "coingecko", "read_at": now}
    )
    readings = [now - timedelta(minutes=10) * back for back in range(1_008)]
    Reading.objects.bulk_create([Reading(at=at, values=NODES | CLOUD | APPS | tracked) for at in readings], 500)


def _snapshot(day: date, columns: list[str], rng: random.Random, now: datetime) -> Snapshot:
    counts = {column: rng.randrange(0, 300) for column in columns}
    return Snapshot(
        day=day,
        source=Snapshot.Source.TAKEN,
        made_at=now,
        read_at=now,
        flux_price_usd=Decimal("0.0744"),
        counts=counts,
        **NODES,
        **CLOUD,
        **APPS,
    )


def fill_lists(items: int = 20) -> None:
    """The carousel's lists, read just now."""
    now = timezone.now().replace(microsecond=0)
    numbers = range(1, items + 1)
    network = [
        {"type": "app", "rank": n, "label": f"Image {n}", "name": f"library/image-{n}", "value": 900 - n,
         "unit": "instances", "category": None, "asOf": now.isoformat()}
        for n in numbers
    ]  # fmt: skip
    Feed.objects.create(name=Feed.Name.NETWORK, items=network, coverage={"rows": 6724}, read_at=now, tried_at=now)
