"""Which backups are kept: each of today's, then the newest of 7 days, of 4 weeks and of 12 months."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, date, datetime
from pathlib import Path

import structlog

from ops.backup import origin
from ops.backup_file import header_of

log = structlog.get_logger(__name__)

NAME = re.compile(r"fluxtracker-(\d{8}T\d{6}Z)\.jsonl\.gz")
STAMP = "%Y%m%dT%H%M%SZ"
Period = Callable[[date], Hashable]
KEPT: tuple[tuple[int, Period], ...] = (
    (7, lambda day: day),
    (4, lambda day: day.isocalendar()[:2]),
    (12, lambda day: (day.year, day.month)),
)


def rotate(folder: Path, now: datetime) -> list[Path]:
    """Delete what is not kept any more, of what this installation made. Answers what was deleted."""
    made = {path: at for path in folder.iterdir() if (at := _made_at(path)) is not None}
    keep = kept(made.values(), now.date())
    gone = [path for path in sorted(made) if made[path] not in keep and _is_ours(path, made[path])]
    for path in gone:
        path.unlink(missing_ok=True)
    if gone:
        log.info("backups_rotated", deleted=len(gone), kept=len(made) - len(gone))
    return gone


def kept(moments: Iterable[datetime], today: date) -> set[datetime]:
    """Those of the moments whose backups stay."""
    newest_first = sorted(moments, reverse=True)
    chosen = {moment for moment in newest_first if moment.date() >= today}
    for count, period in KEPT:
        newest: dict[Hashable, datetime] = {}
        for moment in newest_first:
            newest.setdefault(period(moment.date()), moment)
        chosen |= set(list(newest.values())[:count])
    return chosen


def _made_at(path: Path) -> datetime | None:
    """When a backup was made, by its name; None for any other file."""
    found = NAME.fullmatch(path.name)
    if not found or path.is_symlink() or not path.is_file():
        return None
    try:
        return datetime.strptime(found[1], STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def _is_ours(path: Path, made_at: datetime) -> bool:
    """Only what its header proves to be of this installation and this moment may go."""
    header = header_of(path)
    said = f"{made_at:%Y-%m-%dT%H:%M:%SZ}"
    return header is not None and header.made_at == said and header.origin == origin(said)
