import json
import os
import subprocess

import psutil
import pytest

from fluxtracker.supervisor import processes
from tests.waiting import AMPLE, eventually


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sh", "-c", "sleep 60 & wait"], start_new_session=True)
    assert eventually(lambda: psutil.Process(process.pid).children())
    yield process
    processes.end_group(process.pid, 9)
    process.wait()


def test_a_second_supervisor_is_told_who_has_the_data_dir(tmp_path):
    with (
        processes.held(tmp_path),
        pytest.raises(processes.CannotStart, match=f"process {os.getpid()}"),
        processes.held(tmp_path),
    ):
        pass


def test_the_data_dir_is_free_when_its_holder_has_gone(tmp_path):
    with processes.held(tmp_path):
        pass
    with processes.held(tmp_path):
        pass


def test_what_a_killed_supervisor_left_is_ended_with_its_children(tmp_path, sleeper):
    children = psutil.Process(sleeper.pid).children()
    processes.record(tmp_path, [sleeper.pid])
    assert processes.end_leftovers(tmp_path, seconds=1) == 1
    assert sleeper.wait(AMPLE) != 0
    assert eventually(lambda: not any(child.is_running() and child.status() != "zombie" for child in children))


def test_orphans_of_a_program_that_has_gone_are_ended(tmp_path, sleeper):
    children = psutil.Process(sleeper.pid).children()
    processes.record(tmp_path, [sleeper.pid])
    sleeper.kill()
    sleeper.wait()
    assert processes.end_leftovers(tmp_path, seconds=1) == 1
    assert eventually(lambda: not any(child.is_running() and child.status() != "zombie" for child in children))


def test_what_was_left_is_found_whatever_happened_to_the_clock(tmp_path, sleeper, monkeypatch):
    linux = pytest.importorskip("psutil._pslinux")
    processes.record(tmp_path, [sleeper.pid])
    before = linux.boot_time()
    monkeypatch.setattr(linux, "boot_time", lambda: before + 3600)
    assert processes.end_leftovers(tmp_path, seconds=1) == 1
    assert sleeper.wait(AMPLE) != 0


@pytest.mark.parametrize("other", ["{place}-1", "00000000-1-{ticks}", "1000.00", 1000.0])
def test_a_process_with_the_same_id_that_is_not_ours_lives(tmp_path, sleeper, other):
    place, _, ticks = processes.mark(sleeper.pid).rpartition("-")
    marked = other.format(place=place, ticks=ticks) if isinstance(other, str) else other
    (tmp_path / "processes.json").write_text(json.dumps([[sleeper.pid, marked]]))
    assert processes.end_leftovers(tmp_path, seconds=1) == 0
    assert sleeper.poll() is None


@pytest.mark.parametrize("content", ["", "{", "[1]", '[["a", 1]]', "[[999999999, 1]]"])
def test_a_damaged_or_old_record_is_no_obstacle(tmp_path, content):
    (tmp_path / "processes.json").write_text(content)
    assert processes.end_leftovers(tmp_path) == 0
