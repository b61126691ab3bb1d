"""Counts and places that several processes share."""

from __future__ import annotations

import multiprocessing

import pytest

from fluxtracker.api import throttling
from fluxtracker.api.throttling import Counters

MINUTE = 29_000_000


def ask(folder: str, times: int) -> None:
    shared = Counters(folder)
    for _ in range(times):
        shared.count("programs", "203.0.113.9", MINUTE)


def test_processes_count_together_and_lose_nothing(tmp_path):
    folder = str(tmp_path)
    processes = [multiprocessing.get_context("spawn").Process(target=ask, args=(folder, 200)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert Counters(folder).count("programs", "203.0.113.9", MINUTE) == 601
    assert Counters(folder).count("pages", "203.0.113.9", MINUTE) == 1
    assert Counters(folder).count("programs", "203.0.113.9", MINUTE + 1) == 1


def test_a_place_that_one_process_holds_is_taken_for_the_others(tmp_path):
    one, other = Counters(str(tmp_path)), Counters(str(tmp_path))
    place = one.take("exports", 1, 0.0, 60.0)
    assert place is not None
    assert other.take("exports", 1, 59.0, 119.0) is None
    assert other.take("waiting requests", 1, 59.0, 119.0) is not None
    one.give_back(place)
    assert other.take("exports", 1, 59.0, 119.0) is not None
    assert one.take("exports", 1, 119.0, 179.0) is not None  # its time was over


@pytest.mark.parametrize("folder", ["broken", "missing"])
def test_a_file_that_cannot_be_used_is_done_without(tmp_path, folder):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "counters.sqlite3").write_bytes(b"no database" * 500)
    alone = Counters(str(tmp_path / folder))
    assert [alone.count("programs", "a", MINUTE) for _ in range(2)] == [1, 2]


def test_the_table_is_emptied_with_the_minute(tmp_path, monkeypatch):
    monkeypatch.setattr(throttling, "MOST_CLIENTS", 3)
    monkeypatch.setattr(throttling, "MOST_SHARED", 1)
    shared = Counters(str(tmp_path))
    assert [shared.count("programs", str(n), MINUTE) for n in range(6)] == [1, 1, 1, 1, 2, 3]
    assert [shared.count("programs", str(n), MINUTE + 1) for n in range(6)] == [1, 1, 1, 1, 2, 3]


def test_a_file_that_fails_in_the_middle_costs_no_answer(tmp_path):
    shared = Counters(str(tmp_path))
    assert shared.count("programs", "a", MINUTE) == 1
    shared._connection.execute("PRAGMA query_only = ON")
    assert [shared.count("programs", "a", MINUTE) for _ in range(2)] == [1, 2]
    assert shared.take("exports", 1, 0.0, 60.0) is not None
    shared._connection.execute("PRAGMA query_only = OFF")
    assert shared.count("programs", "a", MINUTE) == 2
