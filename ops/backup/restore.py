"""Restore a backup: read and check the whole file first, then replace all rows in one transaction.

Rows are loaded by COPY on PostgreSQL and by one prepared statement on SQLite. A restore holds the leases of all
writers, so that none writes during it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from django.contrib.sessions.models import Session
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django_celery_beat.models import PeriodicTasks

from ops import leases, schedule_rows
from ops.audit_log import rewriting
from ops.backup import tables as backup_tables
from ops.backup.file_format import Header, NotRestorable, Reader, Row, TableHead
from ops.backup.tables import Column, Names, Table, query
from ops.backup.write import read_through
from ops.data_migrations import mend_restored
from ops.models import ApiToken, Job
from ops.registry import around_restore, jobs

MANY = 10_000  # rows from which on SQLite rebuilds a table's indexes afterwards
LOCK_S = 30  # for current writers to finish


def clear(tables: list[Table]) -> None:
    """Delete all rows. On PostgreSQL this blocks other writers, not readers, until the commit."""
    quoted = [connection.ops.quote_name(table.name) for table in tables]
    if connection.vendor == "postgresql":
        query(f"SET LOCAL lock_timeout = '{LOCK_S}s'")
        query(f"LOCK TABLE {', '.join(sorted(quoted))} IN SHARE ROW EXCLUSIVE MODE")
        query("SET CONSTRAINTS ALL DEFERRED")
    for name in quoted:
        query(f"DELETE FROM {name}")  # noqa: S608  our own names


class Loader:
    """Loads the rows of one table from a file into the database."""

    def __init__(self, table: Table, head: TableHead, names: Names) -> None:
        self.head, self.left_out = head, 0
        by_name = {column.name: column for column in table.columns}
        columns: tuple[Column, ...] = tuple(by_name[name] for name in head.columns)
        self._takes = backup_tables.reading(columns, names)
        self._named = [place for place, column in enumerate(columns) if column.named]
        self._nullable = {field.column for field in table.model._meta.concrete_fields if field.null}
        self._added = _defaults(table, head)
        self._quoted = ", ".join(map(connection.ops.quote_name, (*head.columns, *self._added)))
        self._table = connection.ops.quote_name(table.name)

    def load(self, batches: Iterable[list[Row]]) -> None:
        rows = self._fitted(batches)
        if connection.vendor == "postgresql":
            self._copy(rows)
        elif self.head.rows < MANY:
            self._insert(rows)
        else:
            with _indexes_afterwards(self.head.name):
                self._insert(rows)

    def _fitted(self, batches: Iterable[list[Row]]) -> Iterator[list[Row]]:
        added = list(self._added.values())
        for rows in batches:
            for row in rows:
                backup_tables.take(row, self._takes)
                if added:
                    row += added
            yield [row for row in rows if self._is_known(row)] if self._named else rows

    def _is_known(self, row: Row) -> bool:
        """Return whether all names have a row here. If not, a nullable column becomes NULL, else the row is dropped."""
        for place in self._named:
            if isinstance(row[place], str):
                self.left_out += 1
                if self.head.columns[place] not in self._nullable:
                    return False
                row[place] = None
        return True

    def _copy(self, batches: Iterator[list[Row]]) -> None:
        with (
            connection.wrap_database_errors,  # Django has no COPY
            connection.cursor() as cursor,
            cursor.copy(f"COPY {self._table} ({self._quoted}) FROM STDIN") as copy,
        ):
            for rows in batches:
                for row in rows:
                    copy.write_row(row)

    def _insert(self, batches: Iterator[list[Row]]) -> None:
        places = ", ".join(["%s"] * (len(self.head.columns) + len(self._added)))
        statement = f"INSERT INTO {self._table} ({self._quoted}) VALUES ({places})"  # noqa: S608  our own names
        with connection.cursor() as cursor:
            for rows in batches:
                cursor.executemany(statement, rows)


@contextmanager
def _indexes_afterwards(table: str) -> Iterator[None]:
    """Drop the indexes and recreate them afterwards, as SQLite sorts once far faster than row by row."""
    indexes = query("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = %s AND sql <> ''", [table])
    for name, _ in indexes:
        query(f"DROP INDEX {connection.ops.quote_name(name)}")
    yield
    for _, statement in indexes:
        query(statement)


def _defaults(table: Table, head: TableHead) -> dict[str, Any]:
    """Return columns missing in a file of an older version, with their defaults."""
    lacking = [field for field in table.model._meta.concrete_fields if field.column not in head.columns]
    return {
        str(field.column): field.get_db_prep_save(field.get_default(), connection)
        for field in lacking
    }  # fmt: skip


def check_references() -> None:
    """Check all references of the rows now, not at the commit."""
    if connection.vendor == "postgresql":
        query("SET CONSTRAINTS ALL IMMEDIATE")
        return
    for table, _, parent, *_ in query("PRAGMA foreign_key_check")[:1]:
        raise NotRestorable(f"a row of {table} points to a row of {parent} that the file does not have")


def reset_sequences(tables: list[Table]) -> None:
    """Reset sequences so that new rows follow the loaded ones."""
    for statement in connection.ops.sequence_reset_sql(no_style(), [table.model for table in tables]):
        query(statement)


def analyze() -> None:
    """Update the statistics of PostgreSQL's planner."""
    if connection.vendor == "postgresql":
        query("ANALYZE")


# Tasks that write and are not jobs.
NO_JOBS = {"check_alerts", "ping_heartbeat", "read_pending", "refresh_price", "send_alerts"}


def writers() -> list[str]:
    """Return the leases of all independent writers, which a restore holds."""
    return sorted(NO_JOBS | {job.lease_for({}) for job in jobs().values()})


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps other writers out, by the means of each engine."""

    stack: ExitStack
    held: tuple[leases.Held, ...]

    def begin(self) -> None:
        """Prepare the transaction. On SQLite, heartbeats cannot write during it, so it takes the leases itself."""
        if connection.vendor == "sqlite":
            self.stack.close()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Guard the transaction, so that a lost lease prevents the commit."""
        if connection.vendor == "sqlite":
            holder = leases.make_holder()
            for name in writers():
                if (other := leases.try_take(name, holder)) is not None:
                    raise leases.LeaseHeld(name, other)
            yield
            for name in writers():
                leases.release(name, holder)
        else:
            yield
            for lease in self.held:  # at the end: their rows are locked until the commit
                lease.guard()


@contextmanager
def others_kept_out(wait: float) -> Iterator[Keeper]:
    """Hold all writers' leases. LeaseHeld if one is not free within `wait` seconds."""
    with ExitStack() as stack:
        yield Keeper(stack, tuple(stack.enter_context(leases.hold(name, wait=wait)) for name in writers()))


log = structlog.get_logger(__name__)

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
    """Replace the rows of every table by those of the file. NotRestorable before any change."""
    sha256 = _judge(path, progress)
    keeper.begin()
    with transaction.atomic(), keeper.inside(), rewriting(), ExitStack() as contexts:
        for context in around_restore:
            contexts.enter_context(context())
        revoked = _revoked()
        header, left_out = _replace(path, sha256, progress)
        mend_restored(header.migrations)
        _keep_out(now, revoked)
        check_references()
    analyze()
    log.info("restored", rows=header.rows, made_at=header.made_at, left_out=left_out)
    return RestoreReport(header.rows, sha256, header.made_at, left_out)


def _judge(path: Path, progress: Progress) -> str:
    """Read the whole file and check it. Return its SHA-256."""
    progress("reading the file")
    if path.exists() and not path.is_file() and not path.is_dir():
        raise NotRestorable(f"{path} is not a file; nothing was changed")  # opening a pipe would block
    try:
        with path.open("rb") as raw:
            reader = Reader(raw)
            _fit(reader.header)
            read_through(reader)
            return reader.end()
    except NotRestorable as error:
        raise NotRestorable(f"{path} {error}; nothing was changed") from error


def _fit(header: Header) -> None:
    """Raise unless this version can store the file's content."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotRestorable("cannot be restored yet: migrations are missing, run `manage.py migrate`")
    applied = {(app, name) for app, name in executor.loader.applied_migrations}
    newer = sorted(
        f"{app}.{name}" for app, names in header.migrations.items() for name in names if (app, name) not in applied
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
    clear(list(known.values()))
    Session.objects.all().delete()
    with path.open("rb") as raw, _unchanged(path):
        reader = Reader(raw)
        for head in reader.header.tables:
            loader = Loader(known[head.name], head, names)
            loader.load(_with_progress(reader, head, progress))
            left_out += loader.left_out
        if reader.end() != sha256:
            raise ValueError("another checksum")
    reset_sequences(list(known.values()))
    return reader.header, left_out


@contextmanager
def _unchanged(path: Path) -> Iterator[None]:
    """Raise NotRestorable if a file that was valid when checked is invalid now."""
    try:
        yield
    except (NotRestorable, ValueError, TypeError, LookupError) as error:
        raise NotRestorable(f"{path} was changed while it was read; nothing was changed here") from error


def _with_progress(reader: Reader, head: TableHead, progress: Progress) -> Any:
    done = 0
    for rows in reader.batches(head):
        yield rows
        done += len(rows)
        progress(f"{head.name}: {done:,} of {head.rows:,} rows")


def _revoked() -> dict[str, datetime]:
    """Return when each revoked token was revoked, by its digest."""
    tokens = ApiToken.objects.exclude(revoked_at=None).values_list("digest", "revoked_at")
    return {digest: at for digest, at in tokens if at is not None}


def _keep_out(now: datetime, revoked: dict[str, datetime]) -> None:
    """Drop what must not return: jobs that ran then, tokens revoked since."""
    Job.objects.filter(state__in=Job.ACTIVE).update(
        state=Job.State.FAILED, finished_at=now, error="the database was restored from a backup"
    )
    for digest, revoked_at in revoked.items():
        ApiToken.objects.filter(digest=digest, revoked_at=None).update(revoked_at=revoked_at)
    schedule_rows.install()
    PeriodicTasks.update_changed()
