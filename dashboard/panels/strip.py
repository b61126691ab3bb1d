"""Summarise freshness, price, size and problems at the top of the page, and every source at its foot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from django.http import QueryDict

from dashboard.panels.base import Panel
from dashboard.panels.figures import Change, change
from fluxtracker import formatting
from fluxtracker.api.conditional import make_etag
from metrics.catalogue import Number
from metrics.models import Source
from metrics.selectors import Latest, metrics_stamp
from metrics.status import NAMES, source_status
from ops import health
from ops.health import Health
from ops.models import ALERT_AFTER, TaskState
from ops.status import Status, words
from revenue.models import DailyPrice, LedgerState, LivePrice
from revenue.selectors import ledger_stamp
from revenue.status import TASK, sync_status
from snapshots.models import Snapshot

Level = Literal["ok", "warn", "bad"]
BLOCK_TIME = timedelta(seconds=30)  # docs/upstream.md#common-traps: since height 2,020,000
OVERDUE = timedelta(minutes=10)  # two syncs missed: the tip we know is no more the chain's
WORDS: Mapping[Level, str] = {"ok": "All systems normal", "warn": "Degraded", "bad": "Down"}


@dataclass(frozen=True, slots=True)
class StripStatus:
    """The status strip: the block the ledger is complete up to, how far that is from the tip, how old."""

    level: Level
    synced_height: int | None
    behind: int | None
    completed_at: datetime | None
    statuses: tuple[Status, ...]
    problems: tuple[str, ...]
    """The same in words."""
    tip_at: str
    """When the tip was read, where it could not be read since; else empty."""

    @property
    def behind_minutes(self) -> int:
        """Return about how long the chain takes for the blocks we are behind."""
        return round((self.behind or 0) * BLOCK_TIME / timedelta(minutes=1))

    @property
    def word(self) -> str:
        """Return the strip's colour in words."""
        return WORDS[self.level]


def strip_status(health: Health, completed_at: datetime | None, now: datetime) -> StripStatus:
    """Make it from the health report and the time a sync last reached its tip."""
    sync = health.report["sync"]
    statuses = (*health.problems, *_reliable(sync, completed_at))
    return StripStatus(
        level=_level(sync, completed_at) if statuses else "ok",
        synced_height=sync["lastSyncBlock"],
        behind=_behind(sync, completed_at, now),
        completed_at=completed_at,
        statuses=statuses,
        problems=tuple(dict.fromkeys(words(status, now, public=True) for status in statuses)),
        tip_at=_tip_at(sync, completed_at, now),
    )


def _level(sync: Mapping[str, Any], completed_at: datetime | None) -> Level:
    """Return red when the figures are out of date, amber for any other problem."""
    stuck = not sync["healthy"] and (completed_at is not None or sync["consecutiveFailures"] >= ALERT_AFTER)
    return "bad" if stuck else "warn"


def _behind(sync: Mapping[str, Any], completed_at: datetime | None, now: datetime) -> int | None:
    """Return blocks to the tip. The tip is as old as the last sync: once that is overdue, time counts on.

    Where the chain could not be read, only how far it was is known.
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
    """Yield what the reader may still rely on."""
    block = sync["lastSyncBlock"]
    if block is not None and completed_at is None:
        yield Status("first_sync", facts={"height": block})
    elif block is not None and not sync["healthy"]:
        height = min(block, (sync["unprovedSince"] or block + 1) - 1)
        yield Status("complete_until", facts={"height": height})


@dataclass(frozen=True, slots=True)
class Price:
    """The last price. `change`: against yesterday's; None where that is unknown."""

    usd: Decimal
    source: str
    read_at: datetime
    change: Change | None
    yesterday: str


@dataclass(frozen=True, slots=True)
class Count:
    """A number of the network; `why` says why it is unknown, `note` that it is old."""

    label: str
    value: Number | None
    why: str
    note: str


def read_strip(query: QueryDict, now: datetime) -> dict[str, Any]:
    """Read the strip in a few small queries."""
    found = health.look(now)
    completed_at = LedgerState.objects.values_list("completed_at", flat=True).first()
    latest = Latest.load(now)
    return {
        "status": strip_status(found, completed_at, now),
        "price": _price(now),
        "counts": (
            _count("nodes", "node_total", Source.Name.NODES, latest, now),
            _count("app containers", "total_apps", Source.Name.APPS, latest, now),
        ),
        "snapshot": _snapshot(now.date()),
        "quarantined": found.report["quarantine"],
        "version": make_etag(ledger_stamp(), metrics_stamp())[3:15],
    }


def _price(now: datetime) -> Price | None:
    live = LivePrice.objects.first()
    if live is None:
        return None
    yesterday = (
        DailyPrice.objects.filter(day=now.date() - timedelta(days=1)).values_list("price_usd", flat=True).first()
    )
    return Price(live.price_usd, live.source, live.read_at, _since(yesterday, live.price_usd), _words(yesterday))


def _since(before: Decimal | None, now: Decimal) -> Change | None:
    """Return the change in percent: the difference of two prices below a dollar says little."""
    if before is None:
        return None
    percentage = float(round((now - before) * 100 / before, 1)) or 0.0
    return change(percentage, formatting.percent)


def _words(yesterday: Decimal | None) -> str:
    return "" if yesterday is None else f"yesterday's price was {formatting.price(yesterday)}"


def _count(label: str, metric: str, source: str, latest: Latest, now: datetime) -> Count:
    said = words(source_status(latest.sources[source]), now, public=True)
    value = latest.values.get(metric)
    return Count(label, value, said or "This source does not tell it." if value is None else "", said)


def _snapshot(today: date) -> str:
    """Return the last day that has a snapshot, in words; empty when there is none."""
    day = Snapshot.objects.exclude(source=Snapshot.Source.BACKFILLED).values_list("day", flat=True).first()
    if day is None:
        return ""
    return "today" if day == today else f"{day.day} {day:%b %Y}" if day.year != today.year else f"{day.day} {day:%b}"


STRIP = Panel("strip", "Freshness", "parts/strip.html", read_strip)


@dataclass(frozen=True, slots=True)
class SourceLine:
    """`read_at` None: never read. `trouble` is empty when all is well."""

    name: str
    read_at: datetime | None
    trouble: str


def read_sources(query: QueryDict, now: datetime) -> dict[str, Any]:
    return {"sources": lines(now)}


def lines(now: datetime) -> list[SourceLine]:
    """Return one line per source, in a few small queries."""
    latest = Latest.load(now)
    views = [latest.sources[name] for name in NAMES]
    return [
        _chain(now),
        *(SourceLine(NAMES[view.name], view.read_at, words(source_status(view), now, public=True)) for view in views),
    ]


def _chain(now: datetime) -> SourceLine:
    ledger = LedgerState.known()
    status = sync_status(ledger, TaskState.of(TASK), now)
    is_problem = ledger.completed_at is not None and not status.is_ok
    return SourceLine("Payments", ledger.completed_at, words(status, now, public=True) if is_problem else "")


SOURCES = Panel("sources", "Sources", "parts/sources.html", read_sources)
