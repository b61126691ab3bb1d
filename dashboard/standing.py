"""How fresh the page is and whether anything is wrong, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from fluxtracker import figures
from ops.models import TaskState
from ops.runs import ALERT_AFTER

Level = Literal["ok", "warn", "bad"]
BLOCK_TIME = timedelta(seconds=30)  # upstream.md 0.8: since height 2,020,000
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

    @property
    def behind_minutes(self) -> int:
        """About how long the chain takes for the blocks we are behind."""
        return round((self.behind or 0) * BLOCK_TIME / timedelta(minutes=1))

    @property
    def word(self) -> str:
        """The strip's colour, said."""
        return WORDS[self.level]


def read(report: Mapping[str, Any], completed_at: datetime | None, now: datetime) -> Standing:
    """From the health report and the time a sync last reached its tip. At most one query."""
    sync = report["sync"]
    problems = (*report["problems"], *_reading_problems(sync, completed_at))
    return Standing(
        level=_level(sync, completed_at) if problems else "ok",
        synced_height=sync["lastSyncBlock"],
        behind=_behind(sync, completed_at, now),
        completed_at=completed_at,
        problems=problems,
    )


def _level(sync: Mapping[str, Any], completed_at: datetime | None) -> Level:
    """Red when the figures are no more current, amber when something else needs a look."""
    stuck = not sync["healthy"] and (completed_at is not None or sync["consecutiveFailures"] >= ALERT_AFTER)
    return "bad" if stuck else "warn"


def _behind(sync: Mapping[str, Any], completed_at: datetime | None, now: datetime) -> int | None:
    """Blocks to the tip. The tip is as old as the last sync: once that is overdue, time counts on."""
    if sync["lagBlocks"] is None or completed_at is None:
        return None
    away = now - completed_at
    return int(sync["lagBlocks"]) + (away // BLOCK_TIME if away > OVERDUE else 0)


def _reading_problems(sync: Mapping[str, Any], completed_at: datetime | None) -> Iterator[str]:
    """What the report leaves out: a failure that is no alert yet, and what the reader may still rely on."""
    if 0 < sync["consecutiveFailures"] < ALERT_AFTER:
        error = TaskState.objects.filter(name="sync_revenue").values_list("last_error", flat=True).first()
        yield f"The chain could not be read at the last try, and is tried again: {error}"
    if not sync["healthy"] and completed_at is not None and sync["lastSyncBlock"] is not None:
        height = figures.whole(sync["lastSyncBlock"])
        yield f"Payments up to block {height} are complete; newer ones will follow."
    elif completed_at is None and sync["lastSyncBlock"] is not None:
        yield f"The first sync has read up to block {figures.whole(sync['lastSyncBlock'])}."
