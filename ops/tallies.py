"""Numbers that only grow, kept in the database: they hold over all processes, restarts and the pruning of runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db.models import F

from fluxtracker.upstream.tally import Counts
from ops.models import Tally, TaskRun

RUNS, RUN_SECONDS, REQUESTS = "runs", "run_seconds", "requests"

Key = tuple[str, str, str]


def count_run(run: TaskRun, outcome: str, finished_at: datetime) -> None:
    """That a run has ended, and how long it took."""
    seconds = max((finished_at - run.started_at).total_seconds(), 0)
    add({(RUNS, run.name, outcome): 1, (RUN_SECONDS, run.name, ""): seconds})


def count_requests(sent: Counts) -> None:
    """What this process has asked of upstreams since its last run ended."""
    add({(REQUESTS, host[:100], result): number for (host, result), number in sent.items()})


def add(numbers: Mapping[Key, float]) -> None:
    """Inside a transaction of the caller. In one order for all, so that no two wait for each other."""
    for (name, label, outcome), number in sorted(numbers.items()):
        row = Tally.objects.filter(name=name, label=label, outcome=outcome)
        if not row.update(value=F("value") + number):
            Tally.objects.bulk_create([Tally(name=name, label=label, outcome=outcome)], ignore_conflicts=True)
            row.update(value=F("value") + number)
