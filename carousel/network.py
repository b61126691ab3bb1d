"""The first list: the images with the most running instances, then the best benchmarks of all tiers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from carousel.items import Drawn, Item
from carousel.labels import label
from fluxtracker.upstream.stats import Benchmarks
from metrics.models import ImageCount, Source, TrackedApp
from metrics.patterns import image_matcher
from ops.health import iso

TOP = 10
BESTS = (  # key, label, unit, attribute of a benchmark
    ("cores", "Most CPU cores", "cores", "cores"),
    ("ram", "Most memory", "GB", "ram_gb"),
    ("ssd", "Most storage", "GB", "storage_gb"),
    ("eps", "Fastest CPU", "events/s", "eps"),
    ("ddwrite", "Fastest disk", "MB/s", "write_mbs"),
    ("download", "Fastest download", "Mbit/s", "download_mbit"),
    ("upload", "Fastest upload", "Mbit/s", "upload_mbit"),
)


def network(benchmarks: Benchmarks, now: datetime) -> Drawn:
    """As many images as were counted, at most ten: none before the first collection of metrics."""
    items = [*_images(), *_bests(benchmarks, now)]
    left_out = sum(benchmarks.left_out.values())
    return Drawn(items, {"rows": benchmarks.rows, "repeated": benchmarks.repeated, "leftOut": left_out})


def _images() -> Iterator[Item]:
    read_at = Source.objects.filter(name=Source.Name.APPS).values_list("read_at", flat=True).first()
    system = _system_images()
    rows = (row for row in ImageCount.objects.filter(count__gt=0) if not (system and system.search(row.image)))
    for rank, row in zip(range(1, TOP + 1), rows, strict=False):
        yield {
            "type": "app",
            "rank": rank,
            "label": label(row.image),
            "name": row.image,
            "value": row.count,
            "unit": "instances",
            "category": row.category or None,
            "asOf": iso(read_at),
        }


def _system_images() -> re.Pattern[str] | None:
    """Watchtower and what else runs everywhere without being an app."""
    patterns = TrackedApp.objects.filter(category=TrackedApp.Category.SYSTEM, active=True)
    return image_matcher(part for parts in patterns.values_list("image_patterns", flat=True) for part in parts)


def _bests(benchmarks: Benchmarks, now: datetime) -> Iterator[Item]:
    """The best node of each kind of number, by its tier alone: nobody learns where it is."""
    for rank, (key, words, unit, attribute) in enumerate(BESTS, 1):
        value, tier = max((getattr(node, attribute) or 0, node.tier) for node in benchmarks.nodes)
        if value > 0:
            yield {
                "type": "benchmark",
                "rank": rank,
                "key": key,
                "label": words,
                "name": f"{tier.capitalize()} node",
                "value": value,
                "unit": unit,
                "asOf": iso(now),
            }
