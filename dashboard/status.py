"""Describe freshness and problems in sentences for readers, without hosts, paths or codes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from dashboard.definitions import SENTENCES
from fluxtracker import formatting
from metrics.selectors import Latest, SourceView
from ops import checks, health
from ops.models import ServiceState
from ops.runs import ALERT_AFTER

Reason = Literal["silent", "doubted", "behind", "astray", "unusable"]  # doubted: not confirmed yet

SILENT = re.compile(
    r"no answer within|connection (refused|failed|broke)|name is not known|TLS failed|HTTP (5\d\d|408|429)\b"
    r"|too slowly|timed out|while reading|not asked: it failed before"
)  # as fluxtracker.upstream words it
BEHIND = re.compile(r"stands at block \d|height went backwards")  # as revenue.sync.engine words it
ASTRAY = re.compile(r"is on another branch than|contradicts the ledger")  # as revenue.sync.completeness words it
DOUBTED = "implausible: "  # as metrics.sources words it
SHORT: dict[Reason, str] = {
    "silent": "did not answer",
    "doubted": "gave numbers that are not confirmed yet",
    "behind": "was behind the chain",
    "astray": "followed another branch of the chain",
    "unusable": "gave an answer that could not be used",
}
LONG: dict[Reason, str] = {
    "silent": "has not answered",
    "doubted": "has given no confirmed numbers",
    "behind": "has been behind the chain",
    "astray": "has followed another branch of the chain",
    "unusable": "has given no answer that could be used",
}


def reason(error: str) -> Reason:
    """Return what an error that was noted down means."""
    if error.startswith(DOUBTED):
        return "doubted"
    if BEHIND.search(error):
        return "behind"
    if ASTRAY.search(error):
        return "astray"
    return "silent" if SILENT.search(error) else "unusable"


def once(error: str) -> str:
    """After who: of one try."""
    return SHORT[reason(error)]


def reason_since(error: str) -> str:
    """After who and before since when."""
    return LONG[reason(error)]


NEVER = "not read yet"


def trouble(view: SourceView) -> str:
    """Empty when the source is in order."""
    name = SENTENCES[view.name]
    if view.status == "ok":
        return ""
    if view.read_at is None:
        tried = f"; the source {once(view.error)} at {_at(view)}" if view.error else ""
        return f"{name}: {NEVER}{tried}."
    since = formatting.moment(view.read_at)
    if view.error:
        return f"{name}: the source {reason_since(view.error)} since {since}; what is shown is from then."
    return f"{name}: not read since {since}; what is shown is from then."


def troubles(names: Iterable[str], latest: Latest) -> tuple[str, ...]:
    """Of several sources, those that have any."""
    return tuple(filter(None, (trouble(latest.sources[name]) for name in names)))


def _at(view: SourceView) -> str:
    return formatting.moment(view.tried_at) if view.tried_at else "an unknown time"


Report = Mapping[str, Any]

IN_THE_ADMIN = "the reason is in the admin."
NAMES: Mapping[str, str] = {  # of the checked upstreams; each other one is a Blockbook, named by its host
    "daemon": "The Flux daemon",
    "fluxos": "FluxOS",
    "stats": "The statistics of Flux",
    "coingecko": "CoinGecko",
    "binance": "Binance",
    "explorer": "The Flux explorer",
    "cryptocompare": "CryptoCompare",
}
BLOCKBOOK = "A source of the chain"


def sentences(report: Report, sources: Iterable[SourceView], now: datetime) -> Iterator[str]:
    """Of a health report whose database answers. At most one query."""
    services = {name: _task(service) for name, service in report["services"].items()}
    backup = report["backup"] and _task(report["backup"])
    plain = dict(report) | {"sync": _sync(report["sync"]), "services": services, "backup": backup}
    yield from health.sentences(plain)
    yield from (trouble(view) for view in sources if view.status in ("stale", "failed"))
    for state in ServiceState.objects.filter(consecutive_failures__gte=ALERT_AFTER):
        yield _check(state, now)


def _task(service: Report) -> Report:
    return dict(service) | {"error": IN_THE_ADMIN}


def _sync(sync: Report) -> Report:
    failures, reason = sync["consecutiveFailures"], sync["reason"]
    if failures >= ALERT_AFTER and sync["unprovedSince"] is None:
        reason = f"reading them failed {failures} times in a row"
    failed = [f"it {once(error)}" for error in sync["failedSources"] or ()]
    return dict(sync) | {"reason": reason, "failedSources": list(dict.fromkeys(failed))}


def payments(sync: Report) -> str:
    """Return why payments may be missing, for those who read the page; empty when the sync is in order."""
    return "" if sync["healthy"] else health.payments_missing(_sync(sync)["reason"])


def _check(state: ServiceState, now: datetime) -> str:
    """The state is only read here: what is put into it is said and not kept."""
    if state.kind == ServiceState.Kind.API:
        state.name, state.detail = NAMES.get(state.name, BLOCKBOOK), f"it {once(state.detail)}"
    return checks.sentence(state, now)


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
    problems: tuple[str, ...]
    tip_at: str
    """When the tip was read, where it could not be read since; else empty."""

    @property
    def behind_minutes(self) -> int:
        """About how long the chain takes for the blocks we are behind."""
        return round((self.behind or 0) * BLOCK_TIME / timedelta(minutes=1))

    @property
    def word(self) -> str:
        """Return the strip's colour in words."""
        return WORDS[self.level]


def read(
    report: Mapping[str, Any], completed_at: datetime | None, sources: Iterable[SourceView], now: datetime
) -> Standing:
    """From the health report, the time a sync last reached its tip and the metrics' sources. At most one query."""
    sync = report["sync"]
    told = sentences(report, sources, now)
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
    """Return blocks to the tip. The tip is as old as the last sync: once that is overdue, time counts on.

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
    return f"{completed_at:%H:%M} UTC" if completed_at.date() == now.date() else formatting.moment(completed_at)


def _reading_problems(sync: Mapping[str, Any], completed_at: datetime | None) -> Iterator[str]:
    """What the reader may still rely on. Only where the report tells a problem, too."""
    if not sync["healthy"] and completed_at is not None and sync["lastSyncBlock"] is not None:
        height = min(sync["lastSyncBlock"], (sync["unprovedSince"] or sync["lastSyncBlock"] + 1) - 1)
        yield f"Payments up to block {formatting.whole(height)} are complete; newer ones will follow."
    elif completed_at is None and sync["lastSyncBlock"] is not None:
        yield f"The first sync has read up to block {formatting.whole(sync['lastSyncBlock'])}."
