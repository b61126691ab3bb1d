"""Start, watch, label and stop the long-running programs, and identify processes across restarts.

On Linux a process is identified by boot, PID namespace and start in ticks; elsewhere by its start time. A lock file
allows one supervisor per data dir; its record lets the next one stop what a killed one left running.
"""

from __future__ import annotations

import ctypes
import fcntl
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGQUIT
from typing import TextIO

import psutil

COLOURS = ("36", "33", "32", "35", "34", "31")  # cyan, yellow, green, magenta, blue, red
WIDTH = 8


class Console:
    """Writes whole lines, with colours on a terminal. Ignores a closed pipe and a full disk."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._colour = stream.isatty() and not os.environ.get("NO_COLOR")
        self._names: list[str] = []

    def line(self, name: str, text: str) -> None:
        if name not in self._names:
            self._names.append(name)
        colour = COLOURS[self._names.index(name) % len(COLOURS)]
        label = f"{name:<{WIDTH}}|"
        self._write(f"\033[{colour}m{label}\033[0m {text}\n" if self._colour else f"{label} {text}\n")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:  # the reader is gone, the programs keep running
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        except OSError:
            pass  # the output goes to a file on a full disk: the programs keep running


PYTHON = "python"  # the image's interpreter, or the supervisor's

WEB = (PYTHON, "-m", "fluxtracker.web.server")
WORKER = (
    *(PYTHON, "-m", "celery", "--quiet", "--app", "fluxtracker", "worker"),
    *("--pool", "prefork", "--without-gossip", "--without-mingle", "--loglevel", "INFO"),
)
BEAT = (PYTHON, "-m", "celery", "--quiet", "--app", "fluxtracker", "beat", "--loglevel", "INFO")
# Containers run as root; pickled messages, the subject of the warning, are not accepted here.
NO_ROOT_WARNING = {"PYTHONWARNINGS": "ignore:You're running the worker"}
MIGRATE = (PYTHON, "manage.py", "migrate", "--noinput")


@dataclass(frozen=True, slots=True)
class Program:
    """A command line with a name, and how to end it."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    hurry_signal: int | None = None
    """Sent when SIGTERM was not enough; the worker then returns its tasks to the broker."""
    noise: str = ""
    """Lines with this text are dropped."""
    foundation: bool = False
    """The other programs need it: it starts before them and ends after them."""

    @property
    def argv(self) -> list[str]:
        return [sys.executable if word == PYTHON else word for word in self.command]


def application() -> list[Program]:
    """Return web, worker and scheduler, in starting order."""
    return [
        Program("web", WEB),
        Program("worker", WORKER, NO_ROOT_WARNING, hurry_signal=SIGQUIT),
        Program("beat", BEAT),
    ]


CLOCK_TOLERANCE = 2.0  # seconds; a wall clock may be corrected
BOOT, NAMESPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
STARTED = 19  # field 22 of /proc/PID/stat, counted from behind the program's name


def here() -> str:
    """Return the scope of process ids: this boot and PID namespace, empty if unknown."""
    try:
        return f"{BOOT.read_text()[:8]}-{NAMESPACE.stat().st_ino}"
    except OSError:
        return ""


def mark(pid: int) -> str | None:
    """Return what distinguishes the process from others with its id, None if it has ended."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        place = here()
        return f"{place}-{_ticks(pid)}" if place else f"{process.create_time():.2f}"
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None


def is_from_here(marked: str) -> bool:
    """Return whether its id is from this boot and PID namespace."""
    return _place(marked) == here()


def is_gone(pid: int, marked: str) -> bool:
    """Return whether the marked process has ended, False if unknown.

    A mark without a scope is from an older version; its process has ended if the id is free.
    """
    try:
        if _place(marked) and not is_from_here(marked):
            return False
        now = mark(pid)
        return now is None or (is_from_here(marked) and not _is_same(now, marked))
    except (psutil.Error, OSError, ValueError, OverflowError):
        return False


def _place(marked: str) -> str:
    return marked.rpartition("-")[0]


def _is_same(one: str, other: str) -> bool:
    if _place(one):
        return one == other
    return abs(float(one) - float(other)) <= CLOCK_TOLERANCE


def _ticks(pid: int) -> str:
    """Return its start in ticks. Its name may contain brackets and spaces."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[STARTED]


class CannotStart(Exception):
    """A requirement is missing or in use; the text says what to do."""


def responds(
    host: str, port: int, path: str, headers: Mapping[str, str] | None = None, *, most: int = 200, seconds: float = 5
) -> bool:
    """Return whether a server answers GET in time, with a status of at most `most`."""
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        return connection.getresponse().status <= most
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Hold the data dir's lock; raise CannotStart naming the process that holds it."""
    with (data_dir / "supervisor.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise CannotStart(f"already running on {data_dir} (process {file.read().strip() or 'unknown'})") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def record(data_dir: Path, pids: list[int]) -> None:
    """Record the running processes."""
    draft = data_dir / "processes.json.new"
    draft.write_text(json.dumps([[pid, marked] for pid in pids if (marked := mark(pid)) is not None]))
    draft.replace(data_dir / "processes.json")


def end_leftovers(data_dir: Path, seconds: float = 5) -> int:
    """End programs left running by a killed supervisor, with descendants; return their number."""
    leaders = [pid for pid, marked in _recorded(data_dir) if _is_ours(pid, marked)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for leader in leaders:
            end_group(leader, number)
        _wait_for_end(leaders, seconds)
    return len(leaders)


def _is_ours(leader: int, marked: str) -> bool:
    """Return whether its process group still has members and no other process has its id."""
    if not is_from_here(marked) or not group_lives(leader):
        return False
    return mark(leader) is None or not is_gone(leader, marked)


def _wait_for_end(leaders: list[int], seconds: float) -> None:
    end = time.monotonic() + seconds
    while any(map(group_lives, leaders)) and time.monotonic() < end:
        time.sleep(0.05)


def group_lives(leader: int) -> bool:
    """Return whether a process of the group is alive; a zombie is not."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def end_group(leader: int, number: int) -> None:
    """Signal a process group, by its leader."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _recorded(data_dir: Path) -> list[tuple[int, str]]:
    try:
        rows = json.loads((data_dir / "processes.json").read_text())
        return [(int(pid), str(marked)) for pid, marked in rows]
    except (OSError, ValueError, TypeError):
        return []


FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds before the next start
SETTLED = 30.0  # seconds after which a crash counts as the first one again
LONGEST_LINE = 64 * 1024  # bytes
CHUNKS_A_TURN = 16  # so that one program with endless output does not block the others
PR_SET_PDEATHSIG = 1


class Child:
    """A program in its own process group, so that Ctrl-C reaches only the supervisor."""

    def __init__(self, program: Program, directory: Path, clock: Callable[[], float]) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.due: float | None = None
        """Time to start it again; None while it runs, or when it must not."""
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
        """Return the file descriptor of its output."""
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
        """Yield the complete lines since the last call."""
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
        """Return its exit code, None while running."""
        return self.process.poll() if self.process else None

    def bury(self) -> list[str]:
        """End the rest of its group, close its output and return the last lines."""
        if self.process is None:
            return []
        end_group(self.process.pid, signal.SIGKILL)
        last = [*self.lines(), *([_readable(self._rest)] if self._rest else [])]
        self._close_output()
        self.process = None
        return last

    def restart_later(self) -> float:
        """Schedule the next start and return the pause in seconds: longer with each crash, short after a quiet time."""
        if self._clock() - self._started_at >= SETTLED:
            self._crashes = 0
        self._crashes += 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (self._crashes - 1))
        self.due = self._clock() + pause
        return pause

    def ask_to_end(self, number: int = signal.SIGTERM) -> None:
        """Signal only the program, which ends its own children."""
        self.due = None
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        if self.process:
            end_group(self.process.pid, signal.SIGKILL)


def _readable(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")


def _end_with_parent(parent: int) -> Callable[[], None]:
    """Make the kernel end this process if the supervisor is killed. Runs between fork and exec."""
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask
