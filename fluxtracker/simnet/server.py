"""One local HTTP server that answers as all upstreams do, on 127.0.0.1 only.

    /blockbook/api/v2/...  /blockbook2/api/v2/...   two Blockbook instances
    /daemon/...  /apps/...                          FluxOS
    /fluxinfo  /fluxhistorystats                    stats.runonflux.io
    /coingecko/...  /binance/...  /cryptocompare/...  /explorer/...

`SimServer.env()` gives the settings that point the project at it.
"""

from __future__ import annotations

import gzip
import itertools
import threading
import zlib
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from fluxtracker.simnet import chain_sources, fluxos_stats, prices
from fluxtracker.simnet.records import Answer, json
from fluxtracker.simnet.world import World

GZIP_FROM = 1400  # bytes


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], sim: SimServer) -> None:
        self.sim = sim
        super().__init__(address, sim.handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up early are part of the game."""


class Handler(BaseHTTPRequestHandler):
    server: _Http
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is the library's
        """Say nothing: the world counts its requests itself."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        authorization = self.headers.get("Authorization", "")
        self._send(self.server.sim.answer(parts.path, query, authorization))

    def _send(self, answer: Answer) -> None:
        zipped = self.server.sim.gzip and "gzip" in self.headers.get("Accept-Encoding", "")
        if isinstance(answer.body, bytes):
            self._send_whole(answer, answer.body, zipped=zipped and len(answer.body) >= GZIP_FROM)
        else:
            self._send_chunks(answer, _zip(answer.body) if zipped else answer.body, zipped=zipped)

    def _send_whole(self, answer: Answer, body: bytes, *, zipped: bool) -> None:
        if zipped:
            body = gzip.compress(body, compresslevel=1)
        self._head(answer, {"Content-Length": str(len(body))}, zipped=zipped)
        self.wfile.write(body)

    def _send_chunks(self, answer: Answer, chunks: Iterator[bytes], *, zipped: bool) -> None:
        self._head(answer, {"Transfer-Encoding": "chunked"}, zipped=zipped)
        for chunk in chunks:
            if chunk:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def _head(self, answer: Answer, extra: dict[str, str], *, zipped: bool) -> None:
        self.send_response(answer.status)
        for name, value in (answer.headers | extra).items():
            self.send_header(name, value)
        if zipped:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()


def _zip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(1, wbits=31)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


class SimServer:
    """The server of one world, in threads of this process; a context manager.

    `lags` says how many blocks each Blockbook instance is behind its daemon, `daemon_lags` how far the
    nodes behind the balancer are behind the chain, one request after the other. `spent_index=False`: those
    nodes do not name senders. `gzip=True` compresses for clients that accept it.
    """

    handler: type[BaseHTTPRequestHandler] = Handler

    def __init__(
        self,
        world: World,
        port: int = 0,
        *,
        gzip: bool = False,
        spent_index: bool = True,
        daemon_lags: tuple[int, ...] = (0, 1, 2),
    ) -> None:
        self.world = world
        self.gzip = gzip
        self.spent_index = spent_index
        self.lags = {"blockbook": 0, "blockbook2": 0}
        self._daemon_lags = itertools.cycle(daemon_lags)
        self._http = _Http(("127.0.0.1", port), self)
        self._thread: threading.Thread | None = None

    # Life

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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What clients need

    def settings(self) -> dict[str, Any]:
        """Django settings that point the project here, for `override_settings`."""
        url = self.url
        return {
            "BLOCKBOOK_URLS": [f"{url}/blockbook/api/v2", f"{url}/blockbook2/api/v2"],
            "FLUX_API_URL": url,
            "FLUX_STATS_URL": url,
            "COINGECKO_URL": f"{url}/coingecko",
            "BINANCE_URL": f"{url}/binance",
            "CRYPTOCOMPARE_URL": f"{url}/cryptocompare",
            "FLUX_EXPLORER_URL": f"{url}/explorer",
            "UPSTREAM_RATE": 0.0,
        }

    def env(self) -> dict[str, str]:
        """The same for the environment of another process."""
        return {
            name: ",".join(value) if isinstance(value, list) else f"{value:g}" if value == 0 else str(value)
            for name, value in self.settings().items()
        }

    # Answers

    def answer(self, path: str, query: Mapping[str, str], authorization: str) -> Answer:
        self.world.catch_up()
        with self.world.lock:
            return self.route(path, query, authorization)

    def world_of(self, room: str) -> World:
        """The world whose chain a source follows."""
        return self.world

    def route(self, path: str, query: Mapping[str, str], authorization: str, back: int = 0) -> Answer:
        room, _, rest = path.strip("/").partition("/")
        world = self.world_of(room)
        if room in self.lags and rest.startswith("api"):
            backend = world.tip_height - back
            inner = rest.removeprefix("api").removeprefix("/v2").strip("/")
            return chain_sources.blockbook(world, inner, query, backend - self.lags[room], backend)
        if room == "daemon":
            tip = world.tip_height - back - next(self._daemon_lags)
            return chain_sources.daemon(world, rest, query, tip, spent_index=self.spent_index)
        if room == "apps":
            return fluxos_stats.answer(world, rest, query)
        if room == "cryptocompare":
            return prices.cryptocompare(world, rest, query, authorization)
        rooms = {
            "fluxinfo": fluxos_stats.fluxinfo,
            "fluxhistorystats": fluxos_stats.history,
            "coingecko": prices.coingecko,
            "binance": prices.binance,
            "explorer": prices.explorer,
        }
        return rooms[room](world, rest, query) if room in rooms else json({"error": "Not found"}, 404)
