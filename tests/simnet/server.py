"""A server of a simulated network that answers wrongly when a test asks for it, and remembers all requests.

Other processes control it under `/_sim/` (`tests.simnet.control`).
"""

from __future__ import annotations

import gzip
import threading
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from fluxtracker.simnet import server
from fluxtracker.simnet.records import Answer
from tests.simnet import control, fault_effects
from tests.simnet.control import Fault, Faults, Kind
from tests.simnet.cryptocompare import cryptocompare
from tests.simnet.odd_rows import with_odd_rows
from tests.simnet.world import World

REMEMBERED = 100_000  # requests
GZIP_FROM = 1400  # bytes
SOURCES = frozenset({"blockbook", "blockbook2", "daemon"})


class Request(NamedTuple):
    path: str
    query: dict[str, str]


class Handler(server.Handler):
    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        sim = self.server.sim
        assert isinstance(sim, SimServer)
        if parts.path.startswith("/_sim/"):
            self._send(control.answer(sim, "GET", parts.path, query, b""))
            return
        answer, fault = sim.disturbed(parts.path, query, self.headers.get("Authorization", ""))
        if fault and fault_effects.disturb(self, answer, fault, sim.faults.released):
            self.close_connection = True
            return
        self._send(answer)

    def do_POST(self) -> None:
        body, sim = self.rfile.read(int(self.headers.get("Content-Length") or 0)), self.server.sim
        assert isinstance(sim, SimServer)
        self._send(control.answer(sim, "POST", urlsplit(self.path).path, {}, body))

    def _send(self, answer: Answer) -> None:
        sim, body = self.server.sim, answer.body
        assert isinstance(sim, SimServer)
        is_small = isinstance(body, bytes) and len(body) < GZIP_FROM
        if sim.gzip and not is_small and "gzip" in self.headers.get("Accept-Encoding", ""):
            answer.body = gzip.compress(body, compresslevel=1) if isinstance(body, bytes) else zipped(body)
            answer.headers["Content-Encoding"] = "gzip"
        super()._send(answer)


def zipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(1, wbits=31)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


class SimServer(server.SimServer):
    """`faults` spoil its answers, `lags` hold its Blockbook instances back, `sides` are branches of its sources.

    `spent_index=False`: the daemons name no senders. `gzip=True` compresses for clients that accept it;
    `odd=True` adds odd rows to messages, instances, nodes and statistics (`tests.simnet.odd_rows`).
    """

    world: World
    handler = Handler

    def __init__(
        self,
        world: World,
        port: int = 0,
        *,
        gzip: bool = False,
        spent_index: bool = True,
        daemon_lags: tuple[int, ...] = server.SimServer.daemon_lags,
        odd: bool = False,
    ) -> None:
        self.odd = odd
        self.gzip, self.spent_index, self.daemon_lags = gzip, spent_index, daemon_lags
        self.sides: dict[str, World] = {}
        """The worlds of those sources that follow a branch of their own."""
        self.faults = Faults(world.seed)
        self.requests: deque[Request] = deque(maxlen=REMEMBERED)
        self.memory: dict[str, bytes] = {}
        self._lock = threading.Lock()
        super().__init__(world, port)

    def stop(self) -> None:
        self.faults.clear()
        super().stop()

    def count(self, prefix: str = "") -> int:
        """Requests so far whose path begins with `prefix`."""
        return sum(request.path.startswith(prefix) for request in list(self.requests))

    def env(self) -> dict[str, str]:
        """Environment variables that point another process here."""
        return server.settings_for(self.url)

    def settings(self) -> dict[str, Any]:
        """The same as Django settings, for `override_settings`."""
        env = self.env()
        return env | {"BLOCKBOOK_URLS": env["BLOCKBOOK_URLS"].split(","), "UPSTREAM_RATE": 0.0}

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

    def world_of(self, source: str) -> World:
        return self.sides.get(source, self.world)

    def disturbed(self, path: str, query: Mapping[str, str], authorization: str) -> tuple[Answer, Fault | None]:
        """The right answer, or the wrong one that a fault puts in its place."""
        with self._lock:
            self.requests.append(Request(path, dict(query)))
        fault = self.faults.pick(path)
        for world in (self.world, *self.sides.values()):
            world.catch_up()
        back = fault.blocks if fault and fault.kind == Kind.HEIGHT_BACKWARDS else 0
        with self.world.lock:
            source, _, rest = path.strip("/").partition("/")
            if source == "cryptocompare":
                answer = cryptocompare(self.world, rest, query, authorization)
            else:
                answer = self.route(path, query, back)
            if self.odd:
                answer = with_odd_rows(self.world, path, query, answer)
        if fault:
            answer = fault_effects.spoil(answer, fault, path, self.memory.get(path))
        elif isinstance(answer.body, bytes):
            self.memory[path] = answer.body
        return answer, fault
