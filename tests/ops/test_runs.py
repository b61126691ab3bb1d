"""What is recorded of a run, and when it becomes an alert."""

import pytest
from structlog.testing import capture_logs

from ops.jobs import runs
from ops.leases import LeaseHeld
from ops.models import TaskRun, TaskState
from tests.ops.conftest import NOW

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


def fail(times, name="work"):
    for _ in range(times):
        with pytest.raises(runs.NotDone), runs.run(name, trigger="schedule"):
            raise runs.NotDone("the reason\nin two lines", {})


def test_a_success_is_recorded_with_its_report():
    with runs.run("work", trigger="command") as run:
        run.report = {"added": 3}
    row = TaskRun.objects.get()
    assert (row.ok, row.trigger, row.report) == (True, "command", {"added": 3})
    assert row.finished_at >= row.started_at
    state = TaskState.objects.get(name="work")
    assert (state.consecutive_failures, state.last_report) == (0, {"added": 3})


def test_a_failure_is_recorded_in_one_line_and_raised():
    fail(1)
    assert TaskRun.objects.get().error == "the reason in two lines"
    state = TaskState.objects.get(name="work")
    assert (state.consecutive_failures, state.last_success_at, state.alerting) == (1, None, False)


def test_three_failures_in_a_row_are_one_alert_and_its_end_is_told():
    with capture_logs() as logs:
        fail(5)
    assert [entry["log_level"] for entry in logs if entry["event"] == "task_keeps_failing"] == ["error"]
    assert sum(entry["event"] == "task_failed" for entry in logs) == 5
    assert TaskState.objects.get().alerting
    with capture_logs() as logs, runs.run("work", trigger="schedule"):
        pass
    assert [entry["event"] for entry in logs] == ["task_recovered"]
    assert not TaskState.objects.get().alerting


def test_a_run_that_meets_another_leaves_no_record():
    with runs.run("work", trigger="schedule"):
        with pytest.raises(LeaseHeld), runs.run("work", trigger="command"):
            pytest.fail("two at a time")
        assert TaskRun.objects.count() == 1


def test_runs_with_one_lease_keep_each_other_out():
    with runs.run("sync", trigger="schedule"), pytest.raises(LeaseHeld), runs.run("clear", lease="sync", trigger="api"):
        pytest.fail("two at a time")


@pytest.mark.parametrize("odd", ["\x00", "\ud800", "\x1b"])
def test_failures_are_counted_whatever_their_words(odd):
    for _ in range(3):
        with pytest.raises(runs.NotDone), runs.run("work", trigger="schedule"):
            raise runs.NotDone(f"an upstream said{odd}so", {})
    assert TaskRun.objects.filter(error="an upstream said so").count() == 3
    state = TaskState.objects.get()
    assert (state.consecutive_failures, state.last_error, state.alerting) == (3, "an upstream said so", True)


def test_a_failure_whose_words_are_refused_is_counted_by_its_kind(monkeypatch):
    monkeypatch.setattr("ops.jobs.runs.printable", lambda text: text)
    with pytest.raises(runs.NotDone), runs.run("work", trigger="schedule"):
        raise runs.NotDone("half a \ud800", {})
    assert TaskState.objects.get().last_error == TaskRun.objects.get().error == "NotDone"


def test_a_success_is_recorded_whatever_its_report_holds():
    with runs.run("work", trigger="schedule") as run:
        run.report = {"failed": ["a\x00b", "c\ud800d"], "k\x00": {"rate": float("nan"), "of": (1, None, True)}}
    stored = TaskRun.objects.get(ok=True).report
    assert stored == TaskState.objects.get(last_success_at__isnull=False).last_report
    assert stored == {"failed": ["a b", "c d"], "k ": {"rate": None, "of": [1, None, True]}}


def test_a_report_of_what_no_json_has_a_word_for_is_recorded_as_text():
    with runs.run("work", trigger="schedule") as run:
        run.report = {"at": NOW}
    assert TaskState.objects.get().last_report == {"at": "2026-11-20 14:00:00+00:00"}
