"""Collect which fields a request of the admin changes, from what to what. Secrets are masked.

Only models that the admin can edit are watched: a listener would make deletes of the ledger's tables slow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model
from django.db.models.fields import NOT_PROVIDED, Field
from django.db.models.signals import m2m_changed, post_delete, pre_save
from django.http import HttpRequest

from fluxtracker.admin import ReadOnlyAdmin
from fluxtracker.formatting import printable

SECRET = re.compile(r"password|secret|token|digest|api_?key", re.IGNORECASE)
MASK = "***"
LONGEST_VALUE = 200
MOST = 50  # of one request
UNTOLD = ("last_login", "last_run_at", "total_run_count", "date_changed")  # kept by programs, not by people
MORE = "more changes are not listed"
Change = dict[str, str | None]
_changes: ContextVar[list[Change] | None] = ContextVar("changes", default=None)


@contextmanager
def collecting(is_wanted: bool) -> Iterator[list[Change]]:
    """Yield the list of changes, which grows while the block runs, if it is wanted."""
    found: list[Change] = []
    if not is_wanted:
        yield found
        return
    _watch()
    token = _changes.set(found)
    try:
        yield found
    finally:
        _changes.reset(token)


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows that a bulk action of a list was started for, as they were. `count`: how many there are in all."""

    action: str
    count: int
    rows: list[Model]

    def note_changes(self) -> None:
        """Note what became of them: `queryset.update()` sends no signal."""
        if not self.rows:
            return
        now = type(self.rows[0])._base_manager.in_bulk([row.pk for row in self.rows])
        for row in self.rows:
            if row.pk in now:
                _compare(now[row.pk], row)


def selected(request: HttpRequest, model_admin: Any) -> Selection | None:
    """Return the selection of a bulk action, with the first rows of it; None where the request is none."""
    action = request.POST.get("action", "")
    if model_admin is None or action not in model_admin.get_actions(request):
        return None
    rows = model_admin.get_queryset(request).filter(pk__in=request.POST.getlist(ACTION_CHECKBOX_NAME))
    if request.POST.get("select_across") == "1":
        rows = model_admin.get_changelist_instance(request).get_queryset(request)
    return Selection(action, rows.count(), list(rows.order_by("pk")[: MOST + 1]))


@cache
def _watch() -> None:
    """Listen to the models that the admin can edit."""
    admin.autodiscover()  # else it has registered none before the first request is resolved
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
    """Note what was added to, or taken from, a list of other rows."""
    if _changes.get() is None or action not in ("post_add", "post_remove"):
        return
    name = next(
        each.name for each in instance._meta.many_to_many if getattr(type(instance), each.name).through is sender
    )
    words = ", ".join(sorted(map(str, model._base_manager.filter(pk__in=pk_set))))
    _note(instance, name, *((None, words) if action == "post_add" else (words, None)))


def _note(instance: Model, field: str, old: Any, new: Any) -> None:
    found = _changes.get()
    if found is None or len(found) > MOST:
        return
    subject = instance._meta.label_lower + (f" {instance.pk}" if instance.pk else "")
    if any((change["object"], change["field"]) == (subject, field) for change in found):
        return  # an action that saves its rows one by one
    if len(found) == MOST:
        found.append({"object": "", "field": "", "old": None, "new": MORE})
        return
    old, new = (MASK if SECRET.search(field) and value is not None else _words(value) for value in (old, new))
    found.append({"object": subject, "field": field, "old": old, "new": new})


def _words(value: Any) -> str | None:
    return None if value is None else printable(str(value))[:LONGEST_VALUE]
