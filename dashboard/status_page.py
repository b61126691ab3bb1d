"""Show the status of each source, task and check, and incidents of 90 days, in the words of `/api/health`.

Alert messages are for operators; readers see the kind of incident, without hosts and errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_cache_control
from django.views.decorators.http import require_safe

from dashboard.panels import first_start, status_strip
from fluxtracker import formatting
from fluxtracker.api.conditional import make_etag
from fluxtracker.api.exceptions import no_database
from fluxtracker.web.cache import cached
from metrics.selectors import Latest, census_sources
from metrics.status import CENSUS_NAMES, NAMES, source_status
from ops import check_results, health, schedule_rows
from ops.models import Alert, ServiceState, TaskState
from ops.schedule_rows import Overdue, ScheduledTask
from ops.status import INCIDENTS, OTHER_INCIDENT, words
from revenue.models import LedgerState

LOOKED_BACK = timedelta(days=90)
MOST_INCIDENTS = 100
OFF = "switched off"
STEP_S = 10  # precision of the server's time on a reloaded page


@dataclass(frozen=True, slots=True)
class Line:
    """A source, task or check. `at`: when it was last read or run; `problem`: what is wrong, if anything."""

    name: str
    at: datetime | None
    state: str
    problem: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """A past or open problem. `until` is None while it lasts."""

    pk: int
    title: str
    since: datetime
    until: datetime | None

    @property
    def lasted(self) -> str:
        return formatting.span(self.until - self.since) if self.until else ""


@cached(())
@require_safe
def status(request: HttpRequest) -> HttpResponseBase:
    """Serve the page, or 503 without a database."""
    now = timezone.now()
    try:
        context = read(now)
    except (DatabaseError, InterfaceError) as error:
        return no_database(request, error)
    etag = make_etag(context, settings.DEMO, int(now.timestamp()) // STEP_S)
    known: HttpResponse | None = get_conditional_response(request, etag=etag)
    response = known or render(request, "dashboard/status.html", context | {"now": now})
    response.headers["ETag"] = etag
    patch_cache_control(response, no_cache=True)
    return response


def read(now: datetime) -> dict[str, Any]:
    """Read the page's data in a few small queries."""
    states, state = TaskState.by_name(), health.look(now)
    completed_at = LedgerState.known().completed_at
    latest = Latest.load(now)
    shown = status_strip.strip_status(state, completed_at, now)
    starting = first_start.context(latest.sources, shown["statuses"], now) if completed_at is None else {}
    return starting | {
        "level": shown["level"],
        "word": shown["word"],
        "problems": starting.get("problems", shown["problems"]),
        "groups": (
            ("Sources", "Last read", list(sources(now))),
            ("Schedule", "Last run", list(tasks(states, now))),
            ("Checks", "Last checked", list(checks(now))),
        ),
        "incidents": incidents(now),
        "most": MOST_INCIDENTS,
    }


def sources(now: datetime) -> Iterator[Line]:
    """Yield the sources of the page and of the census."""
    for line in status_strip.lines(now):
        yield Line(line["name"], line["read_at"], _word(line["read_at"], line["is_old"]), line["trouble"])
    for name, view in census_sources(now).items():
        problem = words(source_status(view), now, public=True)
        yield Line(CENSUS_NAMES[name], view.read_at, _word(view.read_at, view.status != "ok"), problem)


def _word(at: datetime | None, is_old: bool) -> str:
    return "never" if at is None else "stale" if is_old else "ok"


def tasks(states: Mapping[str, TaskState], now: datetime) -> Iterator[Line]:
    """Yield each row of the schedule, including disabled ones."""
    late = {row.name: row for row in schedule_rows.overdue(now, states)}
    for row in schedule_rows.scheduled_tasks(states, now):
        problem = _task_problem(row, late.get(row.name), now)
        yield Line(row.name, row.last_at, _task_state(row, late), problem, row.every)


def _task_state(row: ScheduledTask, late: Mapping[str, Overdue]) -> str:
    if not row.enabled:
        return OFF
    if row.name in late:
        return "overdue"
    if row.state is None:  # only sending by Beat is recorded, not the result
        return "sent" if row.last_at else "never"
    return row.state.health


def _task_problem(row: ScheduledTask, late: Overdue | None, now: datetime) -> str:
    if late is not None:
        return words(schedule_rows.status([late]), now, public=True)
    return words(row.state.failing, now, public=True) if row.enabled and row.state and row.state.alerting else ""


def checks(now: datetime) -> Iterator[Line]:
    """Yield each checked service. A source of the chain is named without its host."""
    for state in ServiceState.objects.all():
        problem = words(check_results.failing(state), now, public=True) if state.keeps_failing else ""
        yield Line(_title(state.kind, state.name), state.checked_at, state.status, problem, state.get_kind_display())


def _title(kind: str, name: str) -> str:
    is_upstream = kind == ServiceState.Kind.API
    return check_results.TITLES.get(name, check_results.BLOCKBOOK) if is_upstream else name


def incidents(now: datetime) -> list[Incident]:
    """Return the newest alerts of the last 90 days, and open ones. One query."""
    recent = Q(raised_at__gte=now - LOOKED_BACK) | Q(closed_at__gte=now - LOOKED_BACK) | Q(closed_at=None)
    alerts = Alert.objects.filter(recent).order_by("-raised_at", "-id")[:MOST_INCIDENTS]
    return [Incident(alert.pk, title(alert), alert.raised_at, alert.closed_at) for alert in alerts]


def title(alert: Alert) -> str:
    """Return the subject of an alert, without its message."""
    kind, _, name = alert.key.partition(":")
    about = {"task": _of_task, "service": _of_service, "source": _of_source}.get(kind, str)(name)
    return INCIDENTS.get(kind, OTHER_INCIDENT).format(about=about)


def _of_task(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _of_service(key: str) -> str:
    kind, _, name = key.partition(":")
    return _title(kind, name)


def _of_source(name: str) -> str:
    return {**NAMES, **CENSUS_NAMES}.get(name, name)
