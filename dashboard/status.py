"""Describe freshness and problems for readers of the page, without hosts, paths and errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from fluxtracker import formatting
from metrics.selectors import Latest
from metrics.status import source_status
from ops.health import Health
from ops.models import ALERT_AFTER
from ops.status import Status, words


def problems_of(sources: Iterable[str], latest: Latest, now: datetime) -> tuple[str, ...]:
    """Return what is wrong with these sources, a sentence for each that is not ok."""
    statuses = (source_status(latest.sources[name]) for name in sources)
    return tuple(words(status, now, public=True) for status in statuses if not status.is_ok)


Level = Literal["ok", "warn", "bad"]
BLOCK_TIME = timedelta(seconds=30)  # docs/upstream.md#common-traps: since height 2,020,000
OVERDUE = timedelta(minutes=10)  # two syncs missed: the tip we know is no more the chain's
WORDS: Mapping[Level, str] = {"ok": "All systems normal", "warn": "Degraded", "bad": "Down"}


@dataclass(frozen=True, slots=True)
class Standing:
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


def read(health: Health, completed_at: datetime | None, now: datetime) -> Standing:
    """Make it from the health report and the time a sync last reached its tip."""
    sync = health.report["sync"]
    statuses = (*health.problems, *_reliable(sync, completed_at))
    return Standing(
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
