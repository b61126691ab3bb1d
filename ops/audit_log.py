"""Record actions and refusals by user in an append-only log, protected by database triggers.

A migration that alters the table must call `protect` again, as SQLite recreates altered tables without triggers.
Refusals recorded per minute are limited, so that a flood cannot fill the disk.
Secrets are masked in changed fields. Only models that the admin can edit are watched, as a listener would slow down
deletes of the ledger's tables.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import structlog
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import DatabaseError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from django.db.models.fields import NOT_PROVIDED, Field
from django.db.models.signals import m2m_changed, post_delete, pre_save
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from fluxtracker.admin import ReadOnlyAdmin
from fluxtracker.api.throttling import SHARED, WINDOW_S, Counters, Window, client_address, client_of
from fluxtracker.formatting import printable
from ops.models import AuditEntry, Job

log = structlog.get_logger(__name__)

ASKED, DONE, REFUSED = "asked", "done", "refused"
LONGEST_VALUE = 200


def record(*, actor: str, address: str | None, action: str, outcome: str, detail: dict[str, Any] | None = None) -> None:
    """Add an entry. `address` None: a command. `detail` has only known keys, never a body or a secret."""
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
    """Add an entry, or log that it is missing without a database."""
    try:
        record(**entry)
    except DatabaseError as error:
        log.warning("not_audited", action=entry.get("action"), error=type(error).__name__)


def address_of(request: HttpRequest) -> str:
    """Return the client's address, empty for a Unix socket."""
    return client_address(request) or str(request.META.get("REMOTE_ADDR", ""))


def actor_of(trigger: str) -> str:
    """Return who requested the running job, else what started the work."""
    job = structlog.contextvars.get_contextvars().get("job")
    actor = Job.objects.filter(pk=job).values_list("actor", flat=True).first() if job else None
    return actor or trigger


def request_id() -> str:
    """Return the id of the current request, or of the one that requested the running job, else ''."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def trimmed(value: Any) -> Any:
    return printable(value[:LONGEST_VALUE]) if isinstance(value, str) else value


TABLE = "ops_auditentry"
REFUSAL = "the audit log is append-only"
PREFIX = f"{TABLE}_no"
DROPPED = ("update", "delete", "insert", "truncate")  # those that an engine has

# PostgreSQL: an empty table may be truncated, because a flush lists all tables.
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
            ("delete", ""),  # REPLACE deletes without firing it
            ("insert", f"WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id) "),  # noqa: S608  our own names
        )
    ),
}


def protect(database: BaseDatabaseWrapper) -> None:
    """Create or replace the triggers."""
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
    """Allow a restore to replace the log inside one transaction. A failure rolls back the triggers too."""
    with transaction.atomic():
        unprotect(connection)
        yield
        protect(connection)


MOST_OF_ONE = 60  # per minute and client
MOST = 300  # per minute for all clients, as addresses are cheap


class Flood:
    """Counts the refusals of all web processes, and those this one left out."""

    def __init__(self, counters: Counters = SHARED) -> None:
        # Two, as many clients share a count in the first.
        self._of_one, self._of_all = Window("refusals", counters), Window("all refusals", counters)
        self._lock = threading.Lock()
        self._minute, self._left_out = 0, 0

    def keeps(self, address: str, now: float) -> bool:
        """Count a refusal, and return whether to record it."""
        client = client_of(address)
        kept = not (self._of_one.count(client, MOST_OF_ONE, now).is_over or self._of_all.count("", MOST, now).is_over)
        if not kept:
            with self._lock:
                self._minute, self._left_out = int(now // WINDOW_S), self._left_out + 1
        return kept

    def left_out(self, now: float) -> tuple[datetime, int] | None:
        """Return the start of a past minute and its number left out, once."""
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
    """Add one entry for all refusals that a minute left out. Called on every request, and free if there are none."""
    if left_out := flood.left_out(now):
        minute, count = left_out
        record_if_possible(
            actor="", address=None, action="more refusals", outcome=REFUSED,
            detail={"count": count, "minute": minute.strftime("%Y-%m-%dT%H:%MZ")},
        )  # fmt: skip


REFUSALS = (401, 403)
SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
SIGN_IN = "admin/login/"  # these and those below write their own entries (ops.access)


class AuditTrail:
    """Records refusals and admin actions. Jobs and tokens add their own entries."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        is_work = request.path_info.startswith("/admin/") and request.method not in SAFE
        staff = _staff(request) if is_work else ""  # signing out forgets the user
        selections: list[Selection] = []
        request.audited = selections if staff else None  # type: ignore[attr-defined]
        with collecting(bool(staff)) as changes:
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
                _refused(request, 302)  # strangers are redirected to the sign-in
        return response

    def process_view(self, request: HttpRequest, view: Any, args: object, kwargs: object) -> None:
        """Remember the rows of a bulk action."""
        selections = getattr(request, "audited", None)
        if selections is not None and (selection := selected(request, getattr(view, "model_admin", None))):
            selections.append(selection)


def route_of(request: HttpRequest) -> str:
    """Return the matching URL pattern, empty for none."""
    match = request.resolver_match
    return match.route if match else ""


def user_of(request: HttpRequest) -> str:
    """Return the user's name, empty if anonymous or the database does not answer."""
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
    """Return the name of a staff user, empty for others."""
    name = user_of(request)
    return name if name and request.user.is_active and request.user.is_staff else ""


def _done(request: HttpRequest, actor: str, changes: list[Change], selections: list[Selection]) -> None:
    """Record an accepted admin form, recognised by its redirect, and its changes."""
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


SECRET = re.compile(r"password|secret|token|digest|api_?key", re.IGNORECASE)
MASK = "***"
MOST_CHANGES = 50  # per request
UNTOLD = ("last_login", "last_run_at", "total_run_count", "date_changed")  # maintained by programs, not by people
MORE = "more changes are not listed"
Change = dict[str, str | None]
_changes: ContextVar[list[Change] | None] = ContextVar("changes", default=None)


@contextmanager
def collecting(is_wanted: bool) -> Iterator[list[Change]]:
    """Yield the list of changes, which grows during the block, if requested."""
    changes: list[Change] = []
    if not is_wanted:
        yield changes
        return
    _watch()
    token = _changes.set(changes)
    try:
        yield changes
    finally:
        _changes.reset(token)


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows selected for a bulk action, before it. `count`: number of all rows."""

    action: str
    count: int
    rows: list[Model]

    def note_changes(self) -> None:
        """Note the changes of these rows, as `queryset.update()` sends no signal."""
        if not self.rows:
            return
        now = type(self.rows[0])._base_manager.in_bulk([row.pk for row in self.rows])
        for row in self.rows:
            if row.pk in now:
                _compare(now[row.pk], row)


def selected(request: HttpRequest, model_admin: Any) -> Selection | None:
    """Return the selection of a bulk action with its first rows, None for other requests."""
    action = request.POST.get("action", "")
    if model_admin is None or action not in model_admin.get_actions(request):
        return None
    rows = model_admin.get_queryset(request).filter(pk__in=request.POST.getlist(ACTION_CHECKBOX_NAME))
    if request.POST.get("select_across") == "1":
        rows = model_admin.get_changelist_instance(request).get_queryset(request)
    return Selection(action, rows.count(), list(rows.order_by("pk")[: MOST_CHANGES + 1]))


@cache
def _watch() -> None:
    """Watch the models that the admin can edit."""
    admin.autodiscover()  # otherwise none are registered before the first request is resolved
    for model, model_admin in admin.site._registry.items():
        if isinstance(model_admin, ReadOnlyAdmin):
            continue
        pre_save.connect(_saved, sender=model)
        post_delete.connect(_deleted, sender=model)
        for relation in model._meta.many_to_many:
            m2m_changed.connect(_related, sender=getattr(model, relation.name).through)


def _saved(sender: type[Model], instance: Model, **_: Any) -> None:
    if _changes.get() is None:
        return
    _compare(instance, None if instance._state.adding else sender._base_manager.filter(pk=instance.pk).first())


def _compare(instance: Model, before: Model | None) -> None:
    for field in instance._meta.concrete_fields:
        old, new = before and getattr(before, field.attname), getattr(instance, field.attname)
        is_default = before is None and new in (None, "", _default(field))
        if old != new and not is_default and not field.primary_key and field.name not in UNTOLD:
            _note(instance, field.name, old, new)


def _default(field: Field[Any, Any]) -> Any:
    return None if field.default is NOT_PROVIDED else field.get_default()


def _deleted(sender: type[Model], instance: Model, **_: Any) -> None:
    if _changes.get() is not None:
        _note(instance, "", str(instance), None)


def _related(sender: type[Model], instance: Model, action: str, model: type[Model], pk_set: Any, **_: Any) -> None:
    """Note rows added to or removed from a relation."""
    if _changes.get() is None or action not in ("post_add", "post_remove"):
        return
    name = next(
        each.name for each in instance._meta.many_to_many if getattr(type(instance), each.name).through is sender
    )
    words = ", ".join(sorted(map(str, model._base_manager.filter(pk__in=pk_set))))
    _note(instance, name, *((None, words) if action == "post_add" else (words, None)))


def _note(instance: Model, field: str, old: Any, new: Any) -> None:
    changes = _changes.get()
    if changes is None or len(changes) > MOST_CHANGES:
        return
    subject = instance._meta.label_lower + (f" {instance.pk}" if instance.pk else "")
    if any((change["object"], change["field"]) == (subject, field) for change in changes):
        return  # an action that saves its rows one by one
    if len(changes) == MOST_CHANGES:
        changes.append({"object": "", "field": "", "old": None, "new": MORE})
        return
    old, new = (MASK if SECRET.search(field) and value is not None else _words(value) for value in (old, new))
    changes.append({"object": subject, "field": field, "old": old, "new": new})


def _words(value: Any) -> str | None:
    return None if value is None else printable(str(value))[:LONGEST_VALUE]
