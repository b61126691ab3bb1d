"""What staff change in the admin is in the audit log, field by field, and no secret of it."""

import json

import pytest
from django.contrib.auth.models import Group, User
from django_celery_beat.models import PeriodicTask

from ops import schedule_rows
from ops.audit_log import MORE
from ops.models import AuditEntry
from revenue.models import Label, Quarantined
from tests.dashboard.rows import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static_files")]


@pytest.fixture
def root(client, superuser):
    client.force_login(superuser)
    return client


def changes():
    """The changes of the newest entry, by field."""
    found = AuditEntry.objects.latest("id").detail.get("changes", [])
    return {change["field"]: (change["old"], change["new"]) for change in found}


def send(client, path, form):
    response = client.post(path, form)
    assert response.status_code == 302, response.context["errors"]
    return AuditEntry.objects.latest("id")


def test_an_edit_has_the_old_and_the_new_value_of_each_field(root):
    address = "t1NewGateway"
    form = {"subject": address, "kind": "address", "category": "card", "words": "Gateway", "valid_from": ""}
    send(root, "/admin/revenue/label/add/", form)
    assert (changes()["subject"], changes()["words"]) == ((None, address), (None, "Gateway"))
    label = Label.objects.get(words="Gateway")
    entry = send(
        root, f"/admin/revenue/label/{label.pk}/change/", form | {"words": "Other", "valid_from": "2026-11-01"}
    )
    subject = f"revenue.label {label.pk}"
    assert entry.detail["changes"] == [
        {"object": subject, "field": "words", "old": "Gateway", "new": "Other"},
        {"object": subject, "field": "valid_from", "old": None, "new": "2026-11-01"},
    ]
    send(root, f"/admin/revenue/label/{label.pk}/delete/", {"post": "yes"})
    assert changes() == {"": (f"{address}: card", None)}


def test_rights_are_told_and_passwords_are_not(root, user):
    group = Group.objects.create(name="watchers")
    path = f"/admin/auth/user/{user.pk}"
    dates = {"date_joined_0": f"{user.date_joined:%Y-%m-%d}", "date_joined_1": f"{user.date_joined:%H:%M:%S}"}
    form = {"username": "bob", "is_active": "on", "is_staff": "on", "groups": [group.pk], **dates}
    send(root, f"{path}/change/", form)
    found = changes()
    assert (found["is_staff"], found["groups"]) == (("False", "True"), (None, "watchers"))
    send(root, f"{path}/change/", form | {"groups": []})
    assert changes()["groups"] == ("watchers", None)
    new = "long-enough-and-odd-7"
    entry = send(root, f"{path}/password/", {"usable_password": "true", "password1": new, "password2": new})
    assert changes() == {"password": ("***", "***")}
    assert new not in json.dumps(entry.detail)
    assert User.objects.get(username="bob").check_password(new)


def test_the_schedule_is_watched_and_its_programs_are_not(root):
    schedule_rows.install()
    task = PeriodicTask.objects.get(name="prune")
    form = {
        "name": "prune", "regtask": task.task, "task": task.task, "interval": task.interval_id, "args": "[]",
        "kwargs": "{}", "expire_seconds": task.expire_seconds, "headers": "{}", "priority": "",
        "description": task.description, "start_time_0": f"{task.start_time:%Y-%m-%d}",
        "start_time_1": f"{task.start_time:%H:%M:%S}",
    }  # fmt: skip
    before = AuditEntry.objects.count()
    send(root, f"/admin/django_celery_beat/periodictask/{task.pk}/change/", form)
    assert changes()["enabled"] == ("True", "False")
    PeriodicTask.objects.filter(pk=task.pk).first().save()
    assert AuditEntry.objects.count() == before + 1


def act(client, path, action, rows, **more):
    return send(client, path, {"action": action, "_selected_action": [row.pk for row in rows], **more})


def test_a_bulk_action_has_what_it_changed_in_each_row(root):
    schedule_rows.install()
    tasks = list(PeriodicTask.objects.filter(name__in=["prune", "backup"]).order_by("pk"))
    path = "/admin/django_celery_beat/periodictask/"
    entry = act(root, path, "disable_tasks", tasks)
    assert (entry.detail["action"], entry.detail["rows"]) == ("disable_tasks", 2)
    assert entry.detail["changes"] == [
        {"object": f"django_celery_beat.periodictask {task.pk}", "field": "enabled", "old": "True", "new": "False"}
        for task in tasks
    ]
    assert "changes" not in act(root, path, "disable_tasks", tasks).detail
    assert len(act(root, path, "toggle_tasks", tasks).detail["changes"]) == 2


def test_a_bulk_action_for_all_rows_says_how_many_and_that_some_are_not_listed(root):
    Quarantined.objects.bulk_create(
        Quarantined(txid=f"{n:064x}", address="t1", reason="sender", first_seen_at=NOW, next_attempt_at=NOW)
        for n in range(120)
    )
    some = Quarantined.objects.order_by("pk")[:2]
    entry = act(root, "/admin/revenue/quarantined/", "retry", some, select_across="1")
    assert (entry.detail["action"], entry.detail["rows"], len(entry.detail["changes"])) == ("retry", 120, 51)
    assert entry.detail["changes"][0]["field"] == "next_attempt_at"
    assert entry.detail["changes"][-1] == {"object": "", "field": "", "old": None, "new": MORE}


def test_a_bulk_delete_has_each_row_once(root):
    labels = [Label.objects.create(subject=f"t1{n}", kind="address", category="card", words="x") for n in range(3)]
    entry = act(root, "/admin/revenue/label/", "delete_selected", labels, post="yes")
    assert (entry.detail["action"], len(entry.detail["changes"])) == ("delete_selected", 3)
    assert Label.objects.filter(pk__in=[label.pk for label in labels]).count() == 0


@pytest.mark.parametrize("keys", [["999999999"], []])
def test_keys_that_no_row_has_change_nothing(root, keys):
    root.post("/admin/revenue/label/", {"action": "delete_selected", "_selected_action": keys, "post": "yes"})
    entry = AuditEntry.objects.last()
    assert entry is None or "changes" not in entry.detail
