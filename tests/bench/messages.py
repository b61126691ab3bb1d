"""Measure the first sync of app messages from a local server; alone: `python -m tests.bench.messages [COUNT]`."""

from __future__ import annotations

import resource
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson

from tests.bench.figures import Figure, table
from tests.bench.syncs import COMPILED
from tests.system.home import Home

COUNT, APPS = 71_000, 23_000  # of the network in 2026
PART = 14_200  # messages in `make bench`
CPU_S, PEAK_MB = 60, 150
FIRST, LAST = 694_307, 3_060_000
OWNERS = 1_300
PADDING = "x" * 800  # a message is 1.3 KB as a rule


def record(number: int, count: int) -> bytes:
    apps = count * APPS // COUNT
    app, turn = number % apps, number // apps
    height = FIRST + number * (LAST - FIRST) // count
    return orjson.dumps(
        {
            "type": "fluxappupdate" if turn else "fluxappregister",
            "version": 1,
            "appSpecifications": {
                "version": 8 if height > 1_932_380 else 5, "name": f"App{app}", "description": PADDING,
                "owner": f"1{app % OWNERS:033d}", "instances": 3, "expire": 88_000, "contacts": [], "geolocation": [],
                "compose": [{"name": "web", "repotag": f"acme/image{app % 300}:1", "cpu": 0.5, "ram": 500, "hdd": 5}],
                "enterprise": "",
            },
            "hash": f"{number:064x}", "timestamp": 1_600_000_000_000 + number, "signature": "s" * 88,
            "txid": f"{number + 10**9:064x}", "height": height, "valueSat": 10**9,
        }
    )  # fmt: skip


class Registry(BaseHTTPRequestHandler):
    """Serves the messages, and a tip."""

    count = COUNT
    wbufsize = 1 << 16

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        if self.path.startswith("/apps/permanentmessages"):
            self.wfile.write(b'{"status":"success","data":[')
            for number in range(self.count):
                self.wfile.write((b"," if number else b"") + record(number, self.count))
            self.wfile.write(b"]}")
        elif self.path.startswith("/daemon/getblockcount"):
            self.wfile.write(b'{"status":"success","data":%d}' % LAST)
        else:
            self.wfile.write(b'{"status":"error","data":{"message":"not here"}}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def figures(folder: Path, database_url: str, count: int = PART) -> Iterator[Figure]:
    """The CPU time and the memory of the first sync, then the CPU time of reading all of them again."""
    Registry.count = count
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    home = Home(folder, database_url)
    home.settings |= {"FLUX_API_URL": url, "FLUX_STATS_URL": url, "UPSTREAM_RATE": "0"} | COMPILED
    try:
        assert home.manage("migrate", "--verbosity", "0").code == 0
        for name in ("first sync_messages", "all messages again"):
            before = _cpu_s()
            done = home.measure("sync_messages", "--full", "--json", timeout=600)
            assert done.code == 0, done.err
            yield Figure(f"{name}, {count:,} of {COUNT:,}: CPU", _cpu_s() - before, "s", CPU_S * count / COUNT)
            yield Figure(f"{name}: peak memory", done.peak_mb, "MB", PEAK_MB)
    finally:
        home.end_programs()
        server.shutdown()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for line in table(figures(Path(place), "", int(sys.argv[1]) if len(sys.argv) > 1 else COUNT)):
            sys.stdout.write(f"{line}\n")
