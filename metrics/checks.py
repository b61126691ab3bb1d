"""Check every service: the upstreams by asking, games and crypto nodes by what was counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from fluxtracker.upstream.errors import Unavailable, UpstreamError
from fluxtracker.upstream.http import Http
from fluxtracker.upstream.probes import probes
from metrics.check_instances import check_instances
from metrics.check_upstreams import check_upstreams
from ops import checks
from ops.checks import Finding, Status
from ops.runs import Run


@dataclass(frozen=True, slots=True)
class ChecksReport:
    findings: tuple[Finding, ...]
    failure: UpstreamError | None
    """Not one upstream answered."""


def check_services(*, http: Http, now: datetime, run: Run) -> ChecksReport:
    """Check and write down, also that not one upstream answered."""
    upstreams = check_upstreams(probes(http))
    findings = (*upstreams, *check_instances(now))
    with transaction.atomic():
        run.guard()
        checks.record(findings, now)
    failure = None
    if all(found.status == Status.FAILED for found in upstreams):
        details = "; ".join(f"{found.name}: {found.detail}" for found in upstreams)
        failure = Unavailable("services", "every upstream", details[:400])
    return ChecksReport(findings, failure)
