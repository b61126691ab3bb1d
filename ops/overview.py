"""Everything that an operator looks at first, read at one moment: the first page of the admin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ops import beats, health
from ops.beats import Beat
from ops.models import Alert, Job, TaskState
from ops.overview_cards import Card, cards

LAST_JOBS = 8
MOST_ALERTS = 20


@dataclass(frozen=True, slots=True)
class Overview:
    """`problems` are those of `/api/health`; the other parts are rows."""

    now: datetime
    problems: list[str]
    cards: list[Card]
    alerts: list[Alert]
    beats: list[Beat]
    jobs: list[Job]

    @property
    def other_problems(self) -> list[str]:
        """Those that are not among the open alerts."""
        told = {alert.message for alert in self.alerts}
        return [problem for problem in self.problems if problem not in told]

    @property
    def running(self) -> list[Job]:
        return [job for job in self.jobs if job.state in Job.ACTIVE]


def load(now: datetime) -> Overview:
    """A fixed number of queries, whatever the tables hold."""
    report = health.report(now)
    states = {state.name: state for state in TaskState.objects.all()}
    return Overview(
        now=now,
        problems=report["problems"],
        cards=list(cards(report, now)),
        alerts=list(Alert.objects.filter(closed_at=None)[:MOST_ALERTS]),
        beats=beats.beats(states, now),
        jobs=list(Job.objects.order_by("-id")[:LAST_JOBS]),
    )
