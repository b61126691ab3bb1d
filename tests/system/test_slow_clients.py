"""Clients that take, or send, next to nothing: the real web process gives up those that stand still, and only those."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from urllib.request import urlopen

import pytest
from django.templatetags.static import static

from fluxtracker.demo import free_port
from fluxtracker.processes import PYTHON, Program
from fluxtracker.webserver import threads
from tests.factories import MAIN, SENDER
from tests.marks import only_in_full
from tests.system.home import Home
from tests.waiting import eventually

PATIENCE = 3.0  # seconds: tests/system/hasty_web.py
SOON = PATIENCE + 5  # the longest that a client who stands still may be in the way
ROWS = 12_000
EXPORT = "/export/payments.csv"
PAGE = "/api/revenue/transactions?limit=1000"
COMMAND = (PYTHON, "-m", "gunicorn", "--config", "python:tests.system.hasty_web", "fluxtracker.wsgi:application")


@dataclass
class Web:
    """A web process with clients that it may be slow with."""

    home: Home
    port: int
    open: ExitStack

    def ask(self, path: str = EXPORT, *, times: int = 1, room: int = 4096) -> socket.socket:
        """Ask, and leave the answer where it is."""
        return self.say(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n" * times, room)

    def say(self, words: str, room: int = 4096) -> socket.socket:
        client = self.open.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        client.settimeout(30)
        client.connect(("127.0.0.1", self.port))
        client.sendall(words.encode())
        return client

    def status(self, path: str = "/api/health/live", seconds: float = 1) -> int:
        """What a client who is in no way slow gets; 0 when nothing comes."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=seconds) as answer:
                return int(answer.status)
        except OSError as error:
            return int(getattr(error, "code", 0))

    @property
    def tracebacks(self) -> str:
        log = self.home.log("web")
        return log if "Traceback" in log else ""


@pytest.fixture
def web(home: Home) -> Iterator[Web]:
    fill(home)
    with ExitStack() as sockets:
        home.settings |= {"PORT": str(free_port()), "HOST": "127.0.0.1", "API_RATE": "0"}
        made = Web(home, int(home.settings["PORT"]), sockets)
        home.run(Program("web", COMMAND))
        assert eventually(lambda: made.status() == 200, 30), home.log("web")
        yield made


def fill(home: Home) -> None:
    """Payments enough for a file that no socket's buffers hold."""
    rows = (
        f"('{number:064x}', 0, '{MAIN}', '{SENDER}', 100000000, {number + 1}, '{number:064x}',"
        f" '2026-11-20 12:00:00+00:00', '2026-11-20', 'app', '{number:064x}', 'docker', 'blockbook')"
        for number in range(ROWS)
    )
    home.execute(
        "INSERT INTO revenue_payment (txid, vout, address, from_address, amount_sat, height, block_hash, paid_at,"
        f" day, kind, message_hash, app_type, source) VALUES {', '.join(rows)}"
    )
    home.execute(
        "INSERT INTO revenue_dailytotal (day, address, revenue_sat, payments, usd_micro, priced)"
        f" VALUES ('2026-11-20', '{MAIN}', {ROWS}00000000, {ROWS}, 0, 0)"
    )


def read_all(client: socket.socket, *, pause: float = 0.0) -> bytes:
    """Read until the server is through with us, resting in between."""
    found = bytearray()
    while not found.endswith(b"\r\n0\r\n\r\n") and (some := client.recv(65536)):
        found += some
        time.sleep(pause)
    return bytes(found)


def test_readers_that_take_nothing_are_cut_off_and_leave_their_places_to_others(web):
    stalled = [web.ask() for _ in range(3)]
    assert all(client.recv(9) == b"HTTP/1.1 " for client in stalled)
    assert web.status(EXPORT) == 503
    assert eventually(lambda: web.status(EXPORT, 10) == 200, SOON)
    time.sleep(1)  # the others' time was over within moments of the first one's
    with pytest.raises(ConnectionResetError):
        read_all(stalled[0])
    assert not web.tracebacks


@pytest.mark.sqlite
def test_a_reader_that_rests_holds_no_old_state_of_the_database(web):
    assert len(web.ask().recv(900)) == 900  # some of the rows
    web.home.execute("DELETE FROM revenue_payment WHERE height < 100")
    with web.home.connection() as database:
        database.execute("PRAGMA busy_timeout = 0")
        assert database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)


def test_a_steady_reader_gets_everything_however_slow(web):
    client = web.ask(room=65536)
    begin = time.monotonic()
    found = read_all(client, pause=0.12)
    assert time.monotonic() - begin > 2 * PATIENCE
    assert found.count(MAIN.encode()) == ROWS
    assert found.endswith(b"\r\n0\r\n\r\n")
    assert not web.tracebacks


@pytest.mark.parametrize("path", [PAGE, static("rest_framework/css/bootstrap.min.css")])
def test_readers_on_every_thread_do_not_take_the_site_down(web, path):
    for _ in range(threads):
        web.ask(path, times=60)
    assert eventually(lambda: web.status() == 0, 5)
    assert eventually(lambda: web.status() == 200, SOON)
    assert not web.tracebacks


@pytest.mark.parametrize(
    "words",
    [
        "GET / HT",
        *only_in_full("GET / HTTP/1.1\r\nHost: localhost\r\n"),
        "POST /api/admin/revenue-sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{",
        *only_in_full("POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
    ],
)
def test_half_a_request_holds_a_thread_for_the_same_time(web, words):
    for _ in range(threads):
        web.say(words)
    assert eventually(lambda: web.status() == 200, SOON)
    assert not web.tracebacks


@pytest.mark.slow
def test_a_request_that_comes_in_drops_is_late_all_the_same(web):
    client = web.say("GET / HTTP/1.1\r\n")
    begin = time.monotonic()
    with suppress(OSError):
        while time.monotonic() - begin < SOON:
            client.sendall(b"X-Drop: 1\r\n")
            time.sleep(0.2)
    assert time.monotonic() - begin < SOON
    assert not web.tracebacks


@pytest.mark.slow
def test_connections_without_a_request_take_no_threads(web):
    for _ in range(3 * threads):
        web.say("")
    kept = web.ask("/api/health/live")
    assert kept.recv(9) == b"HTTP/1.1 "
    assert eventually(lambda: web.status() == 200, 3 * SOON)


def test_clients_that_do_not_hang_up_hold_nobody_up(web):
    for _ in range(threads - 2):
        web.say("GET /api/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").recv(9)
    begin = time.monotonic()
    assert web.status(seconds=10) == 200
    assert time.monotonic() - begin < 1
