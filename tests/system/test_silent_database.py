"""A database that stops answering: the real web process says so in time, and recovers with the database."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.request import Request, urlopen

import pytest

from fluxtracker import database
from fluxtracker.supervisor.demo import free_port
from fluxtracker.supervisor.processes import application
from tests.system.home import DATABASE, Home
from tests.waiting import AMPLE, eventually

WEB = application()[0]
PAGES = ("/api/health", "/api/health/ready", "/", "/data/", "/api/stats", "/export/payments.csv", "/admin/login/")


def test_a_request_waits_for_the_database_for_less_than_five_seconds():
    assert database.WAIT_S + database.CHECK_S < 5


@dataclass
class Web:
    home: Home
    port: int

    def ask(self, path: str, *, token: str = "") -> tuple[int, Any]:
        """Status and JSON; 0 when nothing came in time."""
        url = f"http://127.0.0.1:{self.port}{path}"
        headers = {"Authorization": f"Token {token}"} if token else {}
        try:
            with urlopen(Request(url, b"{}" if token else None, headers), timeout=AMPLE) as answer:
                return answer.status, _json(answer.read())
        except OSError as error:
            return (error.code, _json(error.read())) if hasattr(error, "code") else (0, None)

    def assert_says_so(self) -> None:
        """Whatever is asked for, again and again, and all at once.

        The database never answers: an answer at all has not waited for it.
        """
        code, health = self.ask("/api/health")
        assert (code, health["status"], health["db"]["status"]) == (503, "error", "error")
        assert {"broker", "worker", "sync", "snapshot", "problems"} <= set(health)
        assert eventually(lambda: self.ask("/api/health/ready")[0] == 503)  # its known answer is too old now
        with ThreadPoolExecutor(16) as clients:
            codes = list(clients.map(lambda path: self.ask(path)[0], PAGES * 2))
        assert set(codes) <= {503, 200}, codes
        assert codes[0] == codes[1] == 503
        assert self.ask("/api/health/live") == (200, {"status": "ok"})
        assert self.ask("/api/admin/revenue-sync", token="abcdef")[0] == 503


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


@contextmanager
def serving(home: Home) -> Iterator[Web]:
    home.settings |= {
        "PORT": str(free_port()),
        "HOST": "127.0.0.1",
        "API_RATE": "0",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    made = Web(home, int(home.settings["PORT"]))
    process = home.run(WEB)
    try:
        assert eventually(lambda: made.ask("/api/health/live")[0] == 200), home.log("web")
        yield made
        assert "Traceback" not in home.log("web")
    finally:
        home.kill(process)


def test_a_server_that_accepts_and_never_answers(empty_home):
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        empty_home.settings["DATABASE_URL"] = f"postgres://flux@127.0.0.1:{silent.getsockname()[1]}/flux"
        with serving(empty_home) as web:
            web.assert_says_so()


@pytest.mark.sqlite
def test_a_process_that_has_sqlite_for_itself(home):
    with serving(home) as web:
        with closing(sqlite3.connect(home.data_dir / DATABASE, timeout=30, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            web.assert_says_so()
            other.execute("ROLLBACK")
        assert eventually(lambda: web.ask("/")[0] == 200)


@pytest.mark.sqlite
def test_a_long_write_to_sqlite_keeps_nobody_from_reading_and_posts_are_told(home):
    home.settings |= {"DJANGO_SUPERUSER_PASSWORD": "a-long-one-1"}
    assert home.manage("createsuperuser", "--noinput", "--username", "ann", "--email", "a@example.org").code == 0
    token = home.manage("create_api_token", "ann", "--json").report["token"]
    with serving(home) as web, home.connection() as other:
        other.execute("BEGIN IMMEDIATE")
        assert [web.ask(path)[0] for path in ("/api/health", "/", "/export/payments.csv")] == [200, 200, 200]
        assert web.ask("/api/admin/revenue-sync", token=token)[0] == 503
        other.execute("ROLLBACK")
        assert web.home.query("SELECT COUNT(*) FROM ops_job") == [(0,)]


@dataclass
class Proxy:
    """Stands between web and PostgreSQL, and may stand still with all connections open."""

    address: tuple[str, int]
    frozen: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._open = ExitStack()
        self._server = self._open.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._open.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._open.enter_context(self._server.accept()[0])
                server = self._open.enter_context(socket.create_connection(self.address))
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                while self.frozen.is_set():
                    threading.Event().wait(0.05)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@pytest.mark.postgresql
def test_a_server_that_stands_still_with_connections_open(home):
    server, _, name = home.database_url.rpartition("/")
    host, _, port = server.rpartition("@")[2].partition(":")
    proxy = Proxy((host, int(port or 5432)))
    home.settings["DATABASE_URL"] = f"{server.rpartition('@')[0]}@127.0.0.1:{proxy.port}/{name}"
    try:
        with serving(home) as web:
            with ThreadPoolExecutor(8) as clients:
                assert set(clients.map(lambda _: web.ask("/api/health/ready")[0], range(32))) == {200}
            proxy.frozen.set()
            web.assert_says_so()
            proxy.frozen.clear()
            assert eventually(lambda: web.ask("/")[0] == 200)
    finally:
        proxy.frozen.clear()
        proxy.close()


@pytest.mark.postgresql
@pytest.mark.parametrize("table", ["revenue_ledgerstate", "ops_taskstate"])
def test_a_table_that_somebody_has_locked(home, table):
    with serving(home) as web:
        assert web.ask("/api/health/ready")[0] == 200
        with home.connection() as other, other.transaction():
            other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            code, health = web.ask("/api/health")
            assert (code, health["status"], health["db"]["status"]) == (503, "error", "error")
            with ThreadPoolExecutor(6) as clients:
                codes = list(clients.map(lambda path: web.ask(path)[0], PAGES))
            assert 0 not in codes
            assert web.ask("/api/health/live")[0] == 200
        assert eventually(lambda: web.ask("/")[0] == 200)
