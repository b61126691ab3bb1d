"""What checks of services found: kept for 90 days, counted in a row, told where it keeps being wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from fluxtracker import formatting
from ops.models import ServiceCheck, ServiceState
from ops.runs import ALERT_AFTER

log = structlog.get_logger(__name__)

Kind, Status = ServiceState.Kind, ServiceState.Status

KEPT = timedelta(days=90)
FAILING = (Status.FAILED, Status.MISSING)  # count in a row
PASSING = (Status.OK, Status.DEGRADED)  # end the count; what is unknown does neither
WRITTEN = ["status", "latency_ms", "detail", "consecutive_failures", "checked_at", "last_ok_at"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `latency_ms`: None where nothing was asked for."""

    kind: str
    name: str
    status: str
    latency_ms: int | None = None
    detail: str = ""


def record(findings: Sequence[Finding], now: datetime) -> None:
    """Keep the findings and bring each service's state up to date, inside a transaction of the caller.

    Services that were not among the checked ones are forgotten, their past checks are not.
    """
    before = {(state.kind, state.name): state for state in ServiceState.objects.all()}
    states = [_state(found, before.get((found.kind, found.name)), now) for found in findings]
    checked = {(state.kind, state.name) for state in states}
    gone = [state.pk for key, state in before.items() if key not in checked]
    ServiceState.objects.filter(pk__in=gone).delete()
    ServiceState.objects.bulk_create(
        states, update_conflicts=True, unique_fields=["kind", "name"], update_fields=WRITTEN
    )
    ServiceCheck.objects.bulk_create(_check(found, now) for found in findings)
    for state in states:
        _tell(state, before.get((state.kind, state.name)))


def prune(now: datetime) -> int:
    """Delete the checks of more than 90 days ago. Answers how many there were."""
    deleted, _ = ServiceCheck.objects.filter(at__lt=now - KEPT).delete()
    return deleted


def problems(now: datetime) -> Iterator[str]:
    """Sentences on the services that failed three times in a row or more."""
    for state in ServiceState.objects.filter(consecutive_failures__gte=ALERT_AFTER):
        yield sentence(state, now)


def sentence(state: ServiceState, now: datetime) -> str:
    return (
        f"{state.name} failed {state.consecutive_failures} checks in a row, "
        f"the last one {formatting.ago(state.checked_at, now)}: {state.detail}."
    )


def _state(found: Finding, before: ServiceState | None, now: datetime) -> ServiceState:
    failures = before.consecutive_failures if before else 0
    if found.status in FAILING:
        failures += 1
    elif found.status in PASSING:
        failures = 0
    last_ok = now if found.status == Status.OK else before.last_ok_at if before else None
    return ServiceState(
        kind=found.kind,
        name=found.name,
        status=found.status,
        latency_ms=found.latency_ms,
        detail=found.detail,
        consecutive_failures=failures,
        checked_at=now,
        last_ok_at=last_ok,
    )


def _check(found: Finding, now: datetime) -> ServiceCheck:
    return ServiceCheck(
        kind=found.kind,
        name=found.name,
        at=now,
        status=found.status,
        latency_ms=found.latency_ms,
        detail=found.detail,
    )


def _tell(state: ServiceState, before: ServiceState | None) -> None:
    """Once when it has failed three times in a row, once when it is over."""
    earlier = before.consecutive_failures if before else 0
    if state.consecutive_failures == ALERT_AFTER > earlier:
        log.error("service_keeps_failing", kind=state.kind, service=state.name, detail=state.detail)
    elif earlier >= ALERT_AFTER and not state.consecutive_failures:
        log.warning("service_recovered", kind=state.kind, service=state.name, failures=earlier)
