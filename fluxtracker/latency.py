"""How long answers take, by route: counted in this process, told by /metrics."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
SECONDS = Histogram(
    "fluxtracker_http_request_duration_seconds",
    "From a request's arrival to the head of its answer, of this web process.",
    ("route", "method", "status"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


class Latency:
    """Counts every answer by the pattern of its path, never by the path: strangers choose those."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        response = self.get_response(request)
        method = request.method if request.method in METHODS else "other"
        SECONDS.labels(_route(request), method, str(response.status_code)).observe(time.perf_counter() - started)
        return response


def _route(request: HttpRequest) -> str:
    """`none`: no pattern fits, or the request was answered before one was looked for."""
    match = request.resolver_match
    return "/" + match.route.lstrip("^") if match else "none"
