"""Fill the database of the settings and measure the CPU of requests whose answers no cache has; prints JSON.

Run as a program of its own on an empty database. It makes the requests that the cache makes for a missing answer.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from importlib import import_module

import django
from django.conf import settings
from django.core.management import call_command

from fluxtracker.web.server import collect_less_garbage

REPEATS = 15
DAYS = 1_095
PAYMENTS = "/api/revenue/transactions"
TARGETS = {
    f"{PAYMENTS}?page=1&limit=50": 6,
    "/api/stats": 4,
    "/api/metrics/current": 3,
    "/api/health": 5,
    "/api/revenue/daily?days=365": 5,
    "/api/history/snapshots?limit=365": 15,
    "/api/analytics/comparison?period=W": 4,
    "/panels/tiles/?period=M": 8,
    "/": 25,
}
SEARCHES = (f"{PAYMENTS}?search=minecraft&limit=50", f"{PAYMENTS}?search=abcd&limit=50")


def fill(payments: int) -> float:
    """Return the seconds that the payments took."""
    from snapshots.comparison.cache import keep_warm
    from tests.bench import days, rows

    call_command("migrate", verbosity=0)
    began = time.monotonic()
    rows.fill(payments, days=DAYS)
    seconds = time.monotonic() - began
    days.fill_days(DAYS)
    days.fill_lists()
    keep_warm()
    return seconds


def measured(targets: Iterable[str]) -> Iterator[tuple[str, float]]:
    """The median CPU time of each request, in ms."""
    from django.core.handlers.wsgi import WSGIHandler

    from fluxtracker.web.asgi_app import environ_for, start_response
    from fluxtracker.web.cache import Address

    django_itself = WSGIHandler()
    for target in targets:
        path, _, query = target.partition("?")
        times = []
        for _ in range(REPEATS):
            environ = environ_for(Address("http", "localhost", path, query, ""), "")
            began = time.process_time()
            response = django_itself(environ, start_response)
            b"".join(response)
            response.close()
            times.append((time.process_time() - began) * 1_000)
            assert response.status_code == 200, (target, response.status_code)
        yield target, statistics.median(times)


def main(payments: int, *, with_economics: bool) -> None:
    django.setup()
    settings.REQUEST_LOGGING = False
    found: dict[str, object] = {"fill_s": fill(payments)}
    import_module(settings.ROOT_URLCONF)
    collect_less_garbage()  # as the server does
    found["ms"] = dict(measured((*TARGETS, *SEARCHES)))
    if with_economics:
        from tests.bench import economics

        found["computed_s"] = dict(economics.computed())
        found["economics_ms"] = dict(measured(economics.targets()))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), with_economics="--economics" in sys.argv)
