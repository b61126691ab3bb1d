"""Record who did, or was refused, what: an append-only log that the database itself protects by triggers.

A migration that alters the table has to call `protect` again: SQLite recreates altered tables without triggers.
Of refusals only some per minute are recorded: a flood must not fill the disk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import structlog
from django.db import DatabaseError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from fluxtracker.api.throttling import SHARED, WINDOW_S, Counters, Window, client_address, client_of
from fluxtracker.formatting import printable
from ops import audit_changes
from ops.models import AuditEntry, Job

log = structlog.get_logger(__name__)

ASKED, DONE, REFUSED = "asked", "done", "refused"
LONGEST_VALUE = 200


def record(*, actor: str, address: str | None, action: str, outcome: str, detail: dict[str, Any] | None = None) -> None:
    """Add an entry. `address` None: a command. `detail` holds known keys only, never a body or a secret."""
    AuditEntry.objects.create(
        at=timezone.now(),
        actor=actor[:150],
        address=(address or "")[:45],
        action=action[:60],
        outcome=outcome,
        detail={key: trimmed(value) for key, value in (detail or {}).items()},
        request_id=request_id(),
    )


def record_if_possible(**entry: Any) -> None:
    """Add an entry; without the database only log that it is missing."""
    try:
        record(**entry)
    except DatabaseError as error:
        log.warning("not_audited", action=entry.get("action"), error=type(error).__name__)


def address_of(request: HttpRequest) -> str:
    """Return the client's address, also on this machine. Empty: over a Unix socket, which has none."""
    return client_address(request) or str(request.META.get("REMOTE_ADDR", ""))


def actor_of(trigger: str) -> str:
    """Return who asked for the job that runs, else what started the work."""
    job = structlog.contextvars.get_contextvars().get("job")
    actor = Job.objects.filter(pk=job).values_list("actor", flat=True).first() if job else None
    return actor or trigger


def request_id() -> str:
    """Return the id of the current request, or of the one that requested the running job; else empty."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def trimmed(value: Any) -> Any:
    return printable(value[:LONGEST_VALUE]) if isinstance(value, str) else value


TABLE = "ops_auditentry"
REFUSAL = "the audit log is append-only"
PREFIX = f"{TABLE}_no"
DROPPED = ("update", "delete", "insert", "truncate")  # whichever of them an engine has

# PostgreSQL: an empty table may be emptied, because a flush lists all tables.
FUNCTIONS = (
    f"""
CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$
""",
    f"""
CREATE OR REPLACE FUNCTION {TABLE}_refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF EXISTS (SELECT 1 FROM {TABLE}) THEN RAISE EXCEPTION '{REFUSAL}'; END IF; RETURN NULL; END $$
""",  # noqa: S608  our own names
)
TRIGGERS = {
    "postgresql": (
        *FUNCTIONS,
        f"CREATE TRIGGER {PREFIX}_update BEFORE UPDATE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse()",
        f"CREATE TRIGGER {PREFIX}_delete BEFORE DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse()",
        f"CREATE TRIGGER {PREFIX}_truncate BEFORE TRUNCATE ON {TABLE} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {TABLE}_refuse_truncate()",
    ),
    "sqlite": tuple(
        f"CREATE TRIGGER {PREFIX}_{event} BEFORE {event.upper()} ON {TABLE} {when}"
        f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        for event, when in (
            ("update", ""),
            ("delete", ""),  # REPLACE deletes without asking it
            ("insert", f"WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id) "),  # noqa: S608  our own names
        )
    ),
}


def protect(database: BaseDatabaseWrapper) -> None:
    """Create the triggers, also where they exist."""
    unprotect(database)
    with database.cursor() as cursor:
        for statement in TRIGGERS[database.vendor]:
            cursor.execute(statement)


def unprotect(database: BaseDatabaseWrapper) -> None:
    where = f" ON {TABLE}" if database.vendor == "postgresql" else ""
    with database.cursor() as cursor:
        for event in DROPPED:
            cursor.execute(f"DROP TRIGGER IF EXISTS {PREFIX}_{event}{where}")


@contextmanager
def rewriting() -> Iterator[None]:
    """Let a restore replace the log inside one transaction. A failure rolls back the triggers, too."""
    with transaction.atomic():
        unprotect(connection)
        yield
        protect(connection)


MOST_OF_ONE = 60  # per minute and client
MOST = 300  # per minute, of all clients: addresses are cheap


class Flood:
    """Count the refusals of all web processes, and those that this one did not record."""

    def __init__(self, counters: Counters = SHARED) -> None:
        # Two: many clients share a count of the first.
        self._of_one, self._of_all = Window("refusals", counters), Window("all refusals", counters)
        self._lock = threading.Lock()
        self._minute, self._left_out = 0, 0

    def keeps(self, address: str, now: float) -> bool:
        """Count it, and return whether to record it."""
        client = client_of(address)
        kept = not (self._of_one.count(client, MOST_OF_ONE, now).is_over or self._of_all.count("", MOST, now).is_over)
        if not kept:
            with self._lock:
                self._minute, self._left_out = int(now // WINDOW_S), self._left_out + 1
        return kept

    def left_out(self, now: float) -> tuple[datetime, int] | None:
        """Return when a minute that is over began and how many it left out, once."""
        if not self._left_out or now // WINDOW_S <= self._minute:
            return None
        with self._lock:
            count, self._left_out = self._left_out, 0
        return (datetime.fromtimestamp(self._minute * WINDOW_S, UTC), count) if count else None


flood = Flood()


def record_refusal(*, address: str, action: str, **entry: Any) -> None:
    """Record a refusal, unless this minute has had too many."""
    now = time.time()
    record_left_out(now)
    if flood.keeps(address, now):
        record_if_possible(address=address, action=action, outcome=REFUSED, **entry)
    else:
        log.warning("refusal_not_kept", address=address, action=action)


def record_left_out(now: float) -> None:
    """Add one entry for all refusals that a minute left out. Called with every request: free where there are none."""
    if found := flood.left_out(now):
        minute, count = found
        record_if_possible(
            actor="", address=None, action="more refusals", outcome=REFUSED,
            detail={"count": count, "minute": minute.strftime("%Y-%m-%dT%H:%MZ")},
        )  # fmt: skip


REFUSALS = (401, 403)
SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
SIGN_IN = "admin/login/"  # and those below write their own entries (ops.access)


class AuditTrail:
    """Record refusals and what staff did in the admin. Jobs and tokens add their own entries."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        is_work = request.path_info.startswith("/admin/") and request.method not in SAFE
        staff = _staff(request) if is_work else ""  # signing out forgets who it was
        selections: list[audit_changes.Selection] = []
        request.audited = selections if staff else None  # type: ignore[attr-defined]
        with audit_changes.collecting(bool(staff)) as changes:
            response = self.get_response(request)
            for selection in selections:
                selection.note_changes()
        record_left_out(time.time())
        if response.status_code in REFUSALS:
            _refused(request, response.status_code)
        elif is_work and response.status_code == 302 and not route_of(request).startswith(SIGN_IN):
            if staff:
                _done(request, staff, changes, selections)
            else:
                _refused(request, 302)  # strangers are sent to the sign-in
        return response

    def process_view(self, request: HttpRequest, view: Any, args: object, kwargs: object) -> None:
        """Remember the rows that a bulk action is for."""
        selections = getattr(request, "audited", None)
        if selections is not None and (found := audit_changes.selected(request, getattr(view, "model_admin", None))):
            selections.append(found)


def route_of(request: HttpRequest) -> str:
    """Return the URL pattern that matched; empty: none did."""
    match = request.resolver_match
    return match.route if match else ""


def user_of(request: HttpRequest) -> str:
    """Return the user's name; empty: anonymous, or the database does not answer."""
    if refused := getattr(request, "refused", ""):
        return str(refused)
    try:
        user: Any = getattr(request, "user", None)
        return str(user.get_username()) if user is not None and user.is_authenticated else ""
    except DatabaseError:
        return ""


def _refused(request: HttpRequest, status: int) -> None:
    record_refusal(
        actor=user_of(request), address=address_of(request), action=f"{request.method} {route_of(request)}",
        detail={"status": status},
    )  # fmt: skip


def _staff(request: HttpRequest) -> str:
    """Return the name of a staff user; empty for all others."""
    name = user_of(request)
    return name if name and request.user.is_active and request.user.is_staff else ""


def _done(
    request: HttpRequest, actor: str, changes: list[audit_changes.Change], selections: list[audit_changes.Selection]
) -> None:
    """Record a form of the admin that was accepted, and what it changed: those end in a redirect."""
    match = request.resolver_match
    kwargs = match.kwargs if match else {}
    detail: dict[str, Any] = {
        key: str(value) for key, value in kwargs.items() if key in ("object_id", "name", "id", "number")
    }
    for selection in selections:
        detail |= {"action": selection.action, "rows": selection.count}
    detail |= {"changes": changes} if changes else {}
    record_if_possible(
        actor=actor, address=address_of(request),
        action=match.view_name if match else "", outcome=DONE, detail=detail,
    )  # fmt: skip
