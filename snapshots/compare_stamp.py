"""What the stamp of a comparison is made of: all that can change it, but the clock's way through the day."""

from __future__ import annotations

import hashlib
from datetime import datetime

from django.db.models import CharField, Count, Max, Value
from django.db.models.functions import Cast

from fluxtracker import __version__
from metrics.catalogue import COUNTED
from metrics.models import Source, TrackedApp
from revenue.models import LedgerState
from snapshots.compare import Span
from snapshots.models import Snapshot

READ = (Source.Name.NODES, Source.Name.CLOUD, Source.Name.APPS)
TEXT = CharField()

Facts = tuple[tuple[str | None, ...], ...]


def facts() -> Facts:
    """When each source was read, which apps are tracked, how the ledger and the snapshots stand. One small query."""
    sources = Source.objects.filter(name__in=READ).order_by().values_list("name", Cast("read_at", TEXT), Value(""))
    tracked = TrackedApp.objects.filter(active=True, category__in=COUNTED).order_by()
    ledger = LedgerState.objects.values_list(Value("ledger"), Cast("version", TEXT), Cast("completed_at", TEXT))
    days = Snapshot.objects.order_by().annotate(kind=Value("snapshots")).values("kind")
    days = days.annotate(rows=Cast(Count("id"), TEXT), last=Cast(Max("made_at"), TEXT))
    rows = sources.union(
        tracked.values_list("category", "key", Value("")), ledger, days.values_list("kind", "rows", "last"), all=True
    )
    return tuple(sorted(rows, key=str))


def stamp(span: Span, found: Facts, now: datetime) -> str:
    """Equal only for answers that are the same up to the age of their `toDate`."""
    return hashlib.sha256(repr((__version__, span.value, now.date(), found)).encode()).hexdigest()
