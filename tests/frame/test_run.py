import os
import re
import signal
import subprocess
import sys
from collections import Counter
from itertools import product
from threading import Thread
from types import SimpleNamespace

import pytest
from django.test import TestCase

from tests import engines, run
from tests.conftest import touches
from tests.marks import share
from tests.settings_names import ROOT
from tests.waiting import AMPLE, eventually

FOUND = '<testsuites><testsuite tests="10" failures="1" errors="2" skipped="3"/></testsuites>'


def test_the_quick_run_leaves_the_slow_ones_out():
    found = run.stages(full=False, browser=True, production=False)
    assert {stage.marks for stage in found} == {"not bench and not slow"}


@pytest.mark.parametrize(
    ("full", "marks"),
    [
        (False, "engine and not bench and not slow and not (law or hypothesis)"),
        (True, "not bench and (engine or not further)"),
    ],
    ids=["quick", "full"],
)
def test_production_runs_what_depends_on_it_or_everything(full, marks):
    found = {
        stage.title.split(", ")[1]: stage.marks
        for stage in run.stages(full=full, browser=True, production=True)
        if stage.title.startswith("PostgreSQL")
    }
    expected = dict.fromkeys(run.PARTS if full else run.ON_BOTH, marks)
    assert found == expected | (dict.fromkeys(run.OTHER_PARTS, "engine and not bench") if full else {})


NAMES = ("engine", "slow", "further", "law", "hypothesis")


@pytest.mark.parametrize("engine", ["SQLite", "PostgreSQL"])
@pytest.mark.parametrize("file", [paths[0] for paths in run.PARTS.values() if paths] + ["tests/ops", "tests/metrics"])
def test_the_full_run_after_the_quick_one_does_what_that_left_out(file, engine):
    """Together they are the full run: each mark's tests, on each engine."""
    quick, full, later = (
        [
            stage.marks
            for stage in run.stages(browser=True, production=True, **options)
            if stage.title.startswith(engine) and holds(stage.paths, file)
        ]
        for options in ({"full": False}, {"full": True}, {"full": True, "after_test": True})
    )
    assert len(full) == len(later) == 1
    for values in product([False, True], repeat=len(NAMES)):
        marks = dict(zip(NAMES, values, strict=True)) | {"bench": False}
        assert chosen(quick + later, marks) == chosen(full, marks), marks
        if marks["law"] or marks["hypothesis"]:
            assert chosen(later, marks) == chosen(full, marks), marks


def chosen(expressions: list[str], marks: dict[str, bool]) -> bool:
    """Whether pytest takes a test with these marks by one of the expressions."""
    return any(eval(expression, {}, marks) for expression in expressions)  # names, and, or, not


def test_who_hides_a_law_in_a_test_says_so():
    files = list((ROOT / "tests").rglob("test_*.py"))
    assert any("\n@law\n" in path.read_text() for path in files)
    for path in files:
        hidden = re.findall(r"^[ \t]+.*max_examples=examples\(", path.read_text(), re.MULTILINE)
        assert len(hidden) <= len(re.findall(r"^@law$", path.read_text(), re.MULTILINE)), path


@pytest.mark.parametrize("full", [True, False])
def test_the_parts_of_an_engine_are_the_whole_suite_each_test_once(full):
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    found = Counter(file for paths in run.parts(full=full).values() for file in files if holds(paths, file))
    assert found == dict.fromkeys(files, 1)
    assert all((ROOT / path).exists() for paths in run.PARTS.values() for path in paths)


def test_one_path_alone_runs_on_both_engines():
    found = run.stages(full=True, browser=True, production=True, only="tests/system")
    assert [(stage.paths, stage.marks) for stage in found] == [
        (("tests/system",), "not bench"),
        (("tests/system",), "not bench and (engine or not further)"),
    ]
    assert ["DATABASE_URL" in stage.settings for stage in found] == [False, True]


def test_the_second_engine_leaves_out_what_touches_none(request):
    def item(*fixtures, mark="", cls=None):
        return SimpleNamespace(get_closest_marker=lambda name: name == mark, fixturenames=fixtures, cls=cls)

    assert not touches(request.node)
    assert not touches(item("tmp_path", "monkeypatch", "client"))
    for fixture in ("db", "transactional_db", "live_server", "home", "empty_home", "template"):
        assert touches(item("tmp_path", fixture))
    assert touches(item(mark="django_db"))
    assert touches(item(mark="engine"))
    assert touches(item(cls=TestCase))


def test_random_tries_are_shared_between_the_engines(monkeypatch):
    shares = []
    for both, url in (("", ""), ("1", ""), ("1", "postgres://here")):
        monkeypatch.setenv("TESTS_BOTH_ENGINES", both)
        monkeypatch.setenv("DATABASE_URL", url)
        shares.append(list(share(10)))
    alone, *halves = shares
    assert alone == list(range(10)) == sorted(number for half in halves for number in half)
    assert [len(half) for half in halves] == [5, 5]
    assert {
        stage.settings.get("TESTS_BOTH_ENGINES") for stage in run.stages(full=True, browser=True, production=True)
    } == {"1"}
    assert not any(stage.settings for stage in run.stages(full=True, browser=True, production=False))


def holds(paths: tuple[str, ...], file: str) -> bool:
    """Whether pytest's arguments take a file in."""
    ignored = [path.removeprefix("--ignore=") for path in paths if path.startswith("--ignore=")]
    named = [path for path in paths if not path.startswith("--")] or ["tests"]
    within = [any(f"{file}/".startswith(f"{path}/") for path in some) for some in (named, ignored)]
    return within == [True, False]


def test_no_two_parts_share_a_database():
    found = run.stages(full=True, browser=True, production=True)
    production = [stage.settings for stage in found if "DATABASE_URL" in stage.settings]
    assert len(production) == len(run.PARTS)
    for name in ("DATABASE_URL", "REDIS_URL"):
        assert len({settings[name] for settings in production}) == len(production)


def test_browser_tests_need_a_browser():
    for full in (False, True):
        found = run.stages(full=full, browser=False, production=True)
        assert not any(run.BROWSERS[0] in stage.paths for stage in found)


def test_the_closing_line_counts_everything(tmp_path):
    (tmp_path / "report.xml").write_text(FOUND)
    total = run.counted(tmp_path / "report.xml")
    assert run.closing_line(total) == "4 passed, 3 failed, 3 skipped"
    assert run.closing_line(Counter(tests=5)) == "5 passed, 0 failed"


def test_a_stage_that_could_not_run_is_a_failure(tmp_path):
    stage = run.Stage("some", "not bench", {})
    counts = run.run(stage, tmp_path, ["--no-such-option"], [])
    assert run.closing_line(counts) == "0 passed, 1 failed"


def test_the_callers_settings_do_not_reach_the_tests(monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "postgres://production")
    monkeypatch.setenv("HOME", "/home/me")
    environment = run.clean_environment(tmp_path, {"REDIS_URL": "redis://there"})
    assert (environment["DATABASE_URL"], environment["REDIS_URL"]) == ("", "redis://there")
    assert environment["HOME"] == "/home/me"


def test_what_does_not_answer_is_named(monkeypatch):
    monkeypatch.setenv("TEST_DATABASE_URL", "postgres://me@127.0.0.1:9/test")
    monkeypatch.setenv("TEST_REDIS_URL", "redis://127.0.0.1:9/0")
    assert [reason.split(":")[0] for reason in engines.missing()] == ["PostgreSQL", "Redis"]


@pytest.mark.parametrize("app", ["revenue", "metrics", "carousel", "snapshots", "dashboard", "ops", "fluxtracker"])
def test_an_apps_own_tests_run_on_sqlite_each_once(app):
    found = run.stages_of(app)
    assert [(stage.marks, "DATABASE_URL" in stage.settings) for stage in found] == [
        ("not bench and not slow", False)
    ] * 2
    files = Counter(path for stage in found for path in stage.paths)
    own = {path.relative_to(ROOT).as_posix() for name in run.folders(app) for path in (ROOT / name).rglob("test_*.py")}
    assert files == dict.fromkeys(own, 1)
    assert f"tests/{app}" in {path.rpartition("/")[0] for path in own} or app == "fluxtracker"


@pytest.mark.parametrize("name", ["nobody", "tests", "browser", "system", "../revenue"])
def test_what_is_no_app_has_no_tests_of_its_own(name):
    assert run.folders(name) == ()


WAITING = """
import pathlib, subprocess, sys, time
def test_it():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        (pathlib.Path(__file__).parent / "begun").touch()
        time.sleep(600)
    finally:
        (pathlib.Path(__file__).parent / "cleared up").touch()
"""
ALONE = ["--noconftest", "-p", "no:django", "-p", "no:cacheprovider", "-c", os.devnull]


def test_ctrl_c_ends_what_runs_and_begins_nothing_more(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "AT_ONCE", 1)
    (tmp_path / "test_it.py").write_text(WAITING)
    stages = [run.Stage(name, "not bench", {}, (str(tmp_path),)) for name in ("first", "second")]
    folder = tmp_path / "stages"
    folder.mkdir()

    def interrupt():
        assert eventually((tmp_path / "begun").exists)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # may be ignored, as in a background job
    Thread(target=interrupt).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run.run_all(stages, folder, ALONE)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "cleared up").exists()
    assert [path.name for path in folder.iterdir()] == ["0"]
    assert list(run.of_run(folder)) == []


def test_only_what_a_run_has_started_is_ended_after_it(tmp_path):
    started = [
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=os.environ | {run.RUN: str(name)})
        for name in (tmp_path, "another run")
    ]
    mine, other = started
    assert eventually(lambda: len(list(run.of_run(tmp_path))) == 1)
    assert ["time.sleep(600)" in line for line in run.end_leftovers(tmp_path)] == [True]
    mine.wait(AMPLE)
    assert other.poll() is None
    other.kill()
    other.wait(AMPLE)
