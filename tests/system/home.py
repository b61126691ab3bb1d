"""An installation of its own: data dir, database, settings, and programs that run in their own processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import redis
from celery import Celery

from fluxtracker.supervisor import broker
from fluxtracker.supervisor.broker import socket_path
from fluxtracker.supervisor.processes import WEB, WORKER, Program
from tests.settings_names import ROOT, setting_names
from tests.system.forks import Fork, forks
from tests.waiting import AMPLE, eventually

POSTGRES = os.environ.get("DATABASE_URL", "")
"""The PostgreSQL that the tests run on; empty: they run on SQLite."""
REDIS = os.environ.get("REDIS_URL", "")
"""The Redis that the tests run on; empty: the embedded broker."""
DATABASE = "fluxtracker.sqlite3"
FORKED = (WEB[:3], WORKER[:3])  # their command lines are not read here
Process = subprocess.Popen[str] | Fork
# VmHWM and not ru_maxrss: a child's counts what its parent held at the fork as well.
MEASURED = """
import atexit, re, runpy, sys
path = sys.argv.pop(1)
def note():
    with open("/proc/self/status") as status, open(path, "w") as out:
        out.write(re.search(r"VmHWM:\\s+([0-9]+)", status.read())[1])
atexit.register(note)
sys.argv[0] = "manage.py"
runpy.run_path("manage.py", run_name="__main__")
"""


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str
    seconds: float = 0.0
    peak_mb: float = 0.0

    @property
    def report(self) -> dict[str, Any]:
        """The JSON object on the last line of stdout."""
        found = json.loads(self.out.splitlines()[-1])
        assert isinstance(found, dict)
        return found

    @property
    def reason(self) -> str:
        """The last line of stderr."""
        return self.err.strip().splitlines()[-1] if self.err.strip() else ""


def environment(data_dir: Path, database_url: str, **settings: str) -> dict[str, str]:
    """This process's environment with every setting of ours at its default, but for these."""
    ours = {"FLUXTRACKER_DATA_DIR": str(data_dir), "DATABASE_URL": database_url, "REDIS_URL": REDIS}
    return {**os.environ, **dict.fromkeys(setting_names(), ""), **ours, "PYTHONUNBUFFERED": "1", **settings}


def server_url(name: str) -> str:
    return f"{POSTGRES.rpartition('/')[0]}/{name}"


def on_server(statement: str) -> None:
    with psycopg.connect(server_url("postgres"), autocommit=True, connect_timeout=5) as server:
        server.execute(statement)  # type: ignore[arg-type]


class Template:
    """A migrated, empty database; copying it is faster than migrating."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"flux_template_{uuid.uuid4().hex[:10]}"
        url = ""
        if POSTGRES:
            on_server(f"CREATE DATABASE {self.name}")
            url = server_url(self.name)
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(command, cwd=ROOT, env=environment(folder, url), check=True, timeout=AMPLE)

    def copy(self, data_dir: Path) -> str:
        """A copy of the database for the data dir; its address."""
        data_dir.mkdir(parents=True)
        if not POSTGRES:
            with closing(sqlite3.connect(self.folder / DATABASE)) as old, closing(connect(data_dir)) as new:
                old.backup(new)
            return ""
        name = f"flux_home_{uuid.uuid4().hex[:10]}"
        on_server(f"CREATE DATABASE {name} TEMPLATE {self.name}")
        return server_url(name)

    @staticmethod
    def empty(data_dir: Path) -> str:
        """A database in which nothing was ever made; its address."""
        data_dir.mkdir(parents=True)
        if not POSTGRES:
            return ""
        name = f"flux_home_{uuid.uuid4().hex[:10]}"
        on_server(f"CREATE DATABASE {name}")
        return server_url(name)

    def drop(self) -> None:
        if POSTGRES:
            on_server(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")


def connect(data_dir: Path) -> sqlite3.Connection:
    return sqlite3.connect(data_dir / DATABASE, timeout=30, isolation_level=None)


class Home:
    """One installation. Every process it starts is ended by `close`."""

    def __init__(self, data_dir: Path, database_url: str) -> None:
        self.data_dir = data_dir
        self.database_url = database_url
        self.settings: dict[str, str] = {}
        self._processes: list[Process] = []

    def environment(self, settings: Mapping[str, str] | None = None) -> dict[str, str]:
        return environment(self.data_dir, self.database_url, **self.settings, **(settings or {}))

    # Programs

    def manage(self, *words: str, timeout: float = AMPLE, **settings: str) -> Outcome:
        """Run a command to its end."""
        return self.finish(self.start(*words, **settings), timeout)

    def measure(self, *words: str, timeout: float = AMPLE) -> Outcome:
        """Run a command and learn the most memory that it held."""
        peak = self.data_dir / "peak"
        argv = [sys.executable, "-c", MEASURED, str(peak), *words]
        process = self._popen(argv, {}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        done = self.finish(process, timeout)
        return replace(done, peak_mb=int(peak.read_text()) / 1024)

    def start(self, *words: str, **settings: str) -> Fork:
        """Start a command and go on; its output waits in pipes."""
        process = forks().start(["manage.py", *words], self.environment(settings))
        self._processes.append(process)
        return process

    def run(self, program: Program) -> Process:
        """Start one of the long-running programs; its output goes to `<name>.log` in the data dir."""
        with (self.data_dir / f"{program.name}.log").open("a") as log:
            if program.command[:3] not in FORKED:
                return self._popen(program.argv, program.environment, stdout=log, stderr=log)
            process = forks().start(program.argv[1:], self.environment(program.environment), log)
            self._processes.append(process)
            return process

    def finish(self, process: Process, timeout: float = AMPLE) -> Outcome:
        started = time.monotonic()
        out, err = process.communicate(timeout=timeout)
        return Outcome(process.returncode, out, err, time.monotonic() - started)

    def kill(self, process: Process) -> None:
        """`kill -9` of a program and everything it started."""
        with_group = process.pid
        if process.poll() is None:
            os.killpg(with_group, signal.SIGKILL)
        process.wait(AMPLE)

    def log(self, name: str) -> str:
        return (self.data_dir / f"{name}.log").read_text()

    def _popen(self, argv: list[str], settings: Mapping[str, str], **streams: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=self.environment(settings),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
            **streams,
        )
        self._processes.append(process)
        return process

    # The broker

    def start_broker(self) -> subprocess.Popen[str] | None:
        """The embedded broker, or a clean number of the tests' Redis."""
        if REDIS:
            redis.Redis.from_url(REDIS).flushdb()
            return None
        process = self.run(broker.program(self.data_dir))
        assert eventually(lambda: broker.answers(self.data_dir)), "the broker does not answer"
        return process

    @property
    def broker_url(self) -> str:
        return REDIS or f"redis+socket://{socket_path(self.data_dir)}"

    def send(self, task: str) -> None:
        """Queue a task, as beat does."""
        with Celery(broker=self.broker_url) as app:
            app.send_task(task, queue="fluxtracker", ignore_result=True)

    # The database

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with self.connection() as connection:
            return list(connection.execute(statement).fetchall())

    def execute(self, statement: str) -> None:
        with self.connection() as connection:
            connection.execute(statement)

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """A connection in autocommit, apart from Django."""
        if self.database_url:
            with psycopg.connect(self.database_url, autocommit=True, connect_timeout=5) as remote:
                yield remote
            return
        with closing(connect(self.data_dir)) as local:
            yield local

    def close(self) -> None:
        self.end_programs()
        if self.database_url:
            name = self.database_url.rpartition("/")[2]
            on_server(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        if socket_path(self.data_dir).parent != self.data_dir / "broker":
            shutil.rmtree(socket_path(self.data_dir).parent, ignore_errors=True)

    def end_programs(self) -> None:
        for process in self._processes:
            self.kill(process)
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
