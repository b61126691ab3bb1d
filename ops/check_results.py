"""Keep what checks of services found: for 90 days, and how often in a row it was wrong."""

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
FAILING = (Status.FAILED, Status.MISSING)  # count in a row
PASSING = (Status.OK, Status.DEGRADED)  # end the count; what is unknown does neither
TITLES: Mapping[str, str] = {  # of the checked upstreams; each other one is a Blockbook, named by its host
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
    """Result of one check. `latency_ms`: None where nothing was asked for."""

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
    ServiceCheck.objects.bulk_create(ServiceCheck(**asdict(found), at=now) for found in findings)
    for state in states:
        _log(state, before.get((state.kind, state.name)))


def prune(now: datetime) -> int:
    """Delete the checks of more than 90 days ago. Return how many there were."""
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


def _state(found: Finding, before: ServiceState | None, now: datetime) -> ServiceState:
    failures = before.consecutive_failures if before else 0
    if found.status in FAILING:
        failures += 1
    elif found.status in PASSING:
        failures = 0
    last_ok = now if found.status == Status.OK else before.last_ok_at if before else None
    return ServiceState(**asdict(found), consecutive_failures=failures, checked_at=now, last_ok_at=last_ok)


def _log(state: ServiceState, before: ServiceState | None) -> None:
    """Log it once when it has failed three times in a row, and once when it is over."""
    earlier = before.consecutive_failures if before else 0
    if state.consecutive_failures == ALERT_AFTER > earlier:
        log.error("service_keeps_failing", kind=state.kind, service=state.name, detail=state.detail)
    elif earlier >= ALERT_AFTER and not state.consecutive_failures:
        log.warning("service_recovered", kind=state.kind, service=state.name, failures=earlier)
