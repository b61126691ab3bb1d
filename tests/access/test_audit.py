"""The audit log: every refusal, every action, nothing secret, and no changes."""

import logging
from datetime import UTC, date, datetime

import pytest
import time_machine
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from ops import audit_log
from ops.audit_log import rewriting
from ops.models import AppendOnly, AuditEntry
from tests.factories import pay
from tests.snapshots import original
from tests.system.conftest import build, in_process

__all__ = ["build", "in_process"]

pytestmark = pytest.mark.django_db

VALUES = (
    "INTO ops_auditentry (id, at, actor, address, action, outcome, detail, request_id) "
    "VALUES ({}, '2026-01-01 00:00:00+00', 'x', '', 'forged', 'done', '{{}}', '')"
)
FORGERIES = {
    "sqlite": (
        f"REPLACE {VALUES}",
        f"INSERT OR REPLACE {VALUES}",
        f"INSERT {VALUES} ON CONFLICT (id) DO UPDATE SET actor = 'x'",
    ),
    "postgresql": (
        "TRUNCATE ops_auditentry",
        "TRUNCATE ops_alert, ops_auditentry RESTART IDENTITY CASCADE",
        f"INSERT {VALUES} ON CONFLICT (id) DO UPDATE SET actor = 'x'",
    ),
}


def entry(**values):
    told = {"actor": "alice", "address": None, "action": "test", "outcome": "done"}
    audit_log.record(**told | values)
    return AuditEntry.objects.latest("id")


def test_a_row_can_neither_be_changed_nor_deleted_through_django():
    row = entry()
    row.actor = "somebody else"
    for attempt in (
        row.save,
        row.delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(actor="x"),
        lambda: AuditEntry.objects.bulk_update([row], ["actor"]),
    ):
        with pytest.raises(AppendOnly), transaction.atomic():
            attempt()
    assert AuditEntry.objects.get().actor == "alice"


@pytest.mark.engine
@pytest.mark.parametrize("statement", ["UPDATE ops_auditentry SET actor = 'x'", "DELETE FROM ops_auditentry"])
def test_nor_by_a_statement_of_anybody_else(statement):
    entry()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEntry.objects.get().actor == "alice"


@pytest.mark.engine
def test_a_restore_may_replace_it_and_leaves_it_protected():
    row = entry()
    with rewriting(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM ops_auditentry")
        for statement in FORGERIES[connection.vendor]:
            cursor.execute(statement.format(row.pk))
        cursor.execute("DELETE FROM ops_auditentry")
    assert not AuditEntry.objects.exists()
    test_nor_by_a_statement_of_anybody_else("DELETE FROM ops_auditentry")


@pytest.mark.engine
@pytest.mark.parametrize("statement", FORGERIES[connection.vendor])
def test_nor_replaced_nor_emptied_as_the_engine_alone_can(statement):
    row = entry()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(row.pk))
    assert AuditEntry.objects.get().actor == "alice"
    assert entry(actor="bob").pk > row.pk


@pytest.mark.engine
@pytest.mark.django_db(transaction=True)
def test_a_database_whose_log_is_empty_may_be_flushed():
    call_command("flush", interactive=False, verbosity=0)
    test_nor_by_a_statement_of_anybody_else("DELETE FROM ops_auditentry")


@pytest.mark.engine
def test_a_restore_that_fails_leaves_it_as_it_was():
    entry()

    def fail():
        with rewriting(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM ops_auditentry")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert AuditEntry.objects.count() == 1
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM ops_auditentry")


def test_values_are_cut_to_what_fits():
    row = entry(actor="a" * 500, address="9" * 99, action="x" * 99, detail={"reason": "r" * 999, "days": 5})
    assert (len(row.actor), len(row.address), len(row.action)) == (150, 45, 60)
    assert row.detail == {"reason": "r" * 200, "days": 5}


# Refusals and actions


def test_every_refusal_is_written_down_with_actor_and_address(client, user):
    outside = {"REMOTE_ADDR": "203.0.113.9"}
    client.post("/api/admin/prune", {"password": "secret"}, headers={"X-Request-ID": "request-7"}, **outside)
    client.force_login(user)
    client.get("/api/admin/jobs", **outside)
    anonymous, bob = AuditEntry.objects.order_by("id")
    assert (anonymous.actor, anonymous.address, anonymous.action, anonymous.outcome, anonymous.detail) == (
        "", "203.0.113.9", "POST api/admin/prune", "refused", {"status": 401},
    )  # fmt: skip
    assert anonymous.request_id == "request-7"
    assert (bob.actor, bob.action, bob.detail) == ("bob", "GET api/admin/jobs", {"status": 403})


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({}, "127.0.0.1"),
        ({"X-Forwarded-For": "8.8.8.8, 203.0.113.7"}, "203.0.113.7"),
        ({"X-Forwarded-Proto": "https"}, "127.0.0.1"),
    ],
)
@pytest.mark.usefixtures("plain_static_files")
def test_who_is_on_the_machine_itself_has_an_address_too(client, staff, post, sent, headers, address):
    client.get("/api/admin/jobs", headers=headers)
    client.post("/admin/login/", {"username": "alice", "password": "wrong"}, headers=headers)
    client.force_login(staff)
    client.post("/admin/logout/", headers=headers)
    job = post("revenue-sync", headers=headers).json()["job"]
    post(f"jobs/{job}/cancel", headers=headers)
    rows = AuditEntry.objects.exclude(action="create token").order_by("id")
    assert list(rows.values_list("action", "address")) == [
        ("GET api/admin/jobs", address),
        ("sign in", address),
        ("admin:logout", address),
        ("job revenue-sync", address),
        ("cancel job", address),
    ]


def test_a_page_of_the_admin_that_is_not_theirs_is_a_refusal(client, staff):
    client.force_login(staff)
    assert client.get("/admin/auth/user/").status_code == 403
    assert AuditEntry.objects.get().actor == "alice"


@pytest.mark.usefixtures("plain_static_files")
def test_a_form_without_its_csrf_token_is_refused_on_a_page_of_ours(superuser):
    client = Client(enforce_csrf_checks=True)
    client.force_login(superuser)
    response = client.post("/admin/auth/group/add/", {"name": "x"})
    assert (response.status_code, b"open the page again" in response.content) == (403, True)
    assert b"<style" not in response.content
    assert AuditEntry.objects.get().actor == "root"


@pytest.mark.parametrize("who", [None, "bob"])
def test_a_form_of_who_may_not_come_in_is_a_refusal_and_no_work_done(client, user, monkeypatch, who):
    monkeypatch.setattr(audit_log, "MOST_OF_ONE", 3)
    if who:
        client.force_login(user)
    codes = {client.post("/admin/auth/group/add/", {"name": "x"}).status_code for _ in range(9)}
    assert codes == {302}  # to the sign-in
    assert set(AuditEntry.objects.values_list("actor", "outcome")) == {(who or "", "refused")}
    assert AuditEntry.objects.count() == 3


def test_what_an_entry_quotes_of_an_address_moves_no_terminal(client, superuser):
    client.force_login(superuser)
    assert client.post("/admin/auth/group/%1B%5B31m%00/delete/", {"post": "yes"}).status_code == 302
    assert AuditEntry.objects.get().detail == {"object_id": " [31m "}


def test_a_change_in_the_admin_is_written_down(client, superuser, staff):
    client.force_login(superuser)
    form = {"username": "alice", "is_staff": "on", "date_joined_0": "2026-11-24", "date_joined_1": "10:00:00"}
    assert client.post(f"/admin/auth/user/{staff.pk}/change/", form).status_code == 302
    row = AuditEntry.objects.get()
    assert (row.actor, row.action, row.outcome) == ("root", "admin:auth_user_change", "done")
    assert row.detail["object_id"] == str(staff.pk)


def test_a_form_that_was_not_accepted_is_not(client, superuser, staff):
    client.force_login(superuser)
    assert client.post(f"/admin/auth/user/{staff.pk}/change/", {}).status_code == 200
    assert not AuditEntry.objects.exists()


@pytest.mark.usefixtures("plain_static_files")
def test_signing_out_tells_who_it_was(client, staff):
    client.force_login(staff)
    client.post("/admin/logout/")
    row = AuditEntry.objects.get()
    assert (row.actor, row.action, row.outcome) == ("alice", "admin:logout", "done")


def test_reading_leaves_nothing(client, staff):
    client.force_login(staff)
    client.get("/api/admin/jobs")
    client.get("/api/health/live")
    assert not AuditEntry.objects.exists()


START = datetime(2026, 11, 20, 14, 0, 1, tzinfo=UTC)


@pytest.fixture
def knock(client):
    def knock(address="203.0.113.9"):
        assert client.get("/api/admin/jobs", REMOTE_ADDR=address).status_code == 401

    return knock


def test_a_flood_of_refusals_does_not_fill_the_disk(knock, monkeypatch, caplog):
    monkeypatch.setattr(audit_log, "MOST_OF_ONE", 3)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            knock()
    assert AuditEntry.objects.count() == 3
    assert sum(record.msg["event"] == "refusal_not_kept" for record in caplog.records if isinstance(record.msg, dict))
    knock("203.0.113.10")
    assert AuditEntry.objects.count() == 4


def test_all_addresses_of_a_network_of_ipv6_are_one_client(knock, monkeypatch):
    monkeypatch.setattr(audit_log, "MOST_OF_ONE", 3)
    for n in range(9):
        knock(f"2001:db8:1:2:{n:x}::{n:x}")
    assert AuditEntry.objects.count() == 3
    knock("2001:db8:1:3::1")
    assert AuditEntry.objects.count() == 4


def test_a_flood_from_everywhere_is_cut_and_then_told_in_one_entry(client, knock, monkeypatch):
    monkeypatch.setattr(audit_log, "MOST", 5)
    with time_machine.travel(START, tick=False) as clock:
        for n in range(12):
            knock(f"203.0.113.{n}")
        assert AuditEntry.objects.count() == 5
        clock.shift(60)
        for _ in range(2):  # whatever comes next
            client.get("/api/health/live")
    assert AuditEntry.objects.count() == 6
    row = AuditEntry.objects.latest("id")
    assert (row.action, row.outcome, row.detail) == (
        "more refusals", "refused", {"count": 7, "minute": "2026-11-20T14:00Z"},
    )  # fmt: skip


@pytest.mark.parametrize("body", [{}, {"confirm": " clear "}, {"confirm": "yes"}, []])
def test_clearing_that_was_not_confirmed_is_a_refusal(post, sent, body):
    assert post("clear-revenue-data", body).status_code == 400
    row = AuditEntry.objects.latest("id")
    assert (row.actor, row.address, row.action, row.outcome, row.detail) == (
        "alice", "127.0.0.1", "job clear-revenue-data", "refused", {"reason": "not confirmed"},
    )  # fmt: skip


def test_other_values_that_are_wrong_are_none(post, sent):
    assert post("backfill", {"days": 0}).status_code == 400
    assert not AuditEntry.objects.exclude(action="create token").exists()


# Commands


def commanded():
    return list(AuditEntry.objects.order_by("id").values_list("actor", "address", "action", "outcome", "detail"))


def test_commands_that_destroy_are_written_down(in_process):
    pay()
    for words in (["prune"], ["reset_revenue_sync"], ["clear_revenue_data", "--yes"]):
        assert in_process(*words).code == 0
    assert commanded() == [
        ("command", "", "prune", "done", {"transactions": 0, "checks": 0}),
        ("command", "", "reset_revenue_sync", "done", {}),
        ("command", "", "clear_revenue_data", "done", {"deleted": 1}),
    ]


def test_one_that_was_not_done_and_one_that_only_adds_are_not(in_process):
    assert in_process("clear_revenue_data").code == 2
    assert in_process("backfill_app_types").code == 0
    assert commanded() == []


def test_an_import_is_written_down(in_process, tmp_path):
    path = original.write(tmp_path / "old.db", snapshots=[original.snapshot(date(2026, 11, 1))])
    assert in_process("import_original", str(path)).code == 0
    ((actor, _, action, _, detail),) = commanded()
    assert (actor, action, detail["file"], detail["snapshots"]) == ("command", "import_original", "old.db", 1)


def test_a_restore_is_written_down_in_the_log_that_it_brought(in_process, tmp_path):
    path = tmp_path / "all.gz"
    assert in_process("backup", str(path)).code == 0
    entry(action="after the backup")
    assert in_process("restore", str(path), "--yes").code == 0
    ((actor, _, action, outcome, detail),) = commanded()
    assert (actor, action, outcome, detail["file"]) == ("command", "restore", "done", "all.gz")
    assert detail["rows"] > 0


def test_without_the_database_a_refusal_stays_a_refusal(client, monkeypatch):
    def gone(**values):
        raise DatabaseError("gone")

    monkeypatch.setattr(AuditEntry.objects, "create", gone)
    assert client.get("/api/admin/jobs").status_code == 401


def test_the_time_is_the_servers():
    before = timezone.now()
    assert before <= entry().at <= timezone.now()
