"""Limit how long a web request waits for the database, describe errors without SQL, read consistent snapshots.

Worker, scheduler and commands wait without a limit. A request's limit starts with `begin` and covers all its queries
together.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from django.core.signals import request_started
from django.db import OperationalError, ProgrammingError, connection, connections, transaction
from django.db.models import Model, QuerySet
from django.db.models.query import RawQuerySet

WAIT_S = 3.5  # per request
EXPORT_S = 15.0  # for the query of an export's rows
LOCK_S = 2.0  # for a lock that another connection holds
SQLITE_LOCK_S = 3.0  # SQLite has one lock for all writers
CONNECT_S = 2  # per address of the server; libpq takes whole seconds from 2 on
CHECK_S = 1.0  # for a kept connection to answer
LONG_S = 1.0  # a failure after that means no answer
REST_S = 1.0  # until one thread tries a silent server again
ENGINES: dict[str, tuple[str, dict[str, Any]]] = {
    "django.db.backends.postgresql": ("fluxtracker.backends.postgresql", {"connect_timeout": CONNECT_S}),
    "django.db.backends.sqlite3": ("fluxtracker.backends.sqlite3", {"timeout": SQLITE_LOCK_S}),
}


class Patience(threading.local):
    left: float | None = None
    """Seconds; None: no limit."""


patience = Patience()


def enable() -> None:
    """Apply the limits to the requests of this process."""
    config = connections.settings["default"]
    if config["ENGINE"] in ENGINES:
        config["ENGINE"], options = ENGINES[config["ENGINE"]]
        config["OPTIONS"] = {**config["OPTIONS"], **options}
        request_started.connect(begin)


def begin(seconds: float = WAIT_S, **_: Any) -> None:
    """Let this thread wait this many seconds in total from now on."""
    patience.left = seconds


@contextmanager
def waiting(error: type[Exception] = OperationalError) -> Iterator[float | None]:
    """Count the time of the block, and yield the seconds it may take. Raise `error` if none are left."""
    left = patience.left
    if left is None:
        yield None
        return
    if left <= 0:
        raise error("the database did not answer in time")
    started = time.monotonic()
    try:
        yield left
    except Exception:
        if time.monotonic() - started >= min(LONG_S, left):
            patience.left = 0
        raise
    finally:
        if patience.left:
            patience.left -= time.monotonic() - started


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Limit the time of the block, separately from the request's time."""
    before = patience.left
    patience.left = seconds if before is None else min(before, seconds)
    try:
        yield
    finally:
        patience.left = before


class Silence:
    """Remembers that the server does not answer, so that one thread at a time tries and the others fail at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0

    @contextmanager
    def connecting(self) -> Iterator[None]:
        self._enter()
        started = time.monotonic()
        try:
            yield
        except Exception:
            self._until = 0.0
            if time.monotonic() - started >= LONG_S:
                self.begin()
            raise
        self._until = 0.0

    def begin(self) -> None:
        self._until = time.monotonic() + REST_S

    def _enter(self) -> None:
        now = time.monotonic()
        with self._lock:
            if now < self._until:
                raise OperationalError("the database did not answer a moment ago")
            if self._until:
                self._until = now + CONNECT_S + REST_S  # this thread tries


silence = Silence()


UNUSABLE = ("unable to open", "readonly database", "disk is full", "disk I/O", "not a database")  # in SQLite's words
MOST = 300  # characters
REST = re.compile(r"\n|\b(?:LINE \d+|DETAIL|CONTEXT|HINT|STATEMENT|QUERY):")  # after that PostgreSQL quotes data
QUOTED = re.compile(r'"([^"]*)"')
NAME = re.compile(r"[\w.:-]{1,63}")  # name of a table, a column, a user or a server


def database_words(error: BaseException) -> str:
    """Return the error in one line, for logs and commands. Not public, as it names tables."""
    first = REST.split(str(error).strip(), maxsplit=1)[0]
    words = " ".join(QUOTED.sub(_name_alone, first).split()).rstrip(" ;,")
    return (words + _place(words) or type(error).__name__)[:MOST]


def _place(words: str) -> str:
    """Return which file SQLite cannot use, why, and its setting; empty for other errors."""
    if connection.vendor != "sqlite" or not any(sign in words for sign in UNUSABLE):
        return ""
    path = Path(str(connection.settings_dict["NAME"]))
    return f": {_trouble(path)}; FLUXTRACKER_DATA_DIR, or DATABASE_URL, says where it is"


def _trouble(path: Path) -> str:
    if not path.parent.exists():
        return f"there is no folder {path.parent}"
    if not path.parent.is_dir():
        return f"{path.parent} is no folder"
    if path.is_dir():
        return f"{path} is a folder"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"the folder {path.parent} cannot be written"
    return str(path)


def _name_alone(quoted: re.Match[str]) -> str:
    return quoted[0] if NAME.fullmatch(quoted[1]) else '"..."'


M = TypeVar("M", bound=Model)


def compiled_once(make: Callable[[], QuerySet[M]]) -> Callable[[], RawQuerySet[M]]:
    """Return a function that reads a constant query's rows, as compiling its SQL takes longer than running it.

    Columns that are not model fields have the driver's type: on SQLite a boolean is 0 or 1.
    """

    @cache
    def query() -> tuple[type[M], str, Sequence[Any]]:
        rows = make()
        return rows.model, *rows.query.sql_with_params()

    def read() -> RawQuerySet[M]:
        model, sql, params = query()
        return model._default_manager.raw(sql, params)

    return read


SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}


def database_bytes() -> int:
    """Return the size of the database as reported by its engine. One query."""
    with connection.cursor() as cursor:
        cursor.execute(SIZE[connection.vendor])
        row = cursor.fetchone()
    return int(row[0])


class NotMigrated(ProgrammingError):
    """Migrations are missing."""


def is_unmigrated(error: BaseException) -> bool:
    """Return whether a table or column is missing. SQLite has no separate code for that."""
    is_missing = getattr(error.__cause__, "sqlite_errorname", "") == "SQLITE_ERROR"
    return isinstance(error, ProgrammingError) or is_missing


@contextmanager
def read_snapshot() -> Iterator[None]:
    """Give all reads inside the same database snapshot, without blocking writers.

    On SQLite `atomic()` would take the write lock (transaction_mode IMMEDIATE), so the transaction begins here.
    """
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")
    else:
        with transaction.atomic():
            with connection.cursor() as cursor:
                # Compiling a query takes longer than running any of ours.
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off")
            yield


@contextmanager
def long_read_snapshot() -> Iterator[None]:
    """Do the same for reads that may take longer than a page."""
    begin(EXPORT_S)
    with read_snapshot():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = %s", [f"{EXPORT_S:.0f}s"])
        yield
