"""Bound the time a web request waits for the database, describe failures without SQL, read at one moment.

Worker, scheduler and commands wait as long as it takes. A request's patience starts with `begin` and covers all
its queries together.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.signals import request_started
from django.db import OperationalError, ProgrammingError, connection, connections, transaction

WAIT_S = 3.5  # of one request
EXPORT_S = 15.0  # of the question which rows an export has
LOCK_S = 2.0  # for a lock that another connection holds
SQLITE_LOCK_S = 3.0  # there writers have only one
CONNECT_S = 2  # to each address of the server; libpq takes whole seconds from 2 on
CHECK_S = 1.0  # whether a connection that was kept still answers
LONG_S = 1.0  # what fails after that failed because nobody answered
REST_S = 1.0  # after which a server that did not answer is asked again, by one thread
ENGINES: dict[str, tuple[str, dict[str, Any]]] = {
    "django.db.backends.postgresql": ("fluxtracker.backends.postgresql", {"connect_timeout": CONNECT_S}),
    "django.db.backends.sqlite3": ("fluxtracker.backends.sqlite3", {"timeout": SQLITE_LOCK_S}),
}


class Patience(threading.local):
    left: float | None = None
    """Seconds; None: without an end."""


patience = Patience()


def enable() -> None:
    """Make this process one that serves requests."""
    config = connections.settings["default"]
    if config["ENGINE"] in ENGINES:
        config["ENGINE"], options = ENGINES[config["ENGINE"]]
        config["OPTIONS"] = {**config["OPTIONS"], **options}
        request_started.connect(begin)


def begin(seconds: float = WAIT_S, **_: Any) -> None:
    """Give this thread so many seconds of waiting from now on."""
    patience.left = seconds


@contextmanager
def waiting(error: type[Exception] = OperationalError) -> Iterator[float | None]:
    """Count what the block waits; it is told how many seconds it may. Raise `error` when none are left."""
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
    """Let the block wait no longer than that; what was left before is left afterwards."""
    before = patience.left
    patience.left = seconds if before is None else min(before, seconds)
    try:
        yield
    finally:
        patience.left = before


class Silence:
    """Whether the server answers at all. While it does not, one thread at a time tries, and the others fail at once."""

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


UNUSABLE = ("unable to open", "readonly database", "disk is full", "disk I/O", "not a database")  # as SQLite says it
MOST = 300  # characters
REST = re.compile(r"\n|\b(?:LINE \d+|DETAIL|CONTEXT|HINT|STATEMENT|QUERY):")  # PostgreSQL quotes from here on
QUOTED = re.compile(r'"([^"]*)"')
NAME = re.compile(r"[\w.:-]{1,63}")  # of a table, a column, a user, a server


def database_words(error: BaseException) -> str:
    """Its kind in one line, for logs and for whoever runs a command. Never for the public: it names tables."""
    first = REST.split(str(error).strip(), maxsplit=1)[0]
    words = " ".join(QUOTED.sub(_name_alone, first).split()).rstrip(" ;,")
    return (words + _place(words) or type(error).__name__)[:MOST]


def _place(words: str) -> str:
    """Return what SQLite does not say of a file that it cannot use: which one, why, and what names it."""
    from django.db import connection  # settings are read by some that only want this module's words

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


class NotMigrated(ProgrammingError):
    """Migrations are missing."""


def is_unmigrated(error: BaseException) -> bool:
    """Return whether a table or column is missing. SQLite has no code of its own for that: all others have one."""
    is_missing = getattr(error.__cause__, "sqlite_errorname", "") == "SQLITE_ERROR"
    return isinstance(error, ProgrammingError) or is_missing


@contextmanager
def one_moment() -> Iterator[None]:
    """All reads inside see the database as it is at one moment, and keep nobody waiting.

    On SQLite `atomic()` would take the write lock (transaction_mode IMMEDIATE), so the transaction is begun
    by hand.
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
                # Compiling a query takes longer than any of ours.
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit = off")
            yield


@contextmanager
def one_long_moment() -> Iterator[None]:
    """The same for what may take longer than a page."""
    begin(EXPORT_S)
    with one_moment():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = %s", [f"{EXPORT_S:.0f}s"])
        yield
