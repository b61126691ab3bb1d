"""Run a local HTTP server that answers like all upstreams, only on 127.0.0.1.

    /blockbook/api/v2/...  /blockbook2/api/v2/...   two Blockbook instances
    /daemon/...  /apps/...                          FluxOS
    /fluxinfo  /fluxhistorystats  /marketplace/...   stats.runonflux.io
    /coingecko/...  /binance/...  /explorer/...

`settings_for` gives the settings that point the project at it.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from fluxtracker.simnet import chain_sources, fluxos, prices
from fluxtracker.simnet.records import Answer, json
from fluxtracker.simnet.world import World


def settings_for(url: str) -> dict[str, str]:
    """Return the environment variables that point the project at a simulated network."""
    return {
        "BLOCKBOOK_URLS": f"{url}/blockbook/api/v2,{url}/blockbook2/api/v2",
        "FLUX_API_URL": url,
        "FLUX_STATS_URL": url,
        "COINGECKO_URL": f"{url}/coingecko",
        "BINANCE_URL": f"{url}/binance",
        "CRYPTOCOMPARE_URL": f"{url}/cryptocompare",
        "FLUX_EXPLORER_URL": f"{url}/explorer",
        "UPSTREAM_RATE": "0",
    }


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], sim: SimServer) -> None:
        self.sim = sim
        super().__init__(address, sim.handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hang up early."""


class Handler(BaseHTTPRequestHandler):
    server: _Http
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is the library's
        """Write no line per request."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self._send(self.server.sim.answer(parts.path, query))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if isinstance(answer.body, bytes):
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in filter(None, answer.body):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")


class SimServer:
    """The server of one world, in threads of this process; a context manager."""

    handler: type[BaseHTTPRequestHandler] = Handler
    daemon_lags: tuple[int, ...] = (0, 1, 2)
    """By how many blocks the nodes behind the balancer are late, one request after the other."""
    spent_index = True
    """Whether these nodes name senders."""

    def __init__(self, world: World, port: int = 0) -> None:
        self.world = world
        self.lags = {"blockbook": 0, "blockbook2": 0}
        """By how many blocks each Blockbook instance is behind its daemon."""
        self._daemon_lags = itertools.cycle(self.daemon_lags)
        self._http = _Http(("127.0.0.1", port), self)
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        if self._thread:
            self._http.shutdown()
            self._thread.join(5)
        self._http.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answer(self, path: str, query: Mapping[str, str]) -> Answer:
        self.world.catch_up()
        with self.world.lock:
            return self.route(path, query)

    def world_of(self, source: str) -> World:
        """Return the world whose chain a source follows."""
        return self.world

    def route(self, path: str, query: Mapping[str, str], back: int = 0) -> Answer:
        """Answer a request; the tips of the chain sources go `back` by this many blocks."""
        source, _, rest = path.strip("/").partition("/")
        world = self.world_of(source)
        tip = world.tip_height - back
        if source in self.lags and rest.startswith("api"):
            inner = rest.removeprefix("api").removeprefix("/v2").strip("/")
            return chain_sources.blockbook(world, inner, query, tip - self.lags[source], tip)
        if source == "daemon":
            tip -= next(self._daemon_lags)
            return chain_sources.daemon(world, rest, query, tip, spent_index=self.spent_index)
        others = {
            "apps": fluxos.apps,
            "marketplace": fluxos.marketplace,
            "fluxinfo": fluxos.fluxinfo,
            "fluxhistorystats": fluxos.history,
            "coingecko": prices.coingecko,
            "binance": prices.binance,
            "explorer": prices.explorer,
        }
        return others[source](world, rest, query) if source in others else json({"error": "Not found"}, 404)
