"""One supervised program: its process, its output line by line, and when it may start again."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from fluxtracker.processes import Program
from fluxtracker.rundir import end_group

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds before the next start
SETTLED = 30.0  # seconds after which a crash counts as the first one again
LONGEST_LINE = 64 * 1024  # bytes
CHUNKS_A_TURN = 16  # so that one that talks without end does not silence the others
PR_SET_PDEATHSIG = 1


class Child:
    """A program in a process group of its own, so that Ctrl-C reaches the supervisor only."""

    def __init__(self, program: Program, directory: Path, clock: Callable[[], float]) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.due: float | None = None
        """When to start it again; None while it runs, or when it shall not run."""
        self._directory, self._clock = directory, clock
        self.hurried = False
        self._started_at, self._crashes, self._rest = 0.0, 0, b""

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def output(self) -> int | None:
        """The file descriptor that its lines come from."""
        return self.process.stdout.fileno() if self.process and self.process.stdout else None

    def start(self) -> None:
        self.due, self._rest, self._started_at = None, b"", self._clock()
        self.process = subprocess.Popen(  # noqa: S603  our own command lines
            self.program.argv,
            cwd=self._directory,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.program.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent(os.getpid()) if sys.platform == "linux" else None,
        )
        os.set_blocking(self.process.stdout.fileno(), False)  # type: ignore[union-attr]

    def lines(self) -> Iterator[str]:
        """What it has said since the last call, in whole lines."""
        for chunk in self._chunks():
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            yield from map(_readable, whole)
            if len(self._rest) > LONGEST_LINE:
                yield _readable(self._rest)
                self._rest = b""

    def _chunks(self) -> Iterator[bytes]:
        for _ in range(CHUNKS_A_TURN):
            if self.output is None:
                return
            try:
                chunk = os.read(self.output, LONGEST_LINE)
            except BlockingIOError:
                return
            if not chunk:
                self._close_output()
                return
            yield chunk

    def _close_output(self) -> None:
        if self.process and self.process.stdout:
            self.process.stdout.close()
            self.process.stdout = None

    def ended(self) -> int | None:
        """Its exit code once it has ended, else None."""
        return self.process.poll() if self.process else None

    def bury(self) -> list[str]:
        """End what it left of its group, close its output and return the last lines."""
        if self.process is None:
            return []
        end_group(self.process.pid, signal.SIGKILL)
        last = [*self.lines(), *([_readable(self._rest)] if self._rest else [])]
        self._close_output()
        self.process = None
        return last

    def pause(self) -> float:
        """Seconds before the next start: longer with each crash, short again after a quiet time."""
        if self._clock() - self._started_at >= SETTLED:
            self._crashes = 0
        self._crashes += 1
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (self._crashes - 1))

    def restart_later(self) -> float:
        pause = self.pause()
        self.due = self._clock() + pause
        return pause

    def ask_to_end(self, number: int = signal.SIGTERM) -> None:
        """The program alone: it tells its own children."""
        self.due = None
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        if self.process:
            end_group(self.process.pid, signal.SIGKILL)


def _readable(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")


def _end_with_parent(parent: int) -> Callable[[], None]:
    """Run between fork and exec: have the kernel end this process when the supervisor is killed."""
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask
