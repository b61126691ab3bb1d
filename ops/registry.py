"""Register the apps' jobs, health checks, alert rules and hooks, called without importing the app.

Registering modules are imported on first use, as most commands, pages and migrations need none of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from functools import cache, cached_property
from inspect import signature
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import structlog
from django.db import DatabaseError
from django.utils.module_loading import autodiscover_modules
from rest_framework import serializers

from fluxtracker.api.report_serializers import as_report, name_of, result_of
from ops.jobs.runs import one_line, run
from ops.models import TaskState
from ops.status import Part, Status

log = structlog.get_logger(__name__)

Report = dict[str, Any]
Params = Mapping[str, Any]
Progress = Callable[[str], None]
Field = serializers.Field[Any, Any, Any, Any]
Function = TypeVar("Function", bound=Callable[..., Any])
States = Mapping[str, TaskState]
Check = Callable[[datetime | None, States], Part]

MODULES = ("jobs", "alert_rules", "status", "tasks")  # modules of an app that register


class Hook(Generic[Function]):
    """A list of functions; as a decorator it adds one."""

    def __init__(self, modules: Collection[str] = MODULES) -> None:
        self.functions: list[Function] = []
        self._modules = modules

    def __call__(self, function: Function) -> Function:
        self.functions.append(function)
        return function

    def __iter__(self) -> Iterator[Function]:
        discover(*self._modules)
        return iter(self.functions)


Keeper = Callable[[], object]


class OnChange(Hook[Keeper]):
    """Functions that depend on changed rows, some only on those of certain jobs."""

    def __init__(self) -> None:
        super().__init__(["jobs"])  # a command imports nothing else for it
        self._after: dict[Keeper, tuple[str, ...]] = {}

    def after(self, *jobs: str) -> Callable[[Keeper], Keeper]:
        """Add a function that is called only after these jobs."""

        def register(function: Keeper) -> Keeper:
            self._after[function] = jobs
            return self(function)

        return register

    def of(self, job: str) -> Iterator[Keeper]:
        """Yield the functions that depend on rows changed by the job."""
        return (function for function in self if job in self._after.get(function, (job,)))


on_change = OnChange()
"""Called after a job that changed rows: a sync, a collection, a census, a snapshot.

Registered in `jobs`, or in `tasks` for workers alone.
"""
alert_rule: Hook[Callable[[datetime], Iterator[Status]]] = Hook()
"""Yields current problems. A rule that raises ends the check, as half of the problems would close alerts."""
around_restore: Hook[Callable[[], AbstractContextManager[None]]] = Hook()
"""A context in the transaction that replaces all rows."""


class Gauge(NamedTuple):
    """A number for Prometheus, without the project's prefix. With a label, one value per label value."""

    name: str
    words: str
    value: float | Mapping[str, float | None] | None
    label: str = ""


gauges: Hook[Callable[[datetime], Iterator[Gauge]]] = Hook()
"""Yields numbers of an app for `/metrics`. None: not known, without a sample."""
missing_days: Hook[Callable[[datetime], list[Report]]] = Hook()
"""Returns the last days without a row, for the overview."""


HEALTH: dict[str, Check] = {}


def health_check(name: str) -> Callable[[Function], Function]:
    """Register a part of `/api/health`, made from the time (None: no database) and the tasks' states."""

    def register(check: Function) -> Function:
        HEALTH[name] = check
        return check

    return register


def health_checks() -> dict[str, Check]:
    """Return all health checks by name."""
    discover()
    return HEALTH


def changed(job: str = "") -> None:
    """Call the functions that depend on rows changed by the job. Readers compute what fails here."""
    for function in on_change.of(job):
        try:
            function()
        except DatabaseError as error:
            log.warning("not_kept_warm", keeper=function.__name__, error=one_line(error))


class JobGroup(StrEnum):
    """Groups of jobs on pages. Dangerous ones lose data that no job restores: pages require typing the job's name."""

    READ = "read"
    REPAIR = "repair"
    DANGER = "danger"


class UnknownJob(Exception):
    """There is no job of that name."""


@dataclass(frozen=True, kw_only=True)
class JobType:
    """A function called by commands, tasks, API and admin, inside a run that holds its lease, with a report.

    The function gets the run and its parameters, and returns a report: a dataclass, or `as_report` of one.
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
    """The function's parameter names, where they differ."""
    form: type[serializers.Serializer[Any]] = serializers.Serializer
    """The base of the form."""
    also: Mapping[str, Field] = field(default_factory=dict)
    """Keys that `run.after` adds to the report."""
    answer: str = ""
    """Describes the result in the API."""
    group: JobGroup = JobGroup.READ
    deletes: Callable[[datetime], Mapping[str, int]] | None = None
    """Returns how many rows it would delete now, by kind."""

    @property
    def title(self) -> str:
        """Return its display name: `Backfill USD` for `backfill-usd`."""
        words = self.name.replace("-", " ").replace("usd", "USD")
        return words[0].upper() + words[1:]

    @property
    def is_dangerous(self) -> bool:
        return self.group is JobGroup.DANGER

    @property
    def app(self) -> str:
        return self.work.__module__.partition(".")[0]

    @property
    def run_name(self) -> str:
        return self.work.__name__

    @cached_property
    def takes(self) -> frozenset[str]:
        return frozenset(signature(self.work).parameters) - {"run"}

    @cached_property
    def serializer(self) -> type[serializers.Serializer[Any]]:
        """Return the serializer of the parameters, for POST bodies and the admin's form."""
        return type(name_of(self.report, "Form"), (self.form,), dict(self.params))

    def result(self, base: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
        """Return the serializer of the report, after the fields of `base`."""
        result = result_of(self.report, base)
        own: dict[str, Any] = {**self.also, **({"__doc__": self.answer} if self.answer else {})}
        return type(result.__name__, (result,), own) if own else result

    @cached_property
    def keys(self) -> list[str]:
        """Return the keys of every report."""
        fields = self.result(serializers.Serializer)._declared_fields
        return [key for key, field in fields.items() if field.required]

    def checked(self, params: Any) -> dict[str, Any]:
        """Return the parameters as JSON with defaults. ValidationError for wrong ones; unknown keys are ignored."""
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
        """Run with the API's parameter names."""
        words = {self.keywords.get(key, key): value for key, value in params.items()}
        return self(trigger=trigger, wait=wait, **{word: words[word] for word in words.keys() & self.takes})

    def __call__(self, *, trigger: str, wait: float = 0, progress: Progress | None = None, **params: Any) -> Report:
        """Run, then call `after` once the lease is free, then functions that depend on changed rows."""
        current = None
        try:
            with run(
                self.run_name, lease=self.lease_for(params), trigger=trigger, wait=wait, progress=progress
            ) as current:
                current.report = dict.fromkeys(self.keys)  # if it ends before it knows
                done = self.work(current, **params)
                current.report = done if isinstance(done, dict) else as_report(done)
            return current.report | (current.after() if current.after else {})
        finally:
            if current and current.changed:
                changed(self.name)


JOBS: dict[str, JobType] = {}
APPS = ("revenue", "deployments", "snapshots", "reports", "metrics", "carousel", "dashboard", "ops")
"""In this order jobs and the schedule are listed; other apps come last."""


def place_of(app: str) -> int:
    """Return the place of an app in APPS, for sorting."""
    return (*APPS, app).index(app)


def job(name: str, *, report: type, **options: Any) -> Callable[[Callable[..., Any]], JobType]:
    """Register a function as a job. `options` are fields of JobType."""

    def register(work: Callable[..., Any]) -> JobType:
        JOBS[name] = JobType(name=name, work=work, report=report, **options)
        return JOBS[name]

    return register


def jobs() -> dict[str, JobType]:
    """Return all jobs by name, in the order of the apps."""
    discover()
    return _in_order()


@cache
def _in_order() -> dict[str, JobType]:
    ordered = sorted(JOBS.values(), key=lambda job: place_of(job.app))
    return {job.name: job for job in ordered}


def find(name: str) -> JobType:
    """Return the job of that name. Raise UnknownJob."""
    try:
        return jobs()[name]
    except KeyError:
        raise UnknownJob(f"there is no job {name}; available jobs: {', '.join(jobs())}") from None


_discovery = threading.RLock()


def discover(*modules: str) -> None:
    """Import these modules of each app once, by default all that register. Thread-safe."""
    with _discovery:
        _import(modules or MODULES)


@cache
def _import(modules: tuple[str, ...]) -> None:
    autodiscover_modules(*modules)
