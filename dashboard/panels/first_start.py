"""Show a first start as a checklist until the first sync has completed, with the cause where it cannot go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from metrics.selectors import SourceView
from ops import schedule_rows
from ops.models import TaskState
from ops.status import OK, Status, words
from revenue.models import Cursor, LivePrice
from revenue.status import TASK
from snapshots.models import Snapshot

IN_THE_LIST = ("sync_never", "sync_retrying", "worker_missing", "source_never")  # beginnings of codes
OF_UPSTREAMS = ("sync_revenue_failing", "task_failing", "source_", "chain_", "upstream_failing", "list_", "alert")


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the first start. `note`: how far it is, where it is not done."""

    name: str
    done: bool
    note: str = ""


def context(sources: Mapping[str, SourceView], statuses: Iterable[Status], now: datetime) -> dict[str, Any]:
    """Return the checklist, the cause where it cannot go on, and the problems that neither of them says."""
    found = cause(sources, TaskState.by_name())
    said = IN_THE_LIST if found.is_ok else (*IN_THE_LIST, *OF_UPSTREAMS)
    others = (words(status, now, public=True) for status in statuses if not status.code.startswith(said))
    return {"steps": steps(now), "cause": words(found, now), "problems": list(dict.fromkeys(others))}


def steps(now: datetime) -> Sequence[Step]:
    """Return what has to happen before the page is whole, in order. Four small queries."""
    share = chain_share()
    return (
        Step("Database", done=True),
        Step("Worker", schedule_rows.worker(now).is_ok, "none seen yet"),
        Step("Chain", done=False, note=f"{share} % read" if share else "not read yet"),
        Step("Prices", LivePrice.objects.exists(), "every 5 minutes"),
        Step("First snapshot", Snapshot.objects.exists(), "soon after 00:05 UTC"),
    )


def chain_share() -> int:
    """Return the percentage of all blocks that were read, over all tracked addresses, rounded down."""
    cursors = Cursor.by_address()
    found = [_share(cursors.get(row.address)) for row in settings.REVENUE_ADDRESSES]
    return int(100 * sum(found) / len(found))


def _share(cursor: Cursor | None) -> float:
    if cursor is None:
        return 0.0
    whole = cursor.tip_height - cursor.first_height
    return min((cursor.height - cursor.first_height) / whole, 1.0) if whole > 0 else 1.0


def cause(sources: Mapping[str, SourceView], states: Mapping[str, TaskState]) -> Status:
    """Return that no upstream could be reached: the sync failed, and so did each source that was asked."""
    asked = [view for view in sources.values() if view.tried_at is not None]
    is_cut_off = TaskState.of(TASK, states).consecutive_failures > 0 and all(
        view.read_at is None and view.error for view in asked
    )
    return Status("upstreams_unreachable") if is_cut_off else OK
