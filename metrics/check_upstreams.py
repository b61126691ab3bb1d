"""Whether each upstream answers, validly, in time, and not behind the others."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.conf import settings

from fluxtracker.upstream.errors import UpstreamError
from fluxtracker.upstream.probes import Probe
from ops.checks import Finding, Kind, Status

BEHIND = 20  # blocks behind the highest tip, ten minutes
SLOW_MS = 10_000
LONGEST_DETAIL = 300
ADDRESS = re.compile(r"\b[0-9]{1,3}(\.[0-9]{1,3}){3}(:[0-9]+)?\b")


@dataclass(frozen=True, slots=True)
class Answer:
    """How one upstream answered. `height`: its last block, None where it tells none; `error`: why it did not."""

    name: str
    latency_ms: int
    height: int | None = None
    error: str | None = None


def check_upstreams(probes: Mapping[str, Probe]) -> list[Finding]:
    """Ask all of them at once; each has a result of its own."""
    with ThreadPoolExecutor(max(len(probes), 1), "check") as pool:
        return judged(list(pool.map(_ask, probes.keys(), probes.values())))


def judged(answers: list[Answer]) -> list[Finding]:
    """What the answers mean, held against the highest tip among them."""
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
    """An upstream's words without our key and without addresses, should it repeat them."""
    if settings.CRYPTOCOMPARE_API_KEY:
        words = words.replace(settings.CRYPTOCOMPARE_API_KEY, "(key)")
    return ADDRESS.sub("(address)", words)[:LONGEST_DETAIL]
