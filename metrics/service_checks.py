"""Check whether each upstream answers and whether games and crypto nodes still run.

Only upstreams are asked: no game server is contacted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Avg, FloatField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, NullIf

from fluxtracker.upstream.clients import Probe
from fluxtracker.upstream.http.errors import UpstreamError
from metrics.metric_keys import Number, tracked_apps
from metrics.models import Reading, Source
from metrics.selectors import Latest
from ops.check_results import Finding, Kind, Status

WEEK, HOUR = timedelta(days=7), timedelta(hours=1)
BEHIND = 20  # blocks behind the highest tip: ten minutes
SLOW_MS = 10_000
LONGEST_DETAIL = 300
ADDRESS = re.compile(r"\b[0-9]{1,3}(\.[0-9]{1,3}){3}(:[0-9]+)?\b")


def check_instances(now: datetime) -> list[Finding]:
    """Return one result per active tracked app. Its kind is its category."""
    apps, latest = tracked_apps(), Latest.load(now)
    is_old = latest.sources[Source.Name.APPS].is_old(now)
    usual = _last_week([app.column for app in apps], now)
    return [
        Finding(
            app.category,
            app.name,
            *judge_instances(None if is_old else latest.values.get(app.column), usual.get(app.column)),
        )
        for app in apps
    ]


def judge_instances(running: Number | None, usual: float | None) -> tuple[str, None, str]:
    """Return status, no latency, and reason.

    `running` is None if not counted for two hours, `usual` if the last week has no readings.
    """
    if running is None:
        return Status.UNKNOWN, None, "not counted within two hours"
    if usual is None:
        return Status.OK, None, f"{running} running; no readings from last week to compare with"
    if not usual:
        return Status.OK, None, f"{running} running, none ran last week" if running else "none running, none last week"
    words = f"{usual:.1f} ran on average last week"
    if not running:
        return Status.MISSING, None, f"none is left, {words}"
    return Status.DEGRADED if running < usual / 2 else Status.OK, None, f"{running} running, {words}"


def _last_week(columns: Iterable[str], now: datetime) -> dict[str, float | None]:
    """Return the average of each column over the last 7 days, without the last hour. One query."""
    rows = Reading.objects.filter(at__gte=now - WEEK, at__lt=now - HOUR)
    numbers = {key: NullIf(KeyTextTransform(key, "values"), Value("null")) for key in columns}  # as SQLite has it
    return rows.aggregate(**{key: Avg(Cast(value, FloatField())) for key, value in numbers.items()})


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of an upstream. `height`: its last block, if it has any; `error`: why it did not answer."""

    name: str
    latency_ms: int
    height: int | None = None
    error: str | None = None


def check_upstreams(probes: Mapping[str, Probe]) -> list[Finding]:
    """Ask all upstreams in parallel; return one result each."""
    with ThreadPoolExecutor(max(len(probes), 1), "check") as pool:
        return judge_upstreams(list(pool.map(_ask, probes.keys(), probes.values())))


def judge_upstreams(answers: list[Answer]) -> list[Finding]:
    """Judge the answers by comparing tips with the highest one."""
    highest = max((answer.height for answer in answers if answer.height is not None), default=0)
    return [_finding(answer, highest) for answer in answers]


def _ask(name: str, probe: Probe) -> Answer:
    started = time.monotonic()
    try:
        height, error = probe(), None
    except UpstreamError as failure:
        height, error = None, harmless(failure.detail)
    return Answer(name, round((time.monotonic() - started) * 1000), height, error)


def _finding(answer: Answer, highest: int) -> Finding:
    if answer.error is not None:
        return Finding(Kind.API, answer.name, Status.FAILED, answer.latency_ms, answer.error)
    behind = 0 if answer.height is None else highest - answer.height
    troubles = [f"{behind} blocks behind"] if behind > BEHIND else []
    if answer.latency_ms > SLOW_MS:
        troubles.append(f"answered after {answer.latency_ms / 1000:.1f} s")
    status = Status.DEGRADED if troubles else Status.OK
    return Finding(Kind.API, answer.name, status, answer.latency_ms, "; ".join(troubles))


def harmless(words: str) -> str:
    """Return an upstream's message without our key and without addresses."""
    if settings.CRYPTOCOMPARE_API_KEY:
        words = words.replace(settings.CRYPTOCOMPARE_API_KEY, "(key)")
    return ADDRESS.sub("(address)", words)[:LONGEST_DETAIL]
