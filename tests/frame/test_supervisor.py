import io
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from fluxtracker.supervisor.main import FOUNDATION_TIME, HURRY_AFTER, KILL_AFTER, Supervisor
from fluxtracker.supervisor.processes import CannotStart, Console
from tests.frame.programs import PATIENT, POLITE, STUBBORN, program
from tests.waiting import AMPLE


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(tmp_path, said):
    one = Supervisor(tmp_path, Console(said))
    yield one
    one.stop()


def run_until(supervisor: Supervisor, condition, seconds: float = AMPLE) -> None:
    """Let the supervisor work, as run() does, until a condition is true."""
    end = time.monotonic() + seconds

    def turn(pause: float = 0.02) -> None:
        Supervisor.turn(supervisor, pause)
        supervisor.stopping = condition() or time.monotonic() > end

    supervisor.turn = turn  # type: ignore[method-assign]
    supervisor.run()
    del supervisor.turn
    assert condition()


def test_every_line_carries_the_name_of_its_program(supervisor, said):
    supervisor.run_once(program("migrate", "print('one'); print('two')"))
    assert said.getvalue() == "migrate | one\nmigrate | two\n"


def test_noise_is_left_out(supervisor, said):
    supervisor.run_once(program("broker", "print('buy more memory'); print('ready')", noise="more memory"))
    assert said.getvalue() == "broker  | ready\n"


def test_a_step_that_fails_is_told(supervisor):
    with pytest.raises(CannotStart, match="migrate failed"):
        supervisor.run_once(program("migrate", "raise SystemExit(3)"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_full_disk_ends_nothing(supervisor, said, tmp_path):
    (tmp_path / "processes.json.new").symlink_to("/dev/full")
    child = supervisor.start(program("web", PATIENT))
    first = child.pid
    os.kill(first, signal.SIGKILL)
    run_until(supervisor, lambda: child.pid not in (None, first))
    supervisor.stop()
    assert said.getvalue().count("up      | warning: cannot record what runs (No space left on device)") == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_output_that_goes_to_a_full_disk_ends_nothing(tmp_path):
    ended_well = False
    with suppress(OSError), open("/dev/full", "w") as full:  # closing it fails as well
        supervisor = Supervisor(tmp_path, Console(full))
        for _ in range(3):
            supervisor.run_once(program("migrate", "print('word ' * 10_000)"))
        supervisor.stop()
        ended_well = True
    assert ended_well


def test_a_crashed_program_is_started_again(supervisor, said):
    child = supervisor.start(program("web", PATIENT))
    first = child.pid
    os.kill(first, signal.SIGKILL)
    run_until(supervisor, lambda: child.pid not in (None, first))
    assert "web ended (signal 9), starts again in 1 s" in said.getvalue()


def test_a_program_that_ends_by_itself_is_started_again(supervisor, said):
    supervisor.start(program("web", "print('hello')"))
    run_until(supervisor, lambda: said.getvalue().count("hello") == 2)
    assert "web ended (exit code 0)" in said.getvalue()


def test_the_foundation_ends_after_those_who_use_it(supervisor, said):
    supervisor.start(program("broker", POLITE.format(0), foundation=True))
    supervisor.start(program("web", POLITE.format(0.5)))
    run_until(supervisor, lambda: said.getvalue().count("up") == 2)
    supervisor.stop()
    assert said.getvalue().splitlines()[-2:] == ["web     | bye", "broker  | bye"]


def test_a_deaf_program_is_hurried_and_then_killed_within_ten_seconds(supervisor, said):
    hurried = STUBBORN.replace("time.sleep", "signal.signal(signal.SIGQUIT, lambda *_: print('hurry')); time.sleep")
    supervisor.start(program("worker", hurried, hurry_signal=signal.SIGQUIT))
    supervisor.start(program("broker", STUBBORN, foundation=True))
    run_until(supervisor, lambda: said.getvalue().count("up") == 2)
    supervisor.stop()
    assert said.getvalue().count("hurry") == 1
    assert not any(child.pid for child in supervisor.children)
    assert HURRY_AFTER < KILL_AFTER < 9 - FOUNDATION_TIME


def test_colours_are_for_terminals(said):
    said.isatty = lambda: True  # type: ignore[method-assign]
    Console(said).line("web", "hello")
    assert said.getvalue() == "\033[36mweb     |\033[0m hello\n"


def test_a_reader_that_has_gone_does_not_end_the_programs():
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stream:
        console = Console(stream)
        console.line("web", "lost")
        console.line("web", "lost as well")


def test_it_ends_when_the_make_that_started_it_was_killed(tmp_path, said, monkeypatch):
    monkeypatch.setenv("MAKELEVEL", "0")
    supervisor = Supervisor(tmp_path, Console(said))
    supervisor.turn(0)
    assert not supervisor.stopping
    monkeypatch.setattr(os, "getppid", lambda: 1)
    supervisor.turn(0)
    assert supervisor.stopping
