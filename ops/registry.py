"""What apps add to the frame: functions that it calls without importing the app.

`discover` imports the modules that register something, as Django's admin and checks do it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import structlog
from django.db import DatabaseError
from django.utils.module_loading import autodiscover_modules

from ops.alerts.records import Trouble
from ops.runs import one_line

log = structlog.get_logger(__name__)

Report = dict[str, Any]
Function = TypeVar("Function", bound=Callable[..., Any])
Check = Callable[[datetime | None], Any]
Problems = Callable[[Any, datetime], Iterator[str]]


class Hook(Generic[Function]):
    """A list of functions; as a decorator it adds one."""

    def __init__(self) -> None:
        self.functions: list[Function] = []

    def __call__(self, function: Function) -> Function:
        self.functions.append(function)
        return function

    def __iter__(self) -> Iterator[Function]:
        return iter(self.functions)


on_change: Hook[Callable[[], object]] = Hook()
"""Called after a sync, a collection or a snapshot."""
alert_rule: Hook[Callable[[datetime], Iterator[Trouble]]] = Hook()
"""Yields what is wrong now. A rule that raises ends the check: half the problems would close alerts."""
around_restore: Hook[Callable[[], AbstractContextManager[None]]] = Hook()
"""A context in the transaction that replaces all rows."""
missing_days: Hook[Callable[[datetime], list[Report]]] = Hook()
"""Returns the last days without a row, for the overview."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A part of `/api/health`."""

    report: Check
    """Called with None where the database cannot be reached."""
    problems: Problems | None
    """Yields what such a report says is wrong."""


HEALTH: dict[str, HealthCheck] = {}


def health_check(name: str, *, problems: Problems | None = None) -> Callable[[Check], Check]:
    """Register a part of `/api/health`."""

    def register(report: Check) -> Check:
        HEALTH[name] = HealthCheck(report, problems)
        return report

    return register


def discover() -> None:
    """Import what registers: services, alerts, status and tasks of each app."""
    autodiscover_modules("services", "alerts", "status", "tasks")


def changed() -> None:
    """Call what depends on the changed rows. What fails here is made by readers for themselves."""
    for function in on_change:
        try:
            function()
        except DatabaseError as error:
            log.warning("not_kept_warm", keeper=function.__name__, error=one_line(error))
