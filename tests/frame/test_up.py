"""`make up` as a person sees it: the real supervisor, the real programs, no upstream."""

import os
import signal
import subprocess
import sys
import time
import urllib.request

import psutil
import psycopg
import pytest
from django.conf import settings

from fluxtracker.supervisor import broker, processes
from fluxtracker.supervisor.demo import free_port
from tests.run import clean_environment
from tests.settings_names import ROOT
from tests.waiting import AMPLE, eventually

NOWHERE = "http://127.0.0.1:9"


class Up:
    """One run of the supervisor."""

    def __init__(self, data_dir, port: int, engine: dict[str, str]) -> None:
        self.port, self.log = port, data_dir.parent / f"{time.monotonic_ns()}.log"
        urls = dict.fromkeys(("FLUX_API_URL", "BLOCKBOOK_URLS", "COINGECKO_URL", "BINANCE_URL"), NOWHERE)
        settings = {**engine, **urls, "FLUX_EXPLORER_URL": NOWHERE, "PORT": str(port)}
        with self.log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fluxtracker.supervisor.main"],
                cwd=ROOT,
                env=clean_environment(data_dir, settings),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    def is_ready(self) -> bool:
        return "up      | ready: " in self.said and "celery@" in self.said

    def status(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=AMPLE) as answer:
            return answer.status

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def engine():
    """The services that this test run is about: none, or a database of its own and the run's Redis."""
    server, _, _ = os.environ.get("DATABASE_URL", "").rpartition("/")
    if not server.startswith("postgres"):
        yield {}
        return
    name = f"flux_up_{os.getpid()}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield {"DATABASE_URL": f"{server}/{name}", "REDIS_URL": os.environ.get("REDIS_URL", "")}
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def start(tmp_path, engine):
    started: list[Up] = []

    def begin(port: int | None = None) -> Up:
        started.append(Up(tmp_path / "data", port or free_port(), engine))
        return started[-1]

    yield begin
    for up in started:
        up.process.terminate()
        up.process.wait(AMPLE)
    processes.end_leftovers(tmp_path / "data")


@pytest.mark.engine
def test_everything_comes_up_a_crash_is_mended_and_ctrl_c_ends_all(start, tmp_path):
    up = start()
    assert eventually(up.is_ready), up.said
    assert up.status() == 200
    assert up.said.index("preparing the database") < up.said.index("ready: ")

    second = start(up.port)
    assert second.process.wait(AMPLE) == 1
    assert second.said.strip() == f"error: already running on {tmp_path / 'data'} (process {up.process.pid})"

    worker = next(child for child in up.children() if "worker" in child.cmdline())
    os.kill(worker.pid, signal.SIGKILL)
    assert eventually(lambda: up.said.count("celery@") > 1 and "worker ended (signal 9)" in up.said), up.said

    children = up.children()
    assert len(children) >= 5
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(AMPLE) == 0
    assert not any(child.is_running() for child in children)
    assert up.said.splitlines()[-1] == "up      | stopped"


@pytest.mark.slow
def test_a_killed_supervisor_does_not_block_the_next_start(start, tmp_path):
    up = start()
    assert eventually(up.is_ready), up.said
    children = up.children()
    up.process.kill()
    up.process.wait()
    again = start(up.port)
    assert eventually(again.is_ready), again.said
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    assert again.status() == 200
    assert broker.answers(tmp_path / "data") == settings.EMBEDDED_BROKER


def test_a_port_that_is_taken_is_told_in_one_line(start, unused_listener):
    up = start(unused_listener)
    assert up.process.wait(AMPLE) == 1
    assert up.said.startswith(f"error: cannot listen on 127.0.0.1 port {unused_listener} (Address already in use)")
    assert len(up.said.splitlines()) == 1


@pytest.fixture
def unused_listener():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]
