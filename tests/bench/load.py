"""Load the web server as `make up` starts it, with wrk and with a burst of visitors, beside a yardstick."""

from __future__ import annotations

import asyncio
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

from fluxtracker.periods import Bucket
from fluxtracker.supervisor.processes import WEB, Program
from tests.bench import WORDS
from tests.bench.figures import PER_SECOND, Figure
from tests.bench.serving import Served, serving

ROUNDS, SECONDS, THREADS, CONNECTIONS = 3, 1, 2, 16
STARTED_WITHIN_S = 60
HELLO = (
    *(sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--worker-class", "gthread"),
    *("--threads", "8", "--log-level", "error", "tests.bench.hello_wsgi:application"),
)
CACHED = {  # ratios to the yardstick: at least, reach for
    "/api/health/live": (0.74, 1.5),
    "/api/metrics/current": (0.80, 1.5),
    "/api/analytics/comparison?period=W": (0.33, 1.5),
    "/api/stats": (0.30, 1),
    "/api/revenue/transactions?page=1&limit=50": (0.25, 1),
    "/api/analytics/apps?limit=50": (0.80, 1),
    "/api/revenue/daily?days=365": (0.62, 1),
    "/api/history/snapshots?limit=365": (0.37, 0.5),
    "/api/carousel/stats": (0.64, 1.5),
    "/": (0.30, 0.7),
    "/panels/tiles/?period=M": (0.30, 0.7),
}
PAYMENTS = "/api/revenue/transactions"
UNCACHED = {  # another address each time
    "search by app": [f"{PAYMENTS}?search={word}&limit={rows}" for rows, word in product(range(20, 80), WORDS)],
    "search by txid": [f"{PAYMENTS}?search={n * 7919 % 2**16:04x}&limit=50" for n in range(2_000)],
    "payments page 300": [f"{PAYMENTS}?page={300 + n}&limit=50" for n in range(2_000)],
}
UNCACHED_TARGETS = (0.02, 0.05)
IN_TURN = """
local paths, threads = {%s}, 0
function setup(thread) thread:set("at", threads * math.floor(#paths / 2)); threads = threads + 1 end
function request() at = at %% #paths + 1; return wrk.format("GET", paths[at]) end
"""
RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
ERRORS = re.compile(r"(?:Non-2xx or 3xx responses:|connect|read|write|timeout) (\d+)")
VISITORS = 500
BURST_P99_MS, POLL_MS, WORKER_MB = 2_000, 100, 150
POLL_EVERY_S = 0.05


def figures(environment: Mapping[str, str], folder: Path) -> Iterator[Figure]:
    """Rates as ratios to the yardstick, then the burst, then the memory after all of it."""
    web = serving(Program("web", WEB).argv, {**environment, "API_RATE": "0"}, within_s=STARTED_WITHIN_S)
    with serving(HELLO, environment, within_s=STARTED_WITHIN_S) as hello, web as site:
        for path, targets in CACHED.items():
            wrk(site.url + path)  # whichever process answers has it now
            yield rated(path, hello, targets, [[site.url + path]] * ROUNDS)
        for name, paths in UNCACHED.items():
            scripts = [script(folder / f"paths-{n}.lua", paths[n::ROUNDS]) for n in range(ROUNDS)]
            yield rated(name, hello, UNCACHED_TARGETS, [[site.url, "--script", str(path)] for path in scripts])
        yield from asyncio.run(burst(site))
        yield Figure("memory of a web process after all of it", site.worker_mb(), "MB", WORKER_MB)


def script(file: Path, paths: Sequence[str]) -> Path:
    file.write_text(IN_TURN % ",".join(f'"{path}"' for path in paths))
    return file


def rated(name: str, hello: Served, targets: tuple[float, float], rounds: Iterable[Sequence[str]]) -> Figure:
    """The round with the median ratio to the yardstick of the second before: other work slows down both."""
    found = list[tuple[float, float, int]]()
    for words in rounds:
        yardstick, _ = wrk(hello.url)
        rate, errors = wrk(*words)
        found.append((rate / yardstick, rate, errors))
    ratio, rate, _ = sorted(found)[len(found) // 2]
    return Figure(name, rate, PER_SECOND, *targets, ratio=ratio, errors=sum(errors for _, _, errors in found))


def wrk(*words: str) -> tuple[float, int]:
    """Requests per second, and how many failed."""
    load = (f"--threads={THREADS}", f"--connections={CONNECTIONS}", f"--duration={SECONDS}s")
    done = subprocess.run(("wrk", *load, *words), capture_output=True, text=True, check=True, timeout=60)
    rate = RATE.search(done.stdout)
    assert rate, done.stdout
    return float(rate[1]), sum(map(int, ERRORS.findall(done.stdout)))


def visits() -> list[str]:
    """A third opens the page with a period, a third searches, a third turns to another page."""
    periods = [bucket.letter for bucket in Bucket]
    found = []
    for n in range(VISITORS // 3 + 1):
        found.append(f"/?period={periods[n % len(periods)]}")
        found.append(f"/panels/payments/?search={WORDS[n % len(WORDS)]}1{n}")
        found.append(f"/panels/payments/?page={n + 2}")
    return found[:VISITORS]


async def burst(site: Served) -> list[Figure]:
    """All visitors at once, and beside them a page that polls the strip."""
    polls = list[float | None]()
    polling = asyncio.create_task(poll(site.url, polls))
    await asyncio.sleep(1)
    polls.clear()
    times = await asyncio.gather(*(visit(site.url, path) for path in visits()))
    polling.cancel()
    with suppress(asyncio.CancelledError):
        await polling
    return [
        Figure(f"burst of {VISITORS} visitors: p99", p99(times), "ms", BURST_P99_MS, errors=times.count(None)),
        Figure("burst: slowest poll of the strip meanwhile", max(filter(None, polls), default=0), "ms", POLL_MS,
               errors=polls.count(None)),
    ]  # fmt: skip


def p99(times: list[float | None]) -> float:
    return statistics.quantiles([ms for ms in times if ms is not None], n=100)[98]


async def poll(url: str, polls: list[float | None]) -> None:
    while True:
        polls.append(await visit(url, "/panels/strip/"))
        await asyncio.sleep(POLL_EVERY_S)


async def visit(url: str, path: str) -> float | None:
    """Milliseconds from the connection to the last byte; None for an error."""
    place, began = urlsplit(url), time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        head = f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        answer = await reader.read(-1)
        writer.close()
    except OSError:
        return None
    return (time.perf_counter() - began) * 1_000 if answer.startswith(b"HTTP/1.1 200 ") else None
