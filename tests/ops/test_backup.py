"""Backup and restore: everything comes back, at once, and only what may."""

from __future__ import annotations

import hashlib
import re
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from ops import health, leases
from ops.backup import tables as backup_tables
from ops.backup.restore import writers
from ops.models import ApiToken, AuditEntry, Job, Lease, TaskRun, TaskState
from ops.schedule_rows import entries
from ops.tasks import backup as task
from revenue.models import App, LedgerState, Payment
from snapshots.models import Snapshot
from tests.factories import NOON, pay
from tests.ops.backing_up import backed_up, contents, fill, leftovers, lines, manage
from tests.revenue.ledger_checks import assert_sums_hold
from tests.settings_names import ROOT

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return backed_up(tmp_path / "all.jsonl.gz")


def restore(path: Path) -> None:
    done = manage("restore", path, "--yes")
    assert done.code == 0, done.err


def ruin() -> None:
    """Rows that went, rows that came, rows that changed."""
    Payment.objects.filter(vout=0).delete()
    Snapshot.objects.update(node_total=7, counts={})
    User.objects.all().delete()
    Group.objects.create(name="strangers")
    PeriodicTask.objects.update(enabled=False)
    pay(app="another")


@pytest.mark.engine
def test_everything_comes_back(made):
    before = contents()
    ruin()
    assert contents() != before
    restore(made)
    assert contents() == before
    assert_sums_hold()


def test_a_restore_into_an_empty_database_brings_everything(made):
    before = contents()
    restore(made)
    with connection.cursor() as cursor:
        for name in ("revenue_payment", "metrics_trackedapp", "revenue_ledgerstate", "ops_job"):
            cursor.execute(f"DELETE FROM {name}")
    restore(made)
    assert contents() == before


def test_the_report_names_the_file_its_rows_and_its_checksum(tmp_path):
    fill()
    path = tmp_path / "all.gz"
    report = manage("backup", path, "--json").report
    assert report["file"] == str(path)
    assert report["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert report["rows"] == sum(isinstance(line, list) for line in lines(path)) > 60
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert leftovers(tmp_path) == []
    again = manage("restore", path, "--yes", "--json").report
    assert {key: again[key] for key in ("file", "rows", "sha256")} == {
        key: report[key] for key in ("file", "rows", "sha256")
    }


def test_without_a_file_it_goes_to_the_data_dir_and_health_tells_its_name(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    report = manage("backup", "--json").report
    path = Path(report["file"])
    assert path.parent == tmp_path / "backups"
    assert re.fullmatch(r"fluxtracker-\d{8}T\d{6}Z\.jsonl\.gz", path.name)
    told = health.report(timezone.now())["backup"]
    assert (told["status"], told["file"]) == ("ok", path.name)


def test_the_schedule_backs_up_every_day(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    entry = next(entry for entry in entries() if entry.name == "backup")
    assert (entry.task, entry.every) == (task.name, timedelta(days=1))
    task.apply()
    assert TaskRun.objects.get(name="backup").trigger == "schedule"
    assert len(list((tmp_path / "backups").iterdir())) == 1


@pytest.mark.engine
def test_rows_keep_the_numbers_they_had_and_new_ones_come_after(made):
    last = Payment.objects.order_by("-id").first()
    restore(made)
    assert pay().pk > last.pk
    assert User.objects.create_user("bob").pk > User.objects.get(username="ann").pk
    assert Payment.objects.get(pk=last.pk).txid == last.txid


@pytest.mark.engine
def test_permissions_follow_their_names_where_the_numbers_differ(made):
    with connection.cursor() as cursor:
        for table in ("auth_group_permissions", "auth_user_user_permissions", "django_admin_log"):
            cursor.execute(f"DELETE FROM {table}")
        cursor.execute("UPDATE auth_permission SET id = id + 1000")
    restore(made)
    ann = User.objects.get(username="ann")
    assert set(ann.get_all_permissions()) == {"auth.delete_user", "revenue.view_payment"}


def test_what_a_model_that_is_gone_left_behind_stays_out_and_is_counted(made):
    with connection.cursor() as cursor:
        for table in ("auth_group_permissions", "auth_user_user_permissions", "django_admin_log"):
            cursor.execute(f"DELETE FROM {table}")
        cursor.execute("DELETE FROM auth_permission WHERE codename = 'view_payment'")
    report = manage("restore", made, "--yes", "--json").report
    assert report["leftOut"] == 1
    assert Group.objects.get(name="operators").permissions.count() == 0


def test_work_that_was_under_way_at_the_backup_does_not_start_again(tmp_path):
    job = Job.objects.create(name="clear_revenue_data", actor="ann", via="api", created_at=NOON)
    manage("backup", tmp_path / "b.gz")
    Job.objects.all().delete()
    restore(tmp_path / "b.gz")
    job = Job.objects.get(pk=job.pk)
    assert (job.state, "restored" in job.error) == (Job.State.FAILED, True)


def test_a_token_that_was_revoked_since_stays_revoked(made):
    ApiToken.objects.update(revoked_at=NOON)
    restore(made)
    assert ApiToken.objects.get().revoked_at == NOON


def test_everybody_signs_in_again(made):
    Session.objects.create(session_key="k", session_data="x", expire_date=NOON)
    restore(made)
    assert not Session.objects.exists()
    assert "django_session" not in {line.get("table") for line in lines(made) if isinstance(line, dict)}


@pytest.mark.engine
def test_the_audit_log_is_replaced_and_is_still_append_only(made):
    AuditEntry.objects.create(at=NOON, action="later", outcome="done")
    restore(made)
    assert list(AuditEntry.objects.values_list("action", flat=True)) == ["restore", "sync"]
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM ops_auditentry")


def test_a_running_beat_learns_that_its_rows_changed(made):
    before = timezone.now()
    restore(made)
    assert PeriodicTasks.last_change() >= before
    assert {entry.name for entry in entries()} <= set(PeriodicTask.objects.values_list("name", flat=True))


def test_a_restore_is_on_record(made):
    restore(made)
    assert TaskRun.objects.get(name="restore").ok is True
    assert TaskState.objects.get(name="restore").last_report["file"] == made.name


@pytest.mark.engine
def test_answers_of_before_do_not_pass_for_answers_of_after(made):
    version = LedgerState.load().version
    restore(made)
    assert LedgerState.load().version == version
    LedgerState.objects.update(version=version + 50)
    restore(made)
    assert LedgerState.load().version == version + 51


@pytest.mark.engine
def test_a_restore_waits_for_whoever_writes_and_names_them(made, monkeypatch):
    monkeypatch.setattr("ops.management.commands.restore.LEASE_WAIT_S", 0.0)
    before = contents()
    with leases.hold("sync_revenue"):
        done = manage("restore", made, "--yes")
    assert (done.code, "sync_revenue is already running" in done.reason) == (1, True)
    assert contents() == before
    assert not Lease.objects.exclude(holder="").exists()


def test_a_restore_asks_for_a_yes(made):
    before = contents()
    done = manage("restore", made)
    assert (done.code, "--yes" in done.reason) == (2, True)
    assert contents() == before


@pytest.mark.engine
def test_a_restore_whose_lease_goes_changes_nothing(made, monkeypatch):
    before = contents()
    App.objects.update(payments=99)
    ruined = contents()
    monkeypatch.setattr("ops.backup.restore.Keeper.begin", steal)
    done = manage("restore", made, "--yes")
    assert (done.code, "sync_revenue" in done.reason) == (1, True)
    assert contents() == ruined != before


def steal(keeper) -> None:
    """As if the lease had run out and a sync on another host had taken it."""
    if connection.vendor == "sqlite":
        keeper.stack.close()
    Lease.objects.filter(name="sync_revenue").update(holder="")
    assert leases.try_take("sync_revenue", "elsewhere:1:1.00:abcd") is None


@pytest.mark.engine
def test_every_lease_of_a_writer_is_held():
    """A new writing command fails here until a restore keeps it out."""
    words = "\n".join(path.read_text() for room in ROOT.iterdir() if (room / "apps.py").exists()
                      for path in room.rglob("*.py"))  # fmt: skip
    runs = re.findall(r"runs\.run\(\s*\"(\w+)\"(, lease=)?", words) + re.findall(r"leases\.hold\(\s*\"(\w+)\"()", words)
    named = set(re.findall(r"lease=\"(\w+)\"|LEASE = \"(\w+)\"|lease = \"(\w+)\"", words))
    found = {name for name, other in runs if not other} | {name for names in named for name in names if name}
    assert found <= set(writers())


@pytest.mark.engine
def test_every_column_of_every_table_is_known():
    tables = backup_tables.tables()
    assert len(tables) > 30
    assert {"revenue_payment", "auth_user", "auth_user_groups", "django_celery_beat_periodictask"} <= tables.keys()
