"""A database with something in every kind of column, and ways to look at all of it."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from metrics.models import Memory, Reading
from ops.backup import tables
from ops.models import ApiToken, AuditEntry, Job
from revenue.models import DailyPrice, Payment
from snapshots.models import Snapshot
from tests.factories import NOON, Remembered, imported, pay, settle
from tests.system.home import Outcome

OF_THE_RUN = {"ops_alert", "ops_tally", "ops_taskrun", "ops_taskstate", "snapshots_warmcomparison"}
"""What a backup and a restore write themselves."""


@Remembered
def fill() -> None:
    """Rows of every kind, with the values that are easily lost on the way."""
    for number in range(30):
        pay("0.00000001" if number == 3 else "25.93", app=f"app{number % 4}", at=NOON + timedelta(minutes=number))
    pay(app="ünïcode 🚀 \"'\\", price_usd=Decimal("0.0747123456"), from_address=None)
    pay(price_usd=None, at=NOON.replace(microsecond=1))
    imported(paid_at=NOON)
    settle()
    DailyPrice.objects.create(day=NOON.date(), price_usd=Decimal("9999.1234567890"), source="import")
    DailyPrice.objects.create(day=NOON.date() - timedelta(days=1), price_usd=None, next_attempt_at=NOON)
    Snapshot.objects.create(
        day=NOON.date(), source="taken", made_at=NOON, total_ram_gb=182_000.123456789, node_total=0,
        flux_price_usd=Decimal("0.1"), counts={"gaming_palworld": 3, "crypto_kaspa": None},
    )  # fmt: skip
    Reading.objects.create(at=NOON + timedelta(microseconds=123), values={"a": 1.5, "b": [True, None, "ß"]})
    Memory.objects.create(name="nodes", data=bytes(range(256)), updated_at=NOON)
    people()
    Job.objects.create(name="sync_revenue", state=Job.State.DONE, actor="ann", via="api", created_at=NOON)
    AuditEntry.objects.create(at=NOON, actor="ann", action="sync", outcome="done", detail={"x": 1})
    night = CrontabSchedule.objects.create(minute="5", hour="0", timezone="UTC")
    PeriodicTask.objects.create(name="nightly", task="x", crontab=night, enabled=False)


def people() -> None:
    ann = User.objects.create_user("ann", password="secret", is_staff=True)
    group = Group.objects.create(name="operators")
    group.permissions.add(Permission.objects.get(codename="view_payment"))
    ann.groups.add(group)
    ann.user_permissions.add(Permission.objects.get(codename="delete_user"))
    kind = ContentType.objects.get_for_model(Payment)
    LogEntry.objects.create(user=ann, content_type=kind, object_id="1", object_repr="it", action_flag=CHANGE)
    ApiToken.objects.create(user=ann, prefix="abc", digest="d" * 64, created_at=NOON)


@Remembered
def fill_and_back_up(path: Path) -> bytes:
    """Make a backup of these rows; its bytes."""
    fill.make()
    done = manage("backup", path, "--json")
    assert done.code == 0, done.err
    return path.read_bytes()


def backed_up(path: Path) -> Path:
    """A backup of a database with something in every table that matters."""
    path.write_bytes(fill_and_back_up(path))
    return path


def contents(*, without: set[str] = OF_THE_RUN) -> dict[str, list[str]]:
    """Every row of every table that is backed up, as the ORM reads it; but for what a command says of itself."""
    found = {}
    for name, table in tables.tables().items():
        if name not in without:
            rows = table.model._base_manager.all()
            rows = rows.exclude(actor="command") if table.model is AuditEntry else rows
            found[name] = sorted(repr(_plain(row)) for row in rows.values_list())
    return found


def _plain(row: tuple[Any, ...]) -> list[Any]:
    return [bytes(value) if isinstance(value, memoryview) else value for value in row]


def manage(*words: object) -> Outcome:
    """Run a command in this process as if it had one of its own."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with redirect_stderr(err):
        try:
            call_command(*map(str, words), stdout=out, stderr=err)
        except CommandError as error:
            code = error.returncode
            err.write(f"{error}\n")
    return Outcome(code, out.getvalue(), err.getvalue())


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def rewritten(path: Path, change: Callable[[list[Any]], None]) -> Path:
    """A copy of a backup whose lines were changed, with a checksum that fits."""
    import hashlib

    found = lines(path)
    change(found)
    body = b"".join(json.dumps(line).encode() + b"\n" for line in found[:-1])
    rows = sum(isinstance(line, list) for line in found)
    end = {"end": True, "rows": rows, "sha256": hashlib.sha256(body).hexdigest()}
    other = path.with_name("changed.jsonl.gz")
    other.write_bytes(gzip.compress(body + json.dumps(end).encode() + b"\n"))
    return other


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]
