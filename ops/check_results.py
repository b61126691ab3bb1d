"""Store the results of service checks for 90 days, and count consecutive failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import structlog

from ops import status
from ops.models import ALERT_AFTER, ServiceCheck, ServiceState

log = structlog.get_logger(__name__)

Kind, Status = ServiceState.Kind, ServiceState.Status

KEPT = timedelta(days=90)
FAILING = (Status.FAILED, Status.MISSING)  # count as consecutive failures
PASSING = (Status.OK, Status.DEGRADED)  # end the count; unknown does neither
TITLES: Mapping[str, str] = {  # of checked upstreams; any other is a Blockbook, named by its host
    "daemon": "The Flux daemon",
    "fluxos": "FluxOS",
    "stats": "The statistics of Flux",
    "coingecko": "CoinGecko",
    "binance": "Binance",
    "explorer": "The Flux explorer",
    "cryptocompare": "CryptoCompare",
}
BLOCKBOOK = "A source of the chain"
WRITTEN = ["status", "latency_ms", "detail", "consecutive_failures", "checked_at", "last_ok_at"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check. `latency_ms`: None if nothing was requested."""

    kind: str
    name: str
    status: str
    latency_ms: int | None = None
    detail: str = ""


def record(findings: Sequence[Finding], now: datetime) -> None:
    """Store the findings and update each service's state. Call inside a transaction.

    States of services that were not checked are deleted; their past checks stay.
    """
    before = {(state.kind, state.name): state for state in ServiceState.objects.all()}
    states = [_state(finding, before.get((finding.kind, finding.name)), now) for finding in findings]
    checked = {(state.kind, state.name) for state in states}
    unchecked = [state.pk for key, state in before.items() if key not in checked]
    ServiceState.objects.filter(pk__in=unchecked).delete()
    ServiceState.objects.bulk_create(
        states, update_conflicts=True, unique_fields=["kind", "name"], update_fields=WRITTEN
    )
    ServiceCheck.objects.bulk_create(ServiceCheck(**asdict(finding), at=now) for finding in findings)
    for state in states:
        _log(state, before.get((state.kind, state.name)))


def prune(now: datetime) -> int:
    """Delete checks older than 90 days. Return how many."""
    deleted, _ = ServiceCheck.objects.filter(at__lt=now - KEPT).delete()
    return deleted


def failing(state: ServiceState) -> status.Status:
    """Return the status of a service that keeps failing."""
    facts = {
        "name": state.name,
        "title": TITLES.get(state.name, BLOCKBOOK),
        "failures": state.consecutive_failures,
        "checked_at": state.checked_at,
        "detail": state.detail,
    }
    code = "upstream_failing" if state.kind == Kind.API else "app_failing"
    return status.Status(code, since=state.last_ok_at, facts=facts, key=f"service:{state.kind}:{state.name}")


def _state(finding: Finding, before: ServiceState | None, now: datetime) -> ServiceState:
    failures = before.consecutive_failures if before else 0
    if finding.status in FAILING:
        failures += 1
    elif finding.status in PASSING:
        failures = 0
    last_ok = now if finding.status == Status.OK else before.last_ok_at if before else None
    return ServiceState(**asdict(finding), consecutive_failures=failures, checked_at=now, last_ok_at=last_ok)


def _log(state: ServiceState, before: ServiceState | None) -> None:
    """Log once when it has failed three times in a row, and once when it recovers."""
    earlier = before.consecutive_failures if before else 0
    if state.consecutive_failures == ALERT_AFTER > earlier:
        log.error("service_keeps_failing", kind=state.kind, service=state.name, detail=state.detail)
    elif earlier >= ALERT_AFTER and not state.consecutive_failures:
        log.warning("service_recovered", kind=state.kind, service=state.name, failures=earlier)
