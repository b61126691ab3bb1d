"""Clients that take, or send, next to nothing: the real web process gives up those that stand still, and only those."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.request import urlopen

import pytest
from django.templatetags.static import static

from fluxtracker.supervisor.demo import free_port
from fluxtracker.supervisor.processes import PYTHON, Program
from fluxtracker.web.asgi_app import THREADS
from tests.factories import MAIN, SENDER
from tests.marks import only_in_full, some_in_full
from tests.system.home import Home, Template
from tests.waiting import AMPLE, eventually

CLOSE = "Host: localhost\r\nConnection: close\r\n"
PATIENCE = 3.0  # seconds
NO_END = 600.0  # seconds: who answers meanwhile has not waited for those that stand still
ROWS = 12_000
EXPORT = "/export/payments.csv"
PAGE = "/api/revenue/transactions?limit=1000"
COMMAND = (PYTHON, "-m", "tests.system.hasty_web")


@dataclass
class Web:
    """A web process with clients that it may be slow with."""

    home: Home
    name: str
    port: int
    open: ExitStack

    def ask(self, path: str = EXPORT, *, times: int = 1, room: int = 4096) -> socket.socket:
        """Ask, and leave the answer where it is."""
        return self.say(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n" * times, room)

    def say(self, words: str, room: int = 4096) -> socket.socket:
        client = self.open.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        client.settimeout(AMPLE)
        client.connect(("127.0.0.1", self.port))
        client.sendall(words.encode())
        return client

    def status(self, path: str = "/api/health/live", seconds: float = AMPLE) -> int:
        """What a client who is in no way slow gets; 0 when nothing comes."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=seconds) as answer:
                answer.read()
                return int(answer.status)
        except OSError as error:
            return int(getattr(error, "code", 0))

    @property
    def tracebacks(self) -> str:
        return self.log if "Traceback" in self.log else ""

    @property
    def log(self) -> str:
        return self.home.log(self.name)


@pytest.fixture(scope="module")
def filled(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("filled") / "home"
    home = Home(folder, template.copy(folder))
    try:
        fill(home)
        yield home
    finally:
        home.close()


@pytest.fixture(scope="module")
def hasty_port(filled: Home) -> int:
    return serve(filled, "web", PATIENCE)


@pytest.fixture(scope="module")
def patient_port(filled: Home) -> int:
    return serve(filled, "patient web", NO_END)


@pytest.fixture
def web(filled: Home, hasty_port: int) -> Iterator[Web]:
    """Soon gives up clients that stand still."""
    yield from without_clients(Web(filled, "web", hasty_port, ExitStack()))


@pytest.fixture
def patient_web(filled: Home, patient_port: int) -> Iterator[Web]:
    """Never gives them up."""
    yield from without_clients(Web(filled, "patient web", patient_port, ExitStack()))


def without_clients(web: Web) -> Iterator[Web]:
    with web.open:
        assert eventually(lambda: web.status() == 200), web.log
        yield web


def serve(home: Home, name: str, patience: float) -> int:
    port = free_port()
    settings = {
        "CLIENT_PATIENCE": str(patience),
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "API_RATE": "0",
        "WEB_PROCESSES": "1",
    }
    home.run(Program(name, COMMAND, settings))
    return port


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


def read_to_the_end(client: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    found = b""
    while some := client.recv(65536):
        found += some
    return found


def looks_whole(client: socket.socket) -> bool | None:
    """Read the rest. Return whether it ends as an answer does; None: so it does, and rows are missing."""
    try:
        found = read_all(client)
    except ConnectionResetError:
        return False
    return found.endswith(b"\r\n0\r\n\r\n") and (found.count(MAIN.encode()) == ROWS or None)


def is_cut_off(client: socket.socket, drop: bytes) -> bool:
    """Send one more drop, and rest. Return whether the server has closed the connection."""
    try:
        client.sendall(drop)
    except OSError:
        return True
    time.sleep(0.2)
    return False


def test_readers_that_take_nothing_are_cut_off_and_leave_their_places_to_others(web):
    stalled: list[socket.socket] = []

    def stall() -> bool:
        client = web.ask()
        stalled.extend([client] if client.recv(12) == b"HTTP/1.1 200" else [])
        return len(stalled) == 3

    assert eventually(stall)
    assert web.status(EXPORT) == 503
    assert eventually(lambda: web.status(EXPORT, 10) == 200)
    assert eventually(lambda: "reader_gone" in web.log)
    ends = [looks_whole(client) for client in stalled]
    assert False in ends
    assert None not in ends
    assert not web.tracebacks


@pytest.mark.sqlite
def test_a_reader_that_rests_holds_no_old_state_of_the_database(web):
    assert len(web.ask().recv(900)) == 900  # some of the rows
    web.home.execute("DELETE FROM revenue_dailytotal")

    def is_free() -> bool:
        with web.home.connection() as database:
            database.execute("PRAGMA busy_timeout = 0")
            return bool(database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0))

    assert eventually(is_free)  # soon: the next rows are read ahead


def test_a_steady_reader_gets_everything_however_slow(web):
    client = web.ask(room=65536)
    begin = time.monotonic()
    found = read_all(client, pause=0.12)
    assert time.monotonic() - begin > 2 * PATIENCE
    assert found.count(MAIN.encode()) == ROWS
    assert found.endswith(b"\r\n0\r\n\r\n")
    assert not web.tracebacks


@pytest.mark.parametrize("path", [PAGE, static("rest_framework/css/bootstrap.min.css")])
def test_readers_that_take_nothing_hold_up_nobody_else(patient_web, path):
    for _ in range(THREADS):
        patient_web.ask(path, times=60)
    assert [patient_web.status() for _ in range(5)] == [200] * 5
    assert not patient_web.tracebacks


FORM = "POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\n"
HALF = {
    "line": "GET / HT",
    "head": "GET / HTTP/1.1\r\nHost: localhost\r\n",
    "long head": "GET / HTTP/1.1\r\n" + "".join(f"X-{n}: {'x' * 1000}\r\n" for n in range(95)),
    "body": "POST /api/admin/prune HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{",
    "asked for": f"{FORM}Expect: 100-continue\r\nContent-Length: 9000\r\n\r\n",
    "large body": f"{FORM}Content-Length: 1600000000\r\n\r\n",
    "of strangers": "POST /api/admin/prune HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n",
    "chunk": f"{FORM}Transfer-Encoding: chunked\r\n\r\n5\r\nab",
}


@pytest.mark.parametrize("words", some_in_full(HALF, "line", "body", "chunk"))
def test_half_a_request_holds_no_thread(patient_web, words):
    for _ in range(5 * THREADS):
        patient_web.say(words)
    assert [patient_web.status() for _ in range(5)] == [200] * 5
    assert not patient_web.tracebacks


@pytest.mark.slow
def test_a_request_that_comes_in_drops_is_late_all_the_same(web):
    client = web.say("GET / HTTP/1.1\r\n")
    assert eventually(lambda: is_cut_off(client, b"X-Drop: 1\r\n"))
    assert not web.tracebacks


@pytest.mark.parametrize("most", [40, *only_in_full(1_500)])
def test_connections_without_a_request_take_no_threads(patient_web, most):
    for _ in range(most):
        patient_web.say("")
    assert [patient_web.status() for _ in range(5)] == [200] * 5
    assert not patient_web.tracebacks


def test_the_rest_of_a_connection_waits_without_a_thread_too(patient_web):
    """The next request is half there with the one before it, and comes in drops."""
    begun = [
        patient_web.say("GET /api/health/live HTTP/1.1\r\nHost: localhost\r\n\r\nGET /api/he")
        for _ in range(5 * THREADS)
    ]
    assert [client.recv(9) for client in begun] == [b"HTTP/1.1 "] * len(begun)
    assert [patient_web.status() for _ in range(5)] == [200] * 5
    begun[0].recv(65536)
    begun[0].sendall(b"alth/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert read_to_the_end(begun[0]).startswith(b"HTTP/1.1 200")


def test_many_requests_that_are_sent_ahead_are_all_answered(web):
    """More than the server reads at once."""
    ask = "GET /api/health/live HTTP/1.1\r\nHost: localhost\r\n"
    client = web.say(f"{ask}\r\n" * 299 + f"{ask}Connection: close\r\n\r\n", room=2**20)
    assert read_to_the_end(client).count(b"HTTP/1.1 200 OK") == 300


def test_a_form_that_arrives_in_pieces_is_read_whole(web):
    body = b"username=alice&password=" + b"x" * 40_000
    client = web.say(f"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n")
    form = b"Content-Type: application/x-www-form-urlencoded\r\n"
    for piece in (form, b"Connection: close\r\n\r\n", body[:9], body[9:]):
        time.sleep(0.1)
        client.sendall(piece)
    assert read_to_the_end(client).startswith(b"HTTP/1.1 403")  # it lacks its CSRF token


HEADS = {
    "Content-Length: 1600000000\r\nContent-Type: multipart/form-data; boundary=x": b"413",
    "Content-Length: 1600000000\r\nExpect: 100-continue": b"413",
    "Content-Length: 65537": b"413",
    "Transfer-Encoding: chunked": b"411",
}


def test_a_body_that_nobody_needs_is_refused_before_it_comes(web):
    clients = [web.say(f"POST /admin/login/ HTTP/1.1\r\n{CLOSE}{head}\r\n\r\n") for head in HEADS]
    answers = [read_to_the_end(client).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n") for client in clients]
    assert [answer[9:12] for answer in answers] == list(HEADS.values())


def test_no_client_chooses_where_it_is(web):
    """Neither under which path, nor by which scheme, nor at which host: those on this machine neither."""
    told = ("SCRIPT_NAME: /api", "SCRIPT-NAME: /api", "PATH_INFO: /api/stats", "HTTP_HOST: evil.test",
            "X-Forwarded-Proto: https", "X-Forwarded-Ssl: on", "X-Forwarded-Host: evil.test")  # fmt: skip
    clients = [web.say(f"GET /api/ HTTP/1.1\r\n{CLOSE}{header}\r\n\r\n") for header in told]
    answers = [read_to_the_end(client) for client in clients]
    assert [b'"http://localhost/api/health"' in answer for answer in answers] == [True] * len(told)


def test_what_the_server_itself_says_of_a_client_moves_no_terminal(web):
    client = web.say("GET /\x1b[31m HTTP/1.1\r\n\x1b]0;owned\x07: x\r\n\r\n")
    assert read_to_the_end(client).startswith(b"HTTP/1.1 400")
    assert web.status() == 200
    assert "\x1b" not in web.log


def test_clients_that_do_not_hang_up_hold_nobody_up(patient_web):
    for _ in range(THREADS):
        patient_web.say("GET /api/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").recv(9)
    assert patient_web.status() == 200
