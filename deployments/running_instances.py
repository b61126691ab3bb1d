"""Compare running instances with paid ones.

An app is in force until its end. FluxOS removes it within about a day after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery

from deployments import stored_block_times
from deployments.models import AppEvent, AppLife, MessagesState
from metrics.models import InstanceChange, RunningApp
from metrics.selectors import Running, running_instances

GONE_BLOCKS = 2_880  # a day: apps still running after it are unpaid
GONE = timedelta(days=1)
UNDER_FOR = timedelta(hours=24)

Report = dict[str, Any]
Rows = dict[str, list[tuple[datetime, Any]]]

NO_LOCATIONS = "The running instances have not been read yet."
NO_MESSAGES = "The messages of apps have not been read yet."
NONE_IN_FORCE = "No app in force has a known number of instances."


@dataclass(frozen=True, slots=True)
class Ordered:
    """An app in force, its paid instances, and the message that ordered them."""

    key: str
    name: str
    instances: int
    message_hash: str | None


def fill(now: datetime) -> Report:
    """Return how much of the order is running. At most ten queries."""
    running = running_instances()
    if running.at is None or not MessagesState.objects.filter(read_at__isnull=False).exists():
        return _unknown(running)
    lives = AppLife.objects.filter(end_at__gt=now)
    orders = [
        Ordered(*row) for row in lives.exclude(instances=None).values_list("app_key", "name", "instances", _newest())
    ]
    ordered = sum(order.instances for order in orders)
    counts = {order.key: running.of(order.key) or 0 for order in orders}
    filled = sum(min(counts[order.key], order.instances) for order in orders)
    in_force = set(lives.values_list("app_key", flat=True))
    expired, ended = _expired(running, in_force, now)
    known = set(AppLife.objects.filter(app_key__in=running.apps).values_list("app_key", flat=True))
    return {
        "ordered": ordered,
        "running": filled,
        "fill_percent": round(100 * filled / ordered, 2) if ordered else None,
        "surplus": sum(max(counts[order.key] - order.instances, 0) for order in orders),
        "under": _under([order for order in orders if counts[order.key] < order.instances], counts, now),
        "expiredRunning": expired,
        "oldVersion": sum(map(_old, orders, (running.apps.get(order.key) for order in orders))),
        "as_of": running.at,
        "coverage": {
            "appsInForce": len(in_force),
            "ordersKnown": len(orders),
            "endsUnknown": AppLife.objects.filter(end_at=None).count(),
            "instances": sum(row.instances for row in running.apps.values()),
            "instancesOfUnknownApps": _count(running, running.apps.keys() - known),
            "instancesJustEnded": ended,
        },
        "notes": {} if ordered else {"fill_percent": NONE_IN_FORCE},
    }


def _unknown(running: Running) -> Report:
    keys = ("ordered", "running", "fill_percent", "surplus", "under", "expiredRunning", "oldVersion")
    why = NO_LOCATIONS if running.at is None else NO_MESSAGES
    return {**dict.fromkeys(keys), "as_of": running.at, "coverage": {}, "notes": dict.fromkeys(keys, why)}


def _counting(**where: Any) -> QuerySet[AppEvent]:
    """Return the messages that count, newest first."""
    without = (AppEvent.Kind.IGNORED, AppEvent.Kind.LOST)
    return AppEvent.objects.filter(**where).exclude(kind__in=without).order_by("app", "-position")


def _newest() -> Subquery:
    """Return the message in force."""
    return Subquery(_counting(app=OuterRef("pk")).order_by("-position").values("message_hash")[:1])


def _old(order: Ordered, running: RunningApp | None) -> int:
    """Count instances that run another message's specification than the newest."""
    if running is None or not order.message_hash:
        return 0
    return sum(many for hash_, many in running.hashes.items() if hash_ and hash_ != order.message_hash)


def _count(running: Running, keys: Collection[str]) -> int:
    return sum(running.apps[key].instances for key in keys)


def _expired(running: Running, in_force: Collection[str], now: datetime) -> tuple[list[Report], int]:
    """Return apps still running a day or more after their end, and instances of those that just ended."""
    tip = stored_block_times.tip_of_ledger()
    past = Q(end_height=None, end_at__lte=now - GONE)
    past |= Q(end_height__lte=tip - GONE_BLOCKS) if tip else Q(end_at__lte=now - GONE)
    ended = AppLife.objects.filter(app_key__in=running.apps.keys() - in_force).exclude(end_at=None)
    apps = list(ended.filter(past).order_by("end_at", "app_key").values_list("app_key", "name", "end_at"))
    keys = {key for key, _, _ in apps}
    rows = [{"name": name, "instances": running.apps[key].instances, "endedAt": end_at} for key, name, end_at in apps]
    return rows, _count(running, set(ended.values_list("app_key", flat=True)) - keys)


def _under(short: Sequence[Ordered], counts: Mapping[str, int], now: datetime) -> list[Report]:
    """Return apps with fewer instances than paid for more than 24 hours, emptiest first."""
    since = _short_since(short, now)
    rows = [
        {"name": order.name, "ordered": order.instances, "running": counts[order.key], "since": since[order.key]}
        for order in short
        if now - since[order.key] > UNDER_FOR
    ]
    return sorted(rows, key=lambda row: (row["running"] / row["ordered"], row["name"]))


def _short_since(short: Sequence[Ordered], now: datetime) -> dict[str, datetime]:
    """Return since when each app has had fewer instances than ordered, as far back as censuses reach."""
    ordered = {order.key: order.instances for order in short}
    first = InstanceChange.objects.order_by("at").values_list("at", flat=True).first() or now
    of_app = InstanceChange.objects.filter(app_key=OuterRef("pk"))
    enough = of_app.filter(instances__gte=OuterRef("instances")).order_by("-at")
    few = of_app.filter(at__gt=OuterRef("enough_at")).order_by("at")
    lives_short = AppLife.objects.filter(pk__in=ordered).annotate(enough_at=Subquery(enough.values("at")[:1]))
    few_at = dict(lives_short.annotate(few_at=Subquery(few.values("at")[:1])).values_list("pk", "few_at"))
    orders: Rows = defaultdict(list)
    lives: dict[str, int] = {}
    for key, at, life, instances in _counting(app__in=ordered).values_list("app_id", "at", "life", "instances"):
        of_now = lives.setdefault(key, life) == life
        orders[key].append((at, of_now and (instances or 0) >= ordered[key]))
    return {key: max(few_at[key] or first, _oldest(orders[key], first)) for key in ordered}


def _oldest(rows: Sequence[tuple[datetime, bool]], first: datetime) -> datetime:
    """Return the time of the oldest row in the newest run of true rows, `first` if there is none."""
    newest = list(takewhile(lambda row: row[1], rows))
    return newest[-1][0] if newest else first
