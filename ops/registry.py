"""Register what apps add to the frame: jobs, health checks, alert rules and hooks, called without importing the app.

The modules that register are imported at the first use: a command, a page or a migration mostly needs none of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache, cached_property
from inspect import signature
from typing import Any, ClassVar, Generic, TypeVar

import structlog
from celery import shared_task
from django.db import DatabaseError
from django.utils.module_loading import autodiscover_modules
from rest_framework import serializers

from fluxtracker.api.reports import as_report, name_of, result_of
from ops.runs import one_line, run, run_quietly
from ops.status import Part, Status

log = structlog.get_logger(__name__)

Report = dict[str, Any]
Params = Mapping[str, Any]
Progress = Callable[[str], None]
Field = serializers.Field[Any, Any, Any, Any]
Function = TypeVar("Function", bound=Callable[..., Any])
Check = Callable[[datetime | None], Part]


class Hook(Generic[Function]):
    """Hold a list of functions; as a decorator it adds one."""

    def __init__(self) -> None:
        self.functions: list[Function] = []

    def __call__(self, function: Function) -> Function:
        self.functions.append(function)
        return function

    def __iter__(self) -> Iterator[Function]:
        discover()
        return iter(self.functions)


on_change: Hook[Callable[[], object]] = Hook()
"""Called after a sync, a collection or a snapshot."""
alert_rule: Hook[Callable[[datetime], Iterator[Status]]] = Hook()
"""Yields what is wrong now. A rule that raises ends the check: with half of the problems it would close alerts."""
around_restore: Hook[Callable[[], AbstractContextManager[None]]] = Hook()
"""A context in the transaction that replaces all rows."""
missing_days: Hook[Callable[[datetime], list[Report]]] = Hook()
"""Returns the last days without a row, for the overview."""


HEALTH: dict[str, Check] = {}


def health_check(name: str) -> Callable[[Check], Check]:
    """Register what makes a part of `/api/health`. It gets None where the database cannot be reached."""

    def register(check: Check) -> Check:
        HEALTH[name] = check
        return check

    return register


def health_checks() -> dict[str, Check]:
    """Return all health checks by name."""
    discover()
    return HEALTH


def changed() -> None:
    """Call what depends on the changed rows. What fails here is computed by readers instead."""
    for function in on_change:
        try:
            function()
        except DatabaseError as error:
            log.warning("not_kept_warm", keeper=function.__name__, error=one_line(error))


class UnknownJob(Exception):
    """There is no job of that name."""


@dataclass(frozen=True, kw_only=True)
class JobType:
    """A function that commands, tasks, API and admin call: inside a run that holds its lease, with a report.

    The function gets the run and its parameters, and returns a report: a dataclass, or what `as_report` made of one.
    """

    do_not_call_in_templates: ClassVar[bool] = True

    name: str
    """In the URL."""
    work: Callable[..., Any]
    report: type
    help: str
    lease: str = ""
    """The function's name, unless given."""
    writes_ledger: str = ""
    """The parameter that makes it take the sync's lease instead."""
    params: Mapping[str, Field] = field(default_factory=dict)
    keywords: Mapping[str, str] = field(default_factory=dict)
    """The function's own names of parameters, where they differ."""
    form: type[serializers.Serializer[Any]] = serializers.Serializer
    """The base of the form."""
    also: Mapping[str, Field] = field(default_factory=dict)
    """Keys that `run.after` adds to the report."""
    answer: str = ""
    """Describes the result in the API."""
    destructive: bool = False
    """It loses data that the job cannot bring back: pages ask for confirmation."""

    @property
    def run_name(self) -> str:
        return self.work.__name__

    @cached_property
    def takes(self) -> frozenset[str]:
        return frozenset(signature(self.work).parameters) - {"run"}

    @cached_property
    def serializer(self) -> type[serializers.Serializer[Any]]:
        """Return what checks the parameters: the body of the POST and the form of the admin."""
        return type(name_of(self.report, "Form"), (self.form,), dict(self.params))

    def result(self, base: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
        """Return what describes the report, with the fields of `base` before it."""
        result = result_of(self.report, base)
        own: dict[str, Any] = {**self.also, **({"__doc__": self.answer} if self.answer else {})}
        return type(result.__name__, (result,), own) if own else result

    @cached_property
    def keys(self) -> list[str]:
        """Return the keys that every report has."""
        fields = self.result(serializers.Serializer)._declared_fields
        return [key for key, field in fields.items() if field.required]

    def checked(self, params: Any) -> dict[str, Any]:
        """Return the parameters as JSON, with defaults. ValidationError for wrong ones; unknown keys are ignored."""
        if not isinstance(params, Mapping):
            raise serializers.ValidationError("expected a JSON object")
        form = self.serializer(data=params)
        form.is_valid(raise_exception=True)
        values = form.validated_data
        return {key: value.isoformat() if isinstance(value, date) else value for key, value in values.items()}

    def lease_for(self, params: Params) -> str:
        ledger = self.writes_ledger and params.get(self.writes_ledger)
        return "sync_revenue" if ledger else self.lease or self.run_name

    def call(self, params: Params, *, trigger: str, wait: float) -> Report:
        """Run with parameters as the API names them."""
        words = {self.keywords.get(key, key): value for key, value in params.items()}
        return self(trigger=trigger, wait=wait, **{word: words[word] for word in words.keys() & self.takes})

    def __call__(self, *, trigger: str, wait: float = 0, progress: Progress | None = None, **params: Any) -> Report:
        """Run, then call what waits for the lease to be free, then what depends on the changed rows."""
        current = None
        try:
            with run(
                self.run_name, lease=self.lease_for(params), trigger=trigger, wait=wait, progress=progress
            ) as current:
                current.report = dict.fromkeys(self.keys)  # where it ends before it knows
                done = self.work(current, **params)
                current.report = done if isinstance(done, dict) else as_report(done)
            return current.report | (current.after() if current.after else {})
        finally:
            if current and current.changed:
                changed()

    def task(self) -> Any:
        """Return the Celery task of its name, which the schedule sends."""

        def quietly() -> None:
            run_quietly(self)

        return shared_task(name=f"{_app(self)}.tasks.{self.run_name}")(quietly)


JOBS: dict[str, JobType] = {}
APPS = ("revenue", "snapshots", "metrics", "carousel", "ops")  # in this order jobs are listed; other apps come last


def job(name: str, *, report: type, **options: Any) -> Callable[[Callable[..., Any]], JobType]:
    """Register a function as a job. `options` are fields of JobType."""

    def register(work: Callable[..., Any]) -> JobType:
        JOBS[name] = JobType(name=name, work=work, report=report, **options)
        return JOBS[name]

    return register


def jobs() -> dict[str, JobType]:
    """Return all jobs by name, in the order of the apps."""
    discover()
    return JOBS


def find(name: str) -> JobType:
    """Return the job of that name. Raise UnknownJob."""
    try:
        return jobs()[name]
    except KeyError:
        raise UnknownJob(f"there is no job {name}; there are: {', '.join(JOBS)}") from None


_discovery = threading.RLock()


def discover() -> None:
    """Import once what registers: services, alerts, status and tasks of each app. Safe from any thread."""
    with _discovery:
        _import_all()


@cache
def _import_all() -> None:
    autodiscover_modules("services", "alerts", "status", "tasks")
    found = sorted(JOBS.values(), key=lambda job: (*APPS, _app(job)).index(_app(job)))
    JOBS.clear()
    JOBS.update((job.name, job) for job in found)


def _app(job: JobType) -> str:
    return job.work.__module__.partition(".")[0]
