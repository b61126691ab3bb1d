"""One local HTTP server that answers as all upstreams do, on 127.0.0.1 only.

    /blockbook/api/v2/...  /blockbook2/api/v2/...   two Blockbook instances
    /daemon/...  /apps/...                          FluxOS
    /fluxinfo  /fluxhistorystats                    stats.runonflux.io
    /coingecko/...  /binance/...  /cryptocompare/...  /explorer/...

`SimServer.env()` gives the settings that point the project at it. Other processes steer it through the
door under `/_sim/`, which `fluxtracker.simnet.control` describes.
"""

from __future__ import annotations

import gzip
import itertools
import threading
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

from fluxtracker.simnet import chain_sources, control, fault_effects, fluxos_stats, prices
from fluxtracker.simnet.control import Fault, Faults, Kind
from fluxtracker.simnet.records import Answer, json
from fluxtracker.simnet.world import World

GZIP_FROM = 1400  # bytes
REMEMBERED = 100_000  # requests
SOURCES = frozenset({"blockbook", "blockbook2", "daemon"})


class Request(NamedTuple):
    path: str
    query: dict[str, str]


class SimServer:
    """The server of one world, in threads of this process; a context manager.

    `lags` says how many blocks each Blockbook instance is behind its daemon, `daemon_lags` how far the
    nodes behind the balancer are behind the chain, one request after the other. `spent_index=False`: those
    nodes do not name senders. `gzip=True` compresses for clients that accept it.
    """

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
        self.sides: dict[str, World] = {}
        """The worlds of those sources that follow a branch of their own."""
        self.faults = Faults(world.seed)
        self.requests: deque[Request] = deque(maxlen=REMEMBERED)
        self.memory: dict[str, bytes] = {}
        self._daemon_lags = itertools.cycle(daemon_lags)
        self._lock = threading.Lock()
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
        self.faults.clear()
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

    def count(self, prefix: str = "") -> int:
        """Requests so far whose path begins with `prefix`."""
        return sum(request.path.startswith(prefix) for request in list(self.requests))

    # Branches

    def branch(self, *sources: str, depth: int, **fates: Any) -> World:
        """Let some sources leave the chain together: replace their last `depth` blocks as `World.reorg` does."""
        if not SOURCES.issuperset(sources):
            raise ValueError(f"a source is one of {', '.join(sorted(SOURCES))}")
        side = self.world.branched()
        side.reorg(depth, **fates)
        self.sides |= dict.fromkeys(sources, side)
        return side

    # Answers

    def answer(self, path: str, query: Mapping[str, str], authorization: str) -> tuple[Answer, Fault | None]:
        """The right answer, or the wrong one that a fault puts in its place."""
        with self._lock:
            self.requests.append(Request(path, dict(query)))
        fault = self.faults.pick(path)
        for world in (self.world, *self.sides.values()):
            world.catch_up()
        back = fault.blocks if fault and fault.kind == Kind.HEIGHT_BACKWARDS else 0
        with self.world.lock:
            answer = self.route(path, query, authorization, back)
        if fault:
            answer = fault_effects.spoil(answer, fault, path, self.memory.get(path))
        elif isinstance(answer.body, bytes):
            self.memory[path] = answer.body
        return answer, fault

    def route(self, path: str, query: Mapping[str, str], authorization: str, back: int) -> Answer:
        room, _, rest = path.strip("/").partition("/")
        world = self.sides.get(room, self.world)
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


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], sim: SimServer) -> None:
        self.sim = sim
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up early are part of the game."""


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is the library's
        """Say nothing: the world counts its requests itself."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        sim = self.server.sim
        if parts.path.startswith("/_sim/"):
            self._send(control.answer(sim, "GET", parts.path, query, b""))
            return
        answer, fault = sim.answer(parts.path, query, self.headers.get("Authorization", ""))
        if fault and fault_effects.disturb(self, answer, fault, sim.faults.released):
            self.close_connection = True
            return
        self._send(answer)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._send(control.answer(self.server.sim, "POST", urlsplit(self.path).path, {}, body))

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
