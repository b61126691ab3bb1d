"""Write a backup: a snapshot of every table in one file, verified by reading it back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import structlog
from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils.crypto import salted_hmac

from fluxtracker.api.report_serializers import UNDESCRIBED
from fluxtracker.database import read_snapshot
from fluxtracker.env import make_private
from fluxtracker.files import sync
from ops import leases
from ops.backup import tables
from ops.backup.file_format import BATCH, Header, NotRestorable, Reader, TableHead, Writer, header_of
from ops.backup.tables import Names, Table, query

BROKEN_INDEXES = """
    SELECT indexrelid::regclass::text FROM pg_index
    WHERE NOT (indisvalid AND indisready AND indislive) ORDER BY 1 LIMIT 1
"""
UNCHECKED = "SELECT conname FROM pg_constraint WHERE NOT convalidated ORDER BY 1 LIMIT 1"
CHECKSUMS = "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()"


def damage() -> str | None:
    """Return the damage found by the engine's own check, if any."""
    return _sqlite() if connection.vendor == "sqlite" else _postgresql()


def _sqlite() -> str | None:
    """Check every page, then every reference."""
    ((result,),) = query("PRAGMA quick_check(1)")
    if result != "ok":
        return " ".join(str(result).split())[:300]
    for table, row, parent, *_ in query("PRAGMA foreign_key_check")[:1]:
        return f"row {row} of {table} points to a row of {parent} that is not there"
    return None


def _postgresql() -> str | None:
    """Query known damage of the server. Page checksums, if enabled, are tested on reading."""
    for question, words in ((BROKEN_INDEXES, "the index {} is not valid"), (UNCHECKED, "{} was never checked")):
        if rows := query(question):
            return words.format(rows[0][0])
    ((failures,),) = query(CHECKSUMS)
    return f"{failures} pages had wrong checksums" if failures else None


log = structlog.get_logger(__name__)

PART = ".part"
LEFT_ALONE = 24 * 3600  # seconds after which a partial file of any process is abandoned
Progress = Callable[[str], None]


class NotBackedUp(Exception):
    """The backup failed for this reason. Existing files are untouched."""


@dataclass(frozen=True, slots=True)
class BackupReport:
    file: Path
    rows: int
    sha256: str
    """Of the file."""
    size: int = field(metadata={**UNDESCRIBED, "key": "bytes"})


def folder() -> Path:
    """Return where scheduled backups go."""
    return Path(settings.DATA_DIR) / "backups"


def back_up(*, path: Path | None, now: datetime, progress: Progress = lambda _: None) -> BackupReport:
    """Write everything to `path`, by default a new file in the data dir's backups. An existing backup is replaced."""
    try:
        target = path.absolute() if path else _new_file(now)
        _refuse_to_overwrite(target)
        with read_snapshot():
            if problem := damage():
                raise NotBackedUp(f"the database is damaged: {problem}")
            with _whole(target) as file:
                header = _header(now)
                _write(file, header, progress)
                file.flush()
                os.fsync(file.fileno())
                progress("reading it back")
                sha256 = _read_back(Path(file.name), header)
    except OSError as error:
        raise NotBackedUp(f"cannot write the backup: {error.strerror or error}: {_name(path or folder())}") from error
    log.info("backed_up", file=target.name, rows=header.rows, size=target.stat().st_size)
    return BackupReport(target, header.rows, sha256, target.stat().st_size)


def _name(path: Path) -> str:
    """Return the end of the path, as /api/health shows the last error publicly."""
    return f"{path.absolute().parent.name}/{path.name}"


def _new_file(now: datetime) -> Path:
    make_private(folder())
    return folder() / f"fluxtracker-{now:%Y%m%dT%H%M%SZ}.jsonl.gz"


def _refuse_to_overwrite(target: Path) -> None:
    """Raise unless the target is a backup or new, so that a typo cannot cost another file."""
    if not target.parent.is_dir():
        raise NotBackedUp(f"there is no folder {target.parent.name} for it")
    if target.is_dir():
        raise NotBackedUp(f"{target.name} is a folder; name a file")
    if target.exists() and header_of(target) is None:
        raise NotBackedUp(f"{target.name} is there and is not a backup; nothing was written")


@contextmanager
def _whole(target: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears at `target` when the block succeeds, and not at all when it fails."""
    clear_parts(target.parent)
    part = target.with_name(f".{target.name}+{leases.make_holder().replace(':', '+')}{PART}")
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with part.open("r+b", buffering=0) as file:
            yield file
        os.replace(part, target)
        sync(target.parent)
    finally:
        part.unlink(missing_ok=True)


def clear_parts(where: Path) -> None:
    """Remove partial files of backups whose process has ended, or not written to for a day."""
    for part in where.glob(f".*{PART}"):
        holder = ":".join(part.name.removesuffix(PART).split("+")[-4:])
        with suppress(OSError):
            if holder.count(":") == 3 and (leases.is_dead(holder) or _is_old(part)):
                part.unlink()


def _is_old(part: Path) -> bool:
    return time.time() - part.stat().st_mtime > LEFT_ALONE


def _header(now: datetime) -> Header:
    made_at = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    applied: dict[str, set[str]] = {}
    for app, name in MigrationRecorder(connection).applied_migrations():
        applied.setdefault(app, set()).add(name)
    return Header(
        made_at=made_at,
        engine=connection.vendor,
        origin=origin(made_at),
        migrations={app: frozenset(names) for app, names in applied.items()},
        tables=tuple(map(_head, tables.tables().values())),
    )


def origin(made_at: str) -> str:
    """Return the signature of this installation's backups; no other one has its key."""
    return salted_hmac("fluxtracker.backup", made_at, algorithm="sha256").hexdigest()[:32]


def _head(table: Table) -> TableHead:
    ((rows,),) = query(f"SELECT COUNT(*) FROM {connection.ops.quote_name(table.name)}")  # noqa: S608  our own names
    return TableHead(table.name, tuple(column.name for column in table.columns), rows)


def _write(file: IO[bytes], header: Header, progress: Progress) -> None:
    writer, names, known = Writer(file, header), Names.load(), tables.tables()
    for head in header.tables:
        writer.table(head.name)
        written = 0
        for rows in _rows(known[head.name], names):
            writer.rows(rows)
            written += len(rows)
            progress(f"{head.name}: {written:,} of {head.rows:,} rows")
    writer.end()


def _rows(table: Table, names: Names) -> Iterator[list[Any]]:
    """Yield batches of the table's rows as in the file, ordered by key."""
    quote, changes = connection.ops.quote_name, tables.writing(table, names)
    columns = ", ".join(quote(column.name) for column in table.columns)
    with connection.chunked_cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {quote(table.name)} ORDER BY {quote(table.key)}")  # noqa: S608
        while rows := cursor.fetchmany(BATCH):
            yield [_changed(row, changes) for row in rows] if changes else rows


def _changed(row: tuple[Any, ...], changes: tables.Changes) -> list[Any]:
    cells = list(row)
    tables.change(cells, changes)
    return cells


def _read_back(part: Path, header: Header) -> str:
    """Read the file as a restore would. Return its SHA-256."""
    try:
        with part.open("rb") as raw:
            reader = Reader(raw)
            if reader.header != header:
                raise NotRestorable("has another header than was written")
            read_through(reader)
            return reader.end()
    except NotRestorable as error:
        raise NotBackedUp(f"the backup {error}; it was deleted") from error


def read_through(reader: Reader) -> None:
    """Read every row and check that this database can hold it."""
    known, names = tables.tables(), Names.load()
    for head in reader.header.tables:
        kinds = {column.name: column for column in known[head.name].columns}
        takes = tables.reading(tuple(kinds[name] for name in head.columns), names)
        for rows in reader.batches(head):
            try:
                for row in rows:
                    tables.take(row, takes)
            except (ValueError, TypeError, OverflowError) as error:
                words = str(error)[:100]
                raise NotRestorable(f"is damaged: a value of {head.name} is none: {words}") from error
