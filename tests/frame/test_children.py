import os
import time

import psutil
import pytest

from fluxtracker.supervisor import processes
from fluxtracker.supervisor.processes import Child
from tests.frame.programs import PATIENT, program
from tests.settings_names import ROOT
from tests.waiting import eventually


@pytest.fixture
def child():
    made = []

    def make(code, clock=time.monotonic, **options):
        made.append(Child(program("some", code, **options), ROOT, clock))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.kill()
        one.bury()


def all_lines(child: Child) -> list[str]:
    found: list[str] = []
    assert eventually(lambda: found.extend(child.lines()) or child.ended() is not None)
    return found + child.bury()


def test_it_passes_on_whole_lines_from_both_outputs(child):
    one = child("import sys; print('out'); print('err', file=sys.stderr); print('no end', end='')")
    assert sorted(all_lines(one)) == ["err", "no end", "out"]


def test_bytes_that_are_no_text_and_endless_lines_do_not_stop_it(child):
    one = child("import sys; sys.stdout.buffer.write(b'\\xff\\r\\n' + b'x' * 200_000)")
    lines = all_lines(one)
    assert lines[0] == "\ufffd"
    assert sum(map(len, lines[1:])) == 200_000


def test_a_program_that_closes_its_output_goes_on(child):
    one = child("import os, time; os.close(1); os.close(2); time.sleep(60)")
    assert eventually(lambda: list(one.lines()) == [] and one.output is None)
    assert one.ended() is None


def test_the_pause_doubles_with_each_crash_and_is_short_again_after_a_quiet_time():
    now = [0.0]
    one = Child(program("some", PATIENT), ROOT, lambda: now[0])
    assert [one.restart_later() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    now[0] += processes.SETTLED
    assert one.restart_later() == 1


def test_burying_ends_what_the_program_left_behind(child):
    one = child("import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid)")
    assert eventually(lambda: one.ended() is not None)
    orphan = psutil.Process(int(next(one.lines())))
    one.bury()
    assert eventually(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE)


def test_it_leads_a_group_of_its_own_so_that_ctrl_c_does_not_reach_it(child):
    one = child(PATIENT)
    assert os.getpgid(one.pid) == one.pid != os.getpgrp()
