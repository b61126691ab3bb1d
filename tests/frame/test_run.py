from collections import Counter

from tests import engines, run
from tests.settings_names import ROOT

FOUND = '<testsuites><testsuite tests="10" failures="1" errors="2" skipped="3"/></testsuites>'


def test_the_quick_run_leaves_the_slow_ones_out():
    found = run.stages(full=False, browser=True, production=False)
    assert {stage.marks for stage in found} == {"not bench and not slow"}


def test_production_runs_what_depends_on_it_or_everything():
    quick, full = (run.stages(full=full, browser=True, production=True)[3:] for full in (False, True))
    assert {stage.marks for stage in quick} == {"engine and not bench and not slow"}
    assert [stage.marks for stage in full] == ["not bench", "not bench", "not bench and not slow"]


def test_the_stages_of_an_engine_are_the_whole_suite_and_share_no_database():
    found = run.stages(full=True, browser=True, production=True)
    for rest, *waiting in (found[:3], found[3:]):
        assert rest.paths == tuple(f"--ignore={path}" for stage in waiting for path in stage.paths)
    assert all((ROOT / path).is_dir() for path in run.PROCESSES + run.BROWSERS)
    for name in ("DATABASE_URL", "REDIS_URL"):
        assert len({stage.settings[name] for stage in found[3:]}) == 3


def test_browser_tests_need_a_browser():
    for full in (False, True):
        found = run.stages(full=full, browser=False, production=True)
        assert not any(stage.paths == run.BROWSERS for stage in found)


def test_the_closing_line_counts_everything(tmp_path):
    (tmp_path / "report.xml").write_text(FOUND)
    total = run.counted(tmp_path / "report.xml")
    assert run.closing_line(total) == "4 passed, 3 failed, 3 skipped"
    assert run.closing_line(Counter(tests=5)) == "5 passed, 0 failed"


def test_a_stage_that_could_not_run_is_a_failure(tmp_path):
    stage = run.Stage("some", "not bench", {})
    counts = run.run(stage, tmp_path, ["--no-such-option"])
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
