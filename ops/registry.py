"""Register what apps add to the frame: jobs, health checks, alert rules and hooks, called without importing the app.

The modules that register are imported at the first use: a command, a page or a migration mostly needs none of them.
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

MODULES = ("jobs", "alert_rules", "status", "tasks")  # of an app, which register


class Hook(Generic[Function]):
    """Hold a list of functions; as a decorator it adds one."""

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
    """Hold what depends on changed rows; some functions depend on those of some jobs alone."""

    def __init__(self) -> None:
        super().__init__(["jobs"])  # a command imports no more for it
        self._after: dict[Keeper, tuple[str, ...]] = {}

    def after(self, *jobs: str) -> Callable[[Keeper], Keeper]:
        """Add a function that is called after these jobs alone."""

        def register(function: Keeper) -> Keeper:
            self._after[function] = jobs
            return self(function)

        return register

    def of(self, job: str) -> Iterator[Keeper]:
        """Yield what depends on the rows that the job changed."""
        return (function for function in self if job in self._after.get(function, (job,)))


on_change = OnChange()
"""Called after a job that changed rows: a sync, a collection, a census, a snapshot. Registered in `services`."""
alert_rule: Hook[Callable[[datetime], Iterator[Status]]] = Hook()
"""Yields what is wrong now. A rule that raises ends the check: with half of the problems it would close alerts."""
around_restore: Hook[Callable[[], AbstractContextManager[None]]] = Hook()
"""A context in the transaction that replaces all rows."""


class Gauge(NamedTuple):
    """A number for Prometheus, without the project's prefix. With a label, one value for each of the label's."""

    name: str
    words: str
    value: float | Mapping[str, float | None] | None
    label: str = ""


gauges: Hook[Callable[[datetime], Iterator[Gauge]]] = Hook()
"""Yields numbers of an app for `/metrics`. None is not known, and has no sample."""
missing_days: Hook[Callable[[datetime], list[Report]]] = Hook()
"""Returns the last days without a row, for the overview."""


HEALTH: dict[str, Check] = {}


def health_check(name: str) -> Callable[[Function], Function]:
    """Register what makes a part of `/api/health` from the time, None without a database, and the tasks' states."""

    def register(check: Function) -> Function:
        HEALTH[name] = check
        return check

    return register


def health_checks() -> dict[str, Check]:
    """Return all health checks by name."""
    discover()
    return HEALTH


def changed(job: str = "") -> None:
    """Call what depends on the rows that the job changed, if anything does. Readers compute what fails here."""
    for function in on_change.of(job):
        try:
            function()
        except DatabaseError as error:
            log.warning("not_kept_warm", keeper=function.__name__, error=one_line(error))


class JobGroup(StrEnum):
    """Groups of jobs on pages. Those that are a danger lose what no job brings back: pages ask for the job's name."""

    READ = "read"
    REPAIR = "repair"
    DANGER = "danger"


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
    group: JobGroup = JobGroup.READ
    deletes: Callable[[datetime], Mapping[str, int]] | None = None
    """Return how many rows of what it would delete now."""

    @property
    def title(self) -> str:
        """Return its name for people: `Backfill USD` for `backfill-usd`."""
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
                changed(self.name)


JOBS: dict[str, JobType] = {}
APPS = ("revenue", "deployments", "snapshots", "reports", "metrics", "carousel", "dashboard", "ops")
"""In this order jobs are listed; other apps come last."""


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
    found = sorted(JOBS.values(), key=lambda job: (*APPS, job.app).index(job.app))
    return {job.name: job for job in found}


def find(name: str) -> JobType:
    """Return the job of that name. Raise UnknownJob."""
    try:
        return jobs()[name]
    except KeyError:
        raise UnknownJob(f"there is no job {name}; there are: {', '.join(jobs())}") from None


_discovery = threading.RLock()


def discover(*modules: str) -> None:
    """Import once these modules of each app, by default all that register. Safe from any thread."""
    with _discovery:
        _import(modules or MODULES)


@cache
def _import(modules: tuple[str, ...]) -> None:
    autodiscover_modules(*modules)
