"""Rows for tests of series: snapshots, images, readings of a network on 20 November 2026."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from metrics.models import Source
from snapshots.models import ImageDay, Snapshot

TODAY = date(2026, 11, 20)  # a Friday
NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def snapshot(day: date, source: str = "taken", **columns: Any) -> Snapshot:
    return Snapshot.objects.create(day=day, source=source, made_at=NOW, **columns)


def nodes(first: date, values: list[int | None], source: str = "taken") -> None:
    """Snapshots of days in a row with these numbers of nodes."""
    Snapshot.objects.bulk_create(
        Snapshot(day=first + DAY * number, source=source, made_at=NOW, node_total=value)
        for number, value in enumerate(values)
    )


def image(day: date, name: str, count: int) -> None:
    ImageDay.objects.create(day=day, image=name, count=count)


def read_now(name: str, values: dict[str, Any], at: datetime = NOW - timedelta(minutes=5), error: str = "") -> None:
    """A source was read."""
    Source.objects.update_or_create(
        name=name, defaults={"values": values, "read_at": at, "tried_at": at, "error": error}
    )
