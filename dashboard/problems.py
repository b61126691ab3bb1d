"""What is wrong, for those who read the page: the sentences of `/api/health` without hosts, paths and codes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from dashboard import reasons
from dashboard.trouble import trouble
from metrics.latest import SourceView
from ops import checks, problems
from ops.models import ServiceState
from ops.runs import ALERT_AFTER

Report = Mapping[str, Any]

IN_THE_ADMIN = "the reason is in the admin."
NAMES: Mapping[str, str] = {  # of the checked upstreams; each other one is a Blockbook, named by its host
    "daemon": "The Flux daemon",
    "fluxos": "FluxOS",
    "stats": "The statistics of Flux",
    "coingecko": "CoinGecko",
    "binance": "Binance",
    "explorer": "The Flux explorer",
    "cryptocompare": "CryptoCompare",
}
BLOCKBOOK = "A source of the chain"


def sentences(report: Report, sources: Iterable[SourceView], now: datetime) -> Iterator[str]:
    """Of a health report whose database answers. At most one query."""
    services = {name: _task(service) for name, service in report["services"].items()}
    backup = report["backup"] and _task(report["backup"])
    plain = dict(report) | {"sync": _sync(report["sync"]), "services": services, "backup": backup}
    yield from problems.sentences(plain)
    yield from (trouble(view) for view in sources if view.status in ("stale", "failed"))
    for state in ServiceState.objects.filter(consecutive_failures__gte=ALERT_AFTER):
        yield _check(state, now)


def _task(service: Report) -> Report:
    return dict(service) | {"error": IN_THE_ADMIN}


def _sync(sync: Report) -> Report:
    failures, reason = sync["consecutiveFailures"], sync["reason"]
    if failures >= ALERT_AFTER and sync["unprovedSince"] is None:
        reason = f"reading them failed {failures} times in a row"
    failed = [f"it {reasons.once(error)}" for error in sync["failedSources"] or ()]
    return dict(sync) | {"reason": reason, "failedSources": list(dict.fromkeys(failed))}


def payments(sync: Report) -> str:
    """Return why payments may be missing, for those who read the page; empty when the sync is in order."""
    return "" if sync["healthy"] else problems.payments_missing(_sync(sync)["reason"])


def _check(state: ServiceState, now: datetime) -> str:
    """The state is only read here: what is put into it is said and not kept."""
    if state.kind == ServiceState.Kind.API:
        state.name, state.detail = NAMES.get(state.name, BLOCKBOOK), f"it {reasons.once(state.detail)}"
    return checks.sentence(state, now)
