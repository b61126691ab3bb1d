"""The database as a backup has it: the whole file is read and judged first, then all rows change at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils.module_loading import import_string
from django_celery_beat.models import PeriodicTasks

from ops import backup_tables, restore_rows, schedule
from ops.audit_triggers import rewriting
from ops.backup import read_through
from ops.backup_file import Header, NotRestorable, Reader, TableHead
from ops.backup_tables import Names, Table
from ops.data_migrations import mend_restored
from ops.models import ApiToken, Job
from ops.restore_alone import Keeper

log = structlog.get_logger(__name__)

AROUND = "revenue.restored.outgrowing"  # by name: it stands above
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RestoreReport:
    rows: int
    sha256: str
    """Of the file."""
    made_at: str
    left_out: int
    """Permissions and log entries for models that this version does not have."""


def restore(*, path: Path, now: datetime, keeper: Keeper, progress: Progress = lambda _: None) -> RestoreReport:
    """Replace the rows of every table by those of the file. NotRestorable before anything is touched."""
    sha256 = _judge(path, progress)
    keeper.begin()
    with transaction.atomic(), keeper.inside(), rewriting(), import_string(AROUND)():
        revoked = _revoked()
        header, left_out = _replace(path, sha256, progress)
        mend_restored(header.migrations)
        _settle(now, revoked)
        restore_rows.check_references()
    restore_rows.analyze()
    log.info("restored", rows=header.rows, made_at=header.made_at, left_out=left_out)
    return RestoreReport(header.rows, sha256, header.made_at, left_out)


def _judge(path: Path, progress: Progress) -> str:
    """Read the file through and see that it fits. Answers its SHA-256."""
    progress("reading the file")
    if path.exists() and not path.is_file() and not path.is_dir():
        raise NotRestorable(f"{path} is no file; nothing was changed")  # a pipe would be waited for
    try:
        with path.open("rb") as raw:
            reader = Reader(raw)
            _fit(reader.header)
            read_through(reader)
            return reader.end()
    except NotRestorable as error:
        raise NotRestorable(f"{path} {error}; nothing was changed") from error


def _fit(header: Header) -> None:
    """Whether this version can hold what the file holds."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotRestorable("has to wait: migrations are missing, run `manage.py migrate`")
    here = {(app, name) for app, name in executor.loader.applied_migrations}
    newer = sorted(
        f"{app}.{name}" for app, names in header.migrations.items() for name in names if (app, name) not in here
    )
    known = backup_tables.tables()
    strange = [head.name for head in header.tables if head.name not in known]
    if newer or strange:
        raise NotRestorable(f"was made by a newer version: {(newer or strange)[0]} is not known here")
    for head in header.tables:
        _fit_columns(head, known[head.name])
    if lacking := sorted(known.keys() - {head.name for head in header.tables}):
        raise NotRestorable(f"was made by an older version without {lacking[0]}; restore it with that, then upgrade")


def _fit_columns(head: TableHead, table: Table) -> None:
    names = {column.name for column in table.columns}
    if strange := sorted(set(head.columns) - names):
        raise NotRestorable(f"was made by another version: {head.name} has no {strange[0]} here")
    for lacking in sorted(names - set(head.columns)):
        field = next(field for field in table.model._meta.concrete_fields if field.column == lacking)
        if not field.null and not field.has_default():
            raise NotRestorable(
                f"was made by an older version without {head.name}.{lacking}; restore it with that, then upgrade"
            )


def _replace(path: Path, sha256: str, progress: Progress) -> tuple[Header, int]:
    known, names, left_out = backup_tables.tables(), Names.load(), 0
    restore_rows.clear(list(known.values()))
    Session.objects.all().delete()
    with path.open("rb") as raw, _unchanged(path):
        reader = Reader(raw)
        for head in reader.header.tables:
            loader = restore_rows.Loader(known[head.name], head, names)
            loader.load(_told(reader, head, progress))
            left_out += loader.left_out
        if reader.end() != sha256:
            raise ValueError("another checksum")
    restore_rows.reset_sequences(list(known.values()))
    return reader.header, left_out


@contextmanager
def _unchanged(path: Path) -> Iterator[None]:
    """What was judged well a moment ago is wrong now."""
    try:
        yield
    except (NotRestorable, ValueError, TypeError, LookupError) as error:
        raise NotRestorable(f"{path} was changed while it was read; nothing was changed here") from error


def _told(reader: Reader, head: TableHead, progress: Progress) -> Any:
    done = 0
    for rows in reader.batches(head):
        yield rows
        done += len(rows)
        progress(f"{head.name}: {done:,} of {head.rows:,} rows")


def _revoked() -> dict[str, datetime]:
    """When each token that is no longer valid was revoked."""
    tokens = ApiToken.objects.exclude(revoked_at=None).values_list("digest", "revoked_at")
    return {digest: at for digest, at in tokens if at is not None}


def _settle(now: datetime, revoked: dict[str, datetime]) -> None:
    """What must not come back with the rows: work that was under way then, tokens that were revoked since."""
    Job.objects.filter(state__in=Job.ACTIVE).update(
        state=Job.State.FAILED, finished_at=now, error="the database was restored from a backup"
    )
    for digest, revoked_at in revoked.items():
        ApiToken.objects.filter(digest=digest, revoked_at=None).update(revoked_at=revoked_at)
    schedule.install()
    PeriodicTasks.update_changed()
