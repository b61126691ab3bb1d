"""The doors to backup and restore."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.utils import timezone

from ops import after, backup, backup_rotation, restore, restore_alone, runs
from ops.backup import NotBackedUp
from ops.backup_file import NotRestorable
from ops.models import TaskRun, TaskState

Report = dict[str, Any]
Progress = Callable[[str], None]


def back_up(*, trigger: str, wait: float = 0, path: Path | None = None, progress: Progress | None = None) -> Report:
    """Back everything up. In the default folder (no `path`) old backups give way.

    The record keeps the file's name only: /api/health shows it to everybody.
    """
    now = timezone.now()
    with runs.run("backup", trigger=trigger, wait=wait, progress=progress) as run:
        try:
            done = backup.back_up(path=path, now=now, progress=run.progress)
        except NotBackedUp as error:
            raise runs.NotDone(str(error), {"file": path and str(path), "rows": None, "sha256": None}) from error
        removed = [] if path else backup_rotation.rotate(done.file.parent, now)
        run.report = {
            "file": done.file.name,
            "rows": done.rows,
            "sha256": done.sha256,
            "bytes": done.size,
            "removed": [gone.name for gone in removed],
        }
    return run.report | {"file": str(done.file)}


def restore_backup(*, trigger: str, path: Path, wait: float = 0, progress: Progress | None = None) -> Report:
    """Restore a file. The caller has asked for confirmation. The record stands in the restored database."""
    started = timezone.now()
    with restore_alone.others_kept_out(wait) as keeper:
        try:
            done = restore.restore(path=path, now=started, keeper=keeper, progress=progress or (lambda _: None))
        except OSError as error:
            raise runs.NotDone(f"cannot read {path}: {error.strerror or error}", _nothing(path)) from error
        except NotRestorable as error:
            raise runs.NotDone(str(error), _nothing(path)) from error
        report = {"file": path.name, "rows": done.rows, "sha256": done.sha256}
        report |= {"madeAt": done.made_at, "leftOut": done.left_out}
        _record(trigger, started, report)
    after.changed()
    return report | {"file": str(path)}


def _nothing(path: Path) -> Report:
    return {"file": str(path), "rows": None, "sha256": None}


def _record(trigger: str, started: Any, report: Report) -> None:
    """Not by `runs.run`: the row with which it begins is replaced, and its number is another's."""
    now = timezone.now()
    TaskRun.objects.create(name="restore", trigger=trigger, started_at=started, finished_at=now, ok=True, report=report)
    TaskState.objects.update_or_create(
        name="restore",
        defaults={
            "last_started_at": started, "last_success_at": now, "consecutive_failures": 0, "last_error": "",
            "last_report": report,
        },
    )  # fmt: skip
