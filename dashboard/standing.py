"""How fresh the page is and whether anything is wrong, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from dashboard import problems
from fluxtracker import figures
from metrics.latest import SourceView
from ops.runs import ALERT_AFTER

Level = Literal["ok", "warn", "bad"]
BLOCK_TIME = timedelta(seconds=30)  # docs/upstream.md#common-traps: since height 2,020,000
OVERDUE = timedelta(minutes=10)  # two syncs missed: the tip we know is no more the chain's
WORDS: Mapping[Level, str] = {"ok": "In order", "warn": "Not quite in order", "bad": "Not in order"}


@dataclass(frozen=True, slots=True)
class Standing:
    """The status strip: the block the ledger is complete up to, how far that is from the tip, how old."""

    level: Level
    synced_height: int | None
    behind: int | None
    completed_at: datetime | None
    problems: tuple[str, ...]
    tip_at: str
    """When the tip was read, where it could not be read since; else empty."""

    @property
    def behind_minutes(self) -> int:
        """About how long the chain takes for the blocks we are behind."""
        return round((self.behind or 0) * BLOCK_TIME / timedelta(minutes=1))

    @property
    def word(self) -> str:
        """The strip's colour, said."""
        return WORDS[self.level]


def read(
    report: Mapping[str, Any], completed_at: datetime | None, sources: Iterable[SourceView], now: datetime
) -> Standing:
    """From the health report, the time a sync last reached its tip and the metrics' sources. At most one query."""
    sync = report["sync"]
    told = problems.sentences(report, sources, now)
    said = (*told, *_reading_problems(sync, completed_at))
    return Standing(
        level=_level(sync, completed_at) if said else "ok",
        synced_height=sync["lastSyncBlock"],
        behind=_behind(sync, completed_at, now),
        completed_at=completed_at,
        problems=said,
        tip_at=_tip_at(sync, completed_at, now),
    )


def _level(sync: Mapping[str, Any], completed_at: datetime | None) -> Level:
    """Red when the figures are no more current, amber when something else needs a look."""
    stuck = not sync["healthy"] and (completed_at is not None or sync["consecutiveFailures"] >= ALERT_AFTER)
    return "bad" if stuck else "warn"


def _behind(sync: Mapping[str, Any], completed_at: datetime | None, now: datetime) -> int | None:
    """Blocks to the tip. The tip is as old as the last sync: once that is overdue, time counts on.

    Not where the chain could not be read: nobody knows how far it is, only how far it was.
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
    return f"{completed_at:%H:%M} UTC" if completed_at.date() == now.date() else figures.moment(completed_at)


def _reading_problems(sync: Mapping[str, Any], completed_at: datetime | None) -> Iterator[str]:
    """What the reader may still rely on. Only where the report tells a problem, too."""
    if not sync["healthy"] and completed_at is not None and sync["lastSyncBlock"] is not None:
        height = min(sync["lastSyncBlock"], (sync["unprovedSince"] or sync["lastSyncBlock"] + 1) - 1)
        yield f"Payments up to block {figures.whole(height)} are complete; newer ones will follow."
    elif completed_at is None and sync["lastSyncBlock"] is not None:
        yield f"The first sync has read up to block {figures.whole(sync['lastSyncBlock'])}."
