"""Summarise freshness, price, size and problems at the top of the page, and every source at the bottom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Literal

from django.conf import settings
from django.http import QueryDict

from dashboard.panels import first_start
from dashboard.panels.base import Panel
from dashboard.panels.tile_figures import change
from fluxtracker import formatting
from fluxtracker.api.conditional import make_etag
from metrics.models import Source
from metrics.selectors import Latest, metrics_stamp
from metrics.status import NAMES, source_status
from ops import health
from ops.health import Health
from ops.models import ALERT_AFTER, TaskState
from ops.status import Status, words
from revenue import pending
from revenue.models import DailyPrice, LedgerState, LivePrice
from revenue.selectors import ledger_stamp
from revenue.status import TASK, sync_status
from snapshots.models import Snapshot

Level = Literal["ok", "warn", "bad"]
BLOCK_TIME = timedelta(seconds=30)  # docs/upstream.md#common-traps: since height 2,020,000
OVERDUE = timedelta(minutes=10)  # two missed syncs: the known tip is no longer the chain's
WORDS: Mapping[Level, str] = {"ok": "All systems normal", "warn": "Degraded", "bad": "Down"}


def strip_status(health: Health, completed_at: datetime | None, now: datetime) -> dict[str, Any]:
    """Return the block up to which the ledger is complete, its lag and age, and problems.

    `completed_at` is when a sync last reached its tip, `tip_at` when that tip was read if it could not be since.
    """
    sync = health.report["sync"]
    statuses = (*health.problems, *_reliable(sync, completed_at))
    is_stuck = not sync["healthy"] and (completed_at is not None or sync["consecutiveFailures"] >= ALERT_AFTER)
    level: Level = "bad" if statuses and is_stuck else "warn" if statuses else "ok"
    behind, tip_at = _behind(sync, completed_at, now), _tip_at(sync, completed_at, now)
    if behind is not None and behind < settings.MIN_CONFIRMATIONS and not tip_at:
        behind = None  # the newest blocks count once they have enough confirmations
    return {
        "level": level,
        "word": WORDS[level],
        "synced_height": sync["lastSyncBlock"],
        "behind": behind,
        "behind_minutes": round((behind or 0) * BLOCK_TIME / timedelta(minutes=1)),
        "completed_at": completed_at,
        "statuses": statuses,
        "problems": list(dict.fromkeys(words(status, now, public=True) for status in statuses)),
        "tip_at": tip_at,
    }


def _behind(sync: Mapping[str, Any], completed_at: datetime | None, now: datetime) -> int | None:
    """Return blocks to the tip. The tip is as old as the last sync, so once that is overdue, time is added.

    If the chain could not be read, only the last known lag is returned.
    """
    if sync["lagBlocks"] is None or completed_at is None:
        return None
    if sync["consecutiveFailures"]:
        return int(sync["lagBlocks"])
    away = now - completed_at
    return int(sync["lagBlocks"]) + (away // BLOCK_TIME if away > OVERDUE else 0)


def _tip_at(sync: Mapping[str, Any], completed_at: datetime | None, now: datetime) -> str:
    if not sync["consecutiveFailures"] or completed_at is None:
        return ""
    return f"{completed_at:%H:%M} UTC" if completed_at.date() == now.date() else formatting.moment(completed_at)


def _reliable(sync: Mapping[str, Any], completed_at: datetime | None) -> Iterator[Status]:
    """Yield what readers can still rely on."""
    block = sync["lastSyncBlock"]
    if block is not None and completed_at is None:
        yield Status("first_sync", facts={"height": block})
    elif block is not None and not sync["healthy"]:
        height = min(block, (sync["unprovedSince"] or block + 1) - 1)
        yield Status("complete_until", facts={"height": height})


def read_strip(query: QueryDict, now: datetime) -> dict[str, Any]:
    """Read the strip in a few small queries."""
    state = health.look(now)
    completed_at = LedgerState.known().completed_at
    latest = Latest.load(now)
    status = strip_status(state, completed_at, now)
    starting = first_start.context(latest.sources, status["statuses"], now) if completed_at is None else {}
    return {
        **starting,
        "problems": starting.get("problems", status["problems"]),
        "status": status,
        "price": _price(now),
        "counts": (
            _count("nodes", "node_total", Source.Name.NODES, latest, now),
            _count("app containers", "total_apps", Source.Name.APPS, latest, now),
        ),
        "snapshot": _snapshot(now.date()),
        "quarantined": state.report["quarantine"],
        "version": make_etag(ledger_stamp(), metrics_stamp())[3:15],
        "pending": make_etag(pending.stamp(now))[3:15],
    }


def _price(now: datetime) -> dict[str, Any] | None:
    """Return the last price and its change from yesterday, as far as known."""
    live = LivePrice.last()
    if live is None:
        return None
    price = {"usd": live.price_usd, "source": "simulated" if settings.DEMO else live.source, "read_at": live.read_at}
    day = now.date() - timedelta(days=1)
    before = DailyPrice.objects.filter(day=day).values_list("price_usd", flat=True).first()
    if before is None:
        return price
    percentage = float(round((live.price_usd - before) * 100 / before, 1)) or 0.0  # of cents, dollars say little
    yesterday = f"yesterday's price was {formatting.price(before)}"
    return price | {"change": change(percentage, formatting.percent), "yesterday": yesterday}


def _count(label: str, metric: str, source: str, latest: Latest, now: datetime) -> dict[str, Any]:
    """Return a number of the network; `why` says why it is unknown, `note` that it is old."""
    note, value = words(source_status(latest.sources[source]), now, public=True), latest.values.get(metric)
    return {"label": label, "value": value, "why": note or "This source does not have it.", "note": note}


def _snapshot(today: date) -> str:
    """Return the last day with a snapshot in words, empty without one."""
    day = Snapshot.objects.exclude(source=Snapshot.Source.BACKFILLED).values_list("day", flat=True).first()
    if day is None:
        return ""
    return "today" if day == today else f"{day.day} {day:%b %Y}" if day.year != today.year else f"{day.day} {day:%b}"


STRIP = Panel("strip", "Freshness", "panels/strip/panel.html", read_strip)


def read_sources(query: QueryDict, now: datetime) -> dict[str, Any]:
    return {"sources": lines(now)}


def lines(now: datetime) -> list[dict[str, Any]]:
    """Return each source with its last read time and problem, in a few small queries."""
    latest, ledger = Latest.load(now), LedgerState.known()
    sync = sync_status(ledger, TaskState.of(TASK), now)
    chain = words(sync, now, public=True) if ledger.completed_at is not None and not sync.is_ok else ""
    rows = [{"name": "Payments", "read_at": ledger.completed_at, "trouble": chain, "is_old": bool(chain)}]
    for name in NAMES:
        view = latest.sources[name]
        trouble = words(source_status(view), now, public=True)
        is_old = view.status != "ok"
        rows.append({"name": NAMES[name], "read_at": view.read_at, "trouble": trouble, "is_old": is_old})
    return rows


SOURCES = Panel("sources", "Sources", "panels/strip/sources.html", read_sources)
