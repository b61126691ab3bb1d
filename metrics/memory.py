"""What one collection leaves for the next, compressed, and how long it may stand in for what is not told."""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog

from metrics.models import Memory

log = structlog.get_logger(__name__)

NODES, SPECS = "nodes", "specs"
KEEPS = timedelta(hours=24)


def recall(name: str, now: datetime) -> tuple[Any, datetime] | None:
    """What was remembered and when; None when there is nothing, or nothing of the last 24 hours."""
    row = Memory.objects.filter(name=name, updated_at__gte=now - KEEPS).first()
    if row is None:
        return None
    try:
        return orjson.loads(zlib.decompress(row.data)), row.updated_at
    except (zlib.error, orjson.JSONDecodeError):
        log.warning("memory_damaged", memory=name)
        return None


def remember(name: str, data: object, now: datetime) -> None:
    packed = zlib.compress(orjson.dumps(data), 1)
    Memory.objects.update_or_create(name=name, defaults={"data": packed, "updated_at": now})
