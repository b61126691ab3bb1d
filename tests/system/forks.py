"""Start programs as processes that do not import the libraries again, which is most of the work of a start.

One process has imported what does not depend on settings. Each program is a fork of it, with an environment, a
session and streams of its own; it reads the project's code and settings as `python manage.py` and `python -m` do.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from threading import Lock, Thread
from typing import TextIO

from tests.settings_names import ROOT
from tests.waiting import AMPLE

LIBRARIES = (
    "celery.app.base", "celery.app.task", "celery.bin.celery", "celery.concurrency.prefork", "celery.worker",
    "charset_normalizer", "csp.constants", "django.contrib.postgres.fields", "django.contrib.postgres.forms",
    "django.core.mail", "django.core.management", "django.db.backends.sqlite3.base", "django.db.models",
    "django.template.engine", "django.test.signals", "environ", "granian.server.mp",
    "ijson", "kombu.transport.redis", "orjson", "psutil",
    "psycopg", "redis", "requests", "structlog", "whitenoise", "xml.sax",
)  # fmt: skip


class Fork:
    """A started program, to be handled like a `subprocess.Popen`."""

    def __init__(self, pid: int, ended: socket.socket, stdout: TextIO | None, stderr: TextIO | None) -> None:
        self.pid, self._ended, self.stdout, self.stderr = pid, ended, stdout, stderr
        self.returncode: int | None = None

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._ended.settimeout(timeout)
            try:
                code = self._ended.recv(16)
            except (BlockingIOError, TimeoutError):
                raise subprocess.TimeoutExpired("fork", timeout or 0) from None
            self._ended.close()
            self.returncode = int(code)
        return self.returncode

    def communicate(self, timeout: float = AMPLE) -> tuple[str, str]:
        """Read both pipes to their ends, once."""
        end, found = time.monotonic() + timeout, ["", ""]
        streams = [stream for stream in (self.stdout, self.stderr) if stream and not stream.closed]

        def read(place: int, stream: TextIO) -> None:
            found[place] = stream.read()

        readers = [Thread(target=read, args=pair, daemon=True) for pair in enumerate(streams)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(max(end - time.monotonic(), 0))
            if reader.is_alive():
                raise subprocess.TimeoutExpired("fork", timeout)
        self.wait(max(end - time.monotonic(), 1))
        for stream in streams:
            stream.close()
        return found[0], found[1]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


@cache
def forks() -> Forks:
    return Forks()


class Forks:
    """The process that programs are forks of. It ends when this one does."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asking, theirs = socket.socketpair()
        with theirs:
            argv = [sys.executable, "-m", "tests.system.forks", str(theirs.fileno())]
            subprocess.Popen(argv, cwd=ROOT, pass_fds=[theirs.fileno()], start_new_session=True)

    def start(self, words: Sequence[str], environment: Mapping[str, str], log: TextIO | None = None) -> Fork:
        """Start what `python` is to run. Its output goes to `log`, or waits in two pipes."""
        pipes = [] if log else [os.pipe(), os.pipe()]
        written = [log.fileno()] * 2 if log else [theirs for _, theirs in pipes]
        ended, tells = socket.socketpair()
        with self._lock, tells:
            socket.send_fds(self._asking, [b"?"], [*written, tells.fileno()])
            self._asking.sendall(json.dumps([list(words), dict(environment)]).encode() + b"\n")
            pid = int(self._asking.recv(16))
        for _, theirs in pipes:
            os.close(theirs)
        stdout, stderr = [os.fdopen(ours) for ours, _ in pipes] or (None, None)
        return Fork(pid, ended, stdout, stderr)


def wait_for_words(asked: socket.socket) -> list[str]:
    """Fork for each question. Only the forks that are to be programs return, with the words of theirs."""
    while True:
        mark, streams, _, _ = socket.recv_fds(asked, 1, 3)
        if not mark:
            os._exit(0)
        question = b""
        while not question.endswith(b"\n"):
            question += asked.recv(1 << 16)
        if not os.fork():
            break
        close(streams)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    program = os.fork()
    if program:
        asked.send(str(program).encode())
        asked.close()
        tell_its_end(program, streams)
    asked.close()
    os.setsid()
    for number, stream in enumerate((os.open(os.devnull, os.O_RDONLY), *streams[:2])):
        os.dup2(stream, number)
    close(streams)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, errors="backslashreplace") for number in (1, 2))
    words, environment = json.loads(question)
    os.environ.clear()
    os.environ.update(environment)
    return words  # type: ignore[no-any-return]


def tell_its_end(program: int, streams: Sequence[int]) -> None:
    """Wait for the program, as the one process can that has it as a child. Does not return."""
    os.setsid()
    *written, tells = streams
    close(written)
    code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    with suppress(OSError):
        os.write(tells, str(code).encode())
    os._exit(0)


def close(streams: Iterable[int]) -> None:
    for stream in streams:
        os.close(stream)


def main() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    os.umask(0o022)  # as a login has it: what is made for its owner alone is so by its own doing
    words = wait_for_words(socket.socket(fileno=int(sys.argv[1])))
    sys.path[0] = str(ROOT)
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main()
