"""Run `make up` and `make demo`: start all programs in order, keep them alive, stop them together."""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from django.core.exceptions import ImproperlyConfigured

from fluxtracker import env
from fluxtracker.env import make_private
from fluxtracker.supervisor import broker, demo, processes
from fluxtracker.supervisor.processes import CannotStart, Child, Console, Program


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    @property
    def visit(self) -> str:
        """Return the host to use from this machine."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  compared, not bound

    @property
    def url(self) -> str:
        host = f"[{self.visit}]" if ":" in self.visit else self.visit
        return f"http://{host}:{self.port}"

    def check_free(self) -> None:
        """Raise CannotStart if another program listens there, or if we may not."""
        try:
            family, kind, _, _, where = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(where)
        except OSError as error:
            raise CannotStart(
                f"cannot listen on {self.host} port {self.port} ({error.strerror}): choose another PORT or HOST"
            ) from None

    def answers(self) -> bool:
        """Return whether the page is served."""
        return processes.responds(self.visit, self.port, "/", most=499, seconds=10)


def announce_when_it_answers(
    address: Address, say: Callable[[str], None], hint: str, every: float = 0.3
) -> threading.Event:
    """Print the URL once the page is served, then the hint, in a thread, and set the event."""
    ready = threading.Event()

    def look() -> None:
        while not address.answers():
            time.sleep(every)
        say(f"ready: {address.url}  (Ctrl-C ends everything)")
        say(hint)
        ready.set()

    threading.Thread(target=look, daemon=True).start()
    return ready


BASE_DIR = Path(__file__).resolve().parents[2]
LONGEST_START = 60.0  # seconds until a demo continues without its page
TURN = 0.25  # seconds until a signal or a crash is noticed
HURRY_AFTER, KILL_AFTER, FOUNDATION_TIME = 4.0, 7.0, 1.5  # seconds of the ten allowed for stopping


class Supervisor:
    """Runs programs, prints their output, restarts those that crash."""

    def __init__(self, data_dir: Path, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.children: list[Child] = []
        self.stopping = False
        self._data_dir, self._console, self._clock = data_dir, console, clock
        self._make = os.getppid() if "MAKELEVEL" in os.environ else None

    def say(self, text: str) -> None:
        self._console.line("up", text)

    def start(self, program: Program) -> Child:
        child = Child(program, BASE_DIR, self._clock)
        self.children.append(child)
        self._start(child)
        return child

    def run_once(self, program: Program, *, needed: bool = True) -> None:
        """Run a program to its end next to the others; raise CannotStart if a needed one fails."""
        child = self.start(program)
        self.wait_until(lambda: child.ended() is not None)
        code = child.ended()
        if code is not None:
            self.children.remove(child)
            self._bury(child)
        if code and needed and not self.stopping:
            raise CannotStart(f"{program.name} failed")

    def wait_until(self, condition: Callable[[], bool], seconds: float = float("inf")) -> bool:
        """Keep everything running until the condition is true, time is up or a signal asks to stop."""
        end = self._clock() + seconds
        while not (held := condition()) and not self.stopping and self._clock() < end:
            self.turn()
        return held

    def run(self) -> None:
        """Keep everything running until a signal asks to stop."""
        while not self.stopping:
            self.turn()
            for child in self.children:
                self._look_after(child)

    def turn(self, seconds: float = TURN) -> None:
        """Wait briefly for output and print it."""
        talking = [child.output for child in self.children if child.output is not None]
        select.select(talking, [], [], seconds)
        for child in self.children:
            self._pass_on(child, child.lines())
        if self._make and os.getppid() != self._make:  # `make` was killed, so Ctrl-C no longer reaches us
            self.stopping = True

    def stop(self) -> None:
        """End everything within ten seconds, the foundations last."""
        self.stopping = True
        users = [child for child in self.children if not child.program.foundation]
        self._end(users[::-1], hurry=HURRY_AFTER, kill=KILL_AFTER)
        self._end([child for child in self.children if child.program.foundation], kill=FOUNDATION_TIME)
        self._record([])

    def _end(self, children: list[Child], *, kill: float, hurry: float = float("inf")) -> None:
        begin = self._clock()
        for child in children:
            child.ask_to_end()
        while any(child.pid and child.ended() is None for child in children):
            self.turn(0.05)
            passed = self._clock() - begin
            for child in children:
                if passed > kill:
                    child.kill()
                elif passed > hurry and not child.hurried and child.program.hurry_signal:
                    child.hurried = True
                    child.ask_to_end(child.program.hurry_signal)
        for child in children:
            self._bury(child)

    def _look_after(self, child: Child) -> None:
        code = child.ended()
        if code is not None:
            self._bury(child)
            self.say(f"{child.name} ended ({_reason(code)}), starts again in {child.restart_later():.0f} s")
        elif child.due is not None and self._clock() >= child.due:
            self._start(child)

    def _start(self, child: Child) -> None:
        child.start()
        self._record([child.pid for child in self.children if child.pid])

    def _record(self, pids: list[int]) -> None:
        """Record the processes for the next start; a full disk must not end this one."""
        try:
            processes.record(self._data_dir, pids)
        except OSError as error:
            self.say(f"warning: cannot record what runs ({error.strerror}): {self._data_dir}")

    def _bury(self, child: Child) -> None:
        self._pass_on(child, child.bury())

    def _pass_on(self, child: Child, lines: Iterable[str]) -> None:
        for line in lines:
            if not child.program.noise or child.program.noise not in line:
                self._console.line(child.name, line)


def _reason(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def bring_up(supervisor: Supervisor, data_dir: Path, address: Address, *, pace: float | None) -> None:
    """Start everything in order and run until a signal asks to stop. `pace`: of a demo; None: live network."""
    if pace is not None:
        demo.forget_when_old(data_dir, time.time(), pace)
        demo.remember(data_dir, pace, os.environ)
    supervisor.say("preparing the database")
    supervisor.run_once(Program("migrate", (*processes.MIGRATE, "--verbosity", "0")))
    if not env.text("REDIS_URL") and not supervisor.stopping:
        child = supervisor.start(broker.program(data_dir))
        supervisor.wait_until(lambda: broker.answers(data_dir) or child.ended() is not None, 60)
        if not broker.answers(data_dir) and not supervisor.stopping:
            raise CannotStart("the embedded broker does not answer")
    if pace is not None and not supervisor.stopping:
        demo.fill(supervisor, data_dir, pace)
    for program in processes.application():
        if not supervisor.stopping:
            supervisor.start(program)
    ready = announce_when_it_answers(address, supervisor.say, _sign_in_hint(data_dir))
    if pace is not None:
        supervisor.wait_until(ready.is_set, LONGEST_START)
        demo.complete(supervisor)
    supervisor.run()


def _sign_in_hint(data_dir: Path) -> str:
    where = "" if data_dir == BASE_DIR / "data" else f"FLUXTRACKER_DATA_DIR={_short(data_dir)} "
    return f"the first account for /admin/: {where}{_short(Path(sys.executable))} manage.py createsuperuser"


def _short(path: Path) -> Path:
    return path.relative_to(BASE_DIR) if path.is_relative_to(BASE_DIR) else path


def supervise(data_dir: Path, address: Address, *, pace: float | None = None) -> int:
    """Lock the data dir, run everything and always stop everything."""
    try:
        make_private(data_dir)
    except OSError as error:
        raise CannotStart(f"{data_dir} (FLUXTRACKER_DATA_DIR) cannot be used: {error.strerror}") from error
    with processes.held(data_dir):
        if processes.end_leftovers(data_dir):
            sys.stdout.write("ended what an earlier start had left running\n")
        address.check_free()
        if not env.text("REDIS_URL") and broker.answers(data_dir):
            raise CannotStart(f"another broker uses {data_dir}")
        supervisor = Supervisor(data_dir, Console())
        _stop_on_signals(supervisor)
        try:
            bring_up(supervisor, data_dir, address, pace=pace)
        finally:
            supervisor.stop()
        supervisor.say("stopped")
    return 0


def _stop_on_signals(supervisor: Supervisor) -> None:
    def ask(number: int, frame: FrameType | None) -> None:
        supervisor.stopping = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="supervise", description=__doc__)
    parser.add_argument("--demo", action="store_true", help="run against the simulated network")
    parser.add_argument("--pace", type=demo.pace, default=1.0, help="of a demo's payments; 1: as often as in its past")
    options = parser.parse_args(arguments)
    pace: float | None = options.pace if options.demo else None
    env.read_dotenv(BASE_DIR / ".env")
    try:
        if pace is not None:
            os.environ.update(demo.environment(env.folder("FLUXTRACKER_DATA_DIR", "data", BASE_DIR)))
        data_dir = env.folder("FLUXTRACKER_DATA_DIR", "data", BASE_DIR)
        if pace is None and (data_dir / env.DEMO_FILE).exists():
            raise CannotStart(f"{data_dir} holds the data of a demo: start it with make demo")
        address = Address(env.listen_host("HOST", "127.0.0.1"), env.whole("PORT", 8000, 1, 65535))
        return supervise(data_dir, address, pace=pace)
    except (CannotStart, ImproperlyConfigured, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
