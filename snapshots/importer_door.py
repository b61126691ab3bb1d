"""The door to `import_original`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from django.utils import timezone

from ops import after, leases, runs
from snapshots import importer
from snapshots.doors import LEASE
from snapshots.importer_file import NotTheOriginal

Report = dict[str, Any]
EMPTY: Report = {"snapshots": 0, "transactions": 0, "prices": 0, "imageSnapshots": 0, "skipped": 0}


def import_original(
    *, trigger: str, path: Path, wait: float = 0, progress: Callable[[str], None] | None = None
) -> Report:
    """Take over what a file of the tracker that was replaced knows. Writers of payments and of days wait meanwhile."""
    now = timezone.now()
    old = _read(path, now.date())  # a wrong file is nobody's failed run
    with (
        runs.run("import_original", lease="sync_revenue", trigger=trigger, wait=wait, progress=progress) as run,
        leases.hold(LEASE, wait=wait) as days,
    ):

        def guard() -> None:
            run.guard()
            days.guard()

        done = importer.import_original(old=old, now=now, guard=guard, progress=run.progress)
        run.report = {
            "snapshots": done.snapshots,
            "transactions": done.transactions,
            "prices": done.prices,
            "imageSnapshots": done.images,
            "skipped": done.skipped,
            "leftOut": {kind: dict(reasons) for kind, reasons in done.left_out.items() if reasons},
            "changed": {kind: dict(reasons) for kind, reasons in done.changed.items() if reasons},
        }
    after.changed()
    return run.report


def _read(path: Path, today: date) -> importer.Old:
    try:
        return importer.read_file(path, today)
    except NotTheOriginal as error:
        raise runs.NotDone(str(error), EMPTY) from error
    except OSError as error:
        raise runs.NotDone(f"cannot read {path.name}: {error.strerror or error}", EMPTY) from error
