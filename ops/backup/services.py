"""Back up, restore, and rotate backups: keep all of today's, then the newest of 7 days, 4 weeks and 12 months."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import structlog
from django.utils import timezone

from fluxtracker.api.report_serializers import as_report
from ops.backup import restore, write
from ops.backup.file_format import NotRestorable, header_of
from ops.backup.write import NotBackedUp, origin
from ops.jobs.runs import NotDone, Run
from ops.models import TaskRun, TaskState
from ops.registry import changed, job

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
    """Delete this installation's expired backups. Return the deleted ones."""
    made = {path: at for path in folder.iterdir() if (at := _made_at(path)) is not None}
    keep = kept(made.values(), now.date())
    expired = [path for path in sorted(made) if made[path] not in keep and _is_ours(path, made[path])]
    for path in expired:
        path.unlink(missing_ok=True)
    if expired:
        log.info("backups_rotated", deleted=len(expired), kept=len(made) - len(expired))
    return expired


def kept(moments: Iterable[datetime], today: date) -> set[datetime]:
    """Return the times of backups to keep."""
    newest_first = sorted(moments, reverse=True)
    chosen = {moment for moment in newest_first if moment.date() >= today}
    for count, period in KEPT:
        newest: dict[Hashable, datetime] = {}
        for moment in newest_first:
            newest.setdefault(period(moment.date()), moment)
        chosen |= set(list(newest.values())[:count])
    return chosen


def _made_at(path: Path) -> datetime | None:
    """Return when a backup was made, by its name, None for other files."""
    match = NAME.fullmatch(path.name)
    if not match or path.is_symlink() or not path.is_file():
        return None
    try:
        return datetime.strptime(match[1], STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def _is_ours(path: Path, made_at: datetime) -> bool:
    """Return whether its header proves that this installation made it at this time."""
    header = header_of(path)
    stamp = f"{made_at:%Y-%m-%dT%H:%M:%SZ}"
    return header is not None and header.made_at == stamp and header.origin == origin(stamp)


Report = dict[str, Any]
Progress = Callable[[str], None]


@job("backup", report=write.BackupReport, help="Write a backup of every table and verify it.")
def backup(run: Run, *, path: Path | None = None) -> Report:
    """Back up everything. In the default folder (no `path`) old backups are deleted.

    Only the file's name is recorded, as /api/health is public.
    """
    now = timezone.now()
    try:
        done = write.back_up(path=path, now=now, progress=run.progress)
    except NotBackedUp as error:
        raise NotDone(str(error), {"file": path and str(path), "rows": None, "sha256": None}) from error
    removed = [] if path else rotate(done.file.parent, now)
    run.after = lambda: {"file": str(done.file)}
    return as_report(done) | {"file": done.file.name, "removed": [path.name for path in removed]}


def restore_backup(*, trigger: str, path: Path, wait: float = 0, progress: Progress | None = None) -> Report:
    """Restore a file; callers ask for confirmation. The run is recorded in the restored database."""
    started = timezone.now()
    with restore.others_kept_out(wait) as keeper:
        try:
            done = restore.restore(path=path, now=started, keeper=keeper, progress=progress or (lambda _: None))
        except (OSError, NotRestorable) as error:
            reason = f"cannot read {path}: {error.strerror or error}" if isinstance(error, OSError) else str(error)
            raise NotDone(reason, {"file": str(path), "rows": None, "sha256": None}) from error
        report = {"file": path.name} | as_report(done)
        _record(trigger, started, report)
    changed()
    return report | {"file": str(path)}


def _record(trigger: str, started: Any, report: Report) -> None:
    """Record the run afterwards, as `runs.run` would start with a row that the restore replaces."""
    now = timezone.now()
    TaskRun.objects.create(name="restore", trigger=trigger, started_at=started, finished_at=now, ok=True, report=report)
    TaskState.objects.update_or_create(
        name="restore",
        defaults={
            "last_started_at": started, "last_success_at": now, "consecutive_failures": 0, "last_error": "",
            "last_report": report,
        },
    )  # fmt: skip
