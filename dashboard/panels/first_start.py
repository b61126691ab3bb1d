"""Show a checklist until the first sync has completed, with the cause if it cannot continue."""

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

IN_THE_LIST = ("sync_never", "sync_retrying", "worker_missing", "source_never")  # prefixes of codes
OF_UPSTREAMS = ("sync_revenue_failing", "task_failing", "source_", "chain_", "upstream_failing", "list_", "alert")


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the first start. `note`: its progress while not done."""

    name: str
    done: bool
    note: str = ""


def context(sources: Mapping[str, SourceView], statuses: Iterable[Status], now: datetime) -> dict[str, Any]:
    """Return the checklist, the cause of a stop, and problems not covered by either."""
    cause_ = cause(sources, TaskState.by_name())
    covered = IN_THE_LIST if cause_.is_ok else (*IN_THE_LIST, *OF_UPSTREAMS)
    others = (words(status, now, public=True) for status in statuses if not status.code.startswith(covered))
    return {"steps": steps(now), "cause": words(cause_, now), "problems": list(dict.fromkeys(others))}


def steps(now: datetime) -> Sequence[Step]:
    """Return the steps until the page is complete, in order. Four small queries."""
    share = chain_share()
    return (
        Step("Database", done=True),
        Step("Worker", schedule_rows.worker(now).is_ok, "none seen yet"),
        Step("Chain", done=False, note=f"{share} % read" if share else "not read yet"),
        Step("Prices", LivePrice.objects.exists(), "every 5 minutes"),
        Step("First snapshot", Snapshot.objects.exists(), "soon after 00:05 UTC"),
    )


def chain_share() -> int:
    """Return the percentage of blocks read, over all tracked addresses, rounded down."""
    cursors = Cursor.by_address()
    shares = [_share(cursors.get(row.address)) for row in settings.REVENUE_ADDRESSES]
    return int(100 * sum(shares) / len(shares))


def _share(cursor: Cursor | None) -> float:
    if cursor is None:
        return 0.0
    whole = cursor.tip_height - cursor.first_height
    return min((cursor.height - cursor.first_height) / whole, 1.0) if whole > 0 else 1.0


def cause(sources: Mapping[str, SourceView], states: Mapping[str, TaskState]) -> Status:
    """Return that no upstream could be reached: the sync and all sources asked have failed."""
    tried = [view for view in sources.values() if view.tried_at is not None]
    is_cut_off = TaskState.of(TASK, states).consecutive_failures > 0 and all(
        view.read_at is None and view.error for view in tried
    )
    return Status("upstreams_unreachable") if is_cut_off else OK
