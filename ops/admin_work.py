"""The work that operators start from the admin: the same jobs, parameters and rules as the API's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from django.http import HttpRequest
from rest_framework import serializers
from rest_framework.fields import empty

from fluxtracker.admin import user_of
from ops import audit, jobs
from ops.jobs_forms import form_of
from ops.jobs_table import VERBS, Verb
from ops.models import Job


@dataclass(frozen=True, slots=True)
class Input:
    """One parameter as a form shows it. `kind` is that of an HTML input."""

    name: str
    label: str
    kind: str
    value: object
    help: str
    errors: list[str]


@dataclass(frozen=True, slots=True)
class Works:
    """A verb as a form."""

    verb: Verb
    inputs: list[Input]
    errors: bool = False

    @classmethod
    def of(cls, verb: Verb) -> Self:
        return cls(verb, [_input(name, field) for name, field in form_of(verb)().fields.items()])

    @property
    def title(self) -> str:
        return title(self.verb.name)

    @property
    def is_harmless(self) -> bool:
        """Started at one press. What destroys shows its page first."""
        return not (self.verb.destructive or self.verb.confirm)

    def refused(self, given: Mapping[str, Any], errors: Mapping[str, Any]) -> Self:
        """The form again, with what was given and what is wrong with it."""
        inputs = [
            replace(row, value=given.get(row.name, ""), errors=[str(words) for words in errors.get(row.name, ())])
            for row in self.inputs
        ]
        return replace(self, inputs=inputs, errors=True)


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking. `job`: the new one, or the one that is in the way."""

    started: bool
    words: str
    job: Job | None


def works() -> list[Works]:
    """All of it, in the order of the table."""
    return [Works.of(verb) for verb in VERBS]


def ask(works: Works, given: Mapping[str, Any], *, request: HttpRequest) -> Asked:
    """Ask for the job as the API does. ValidationError (of DRF) for wrong parameters."""
    params = {row.name: given[row.name] for row in works.inputs if given.get(row.name)}
    try:
        job = jobs.request_job(
            works.verb.name, params, user=user_of(request), address=audit.address_of(request), via="admin"
        )
    except jobs.AlreadyRunning as error:
        return Asked(False, f"Not started: {error}.", error.job)
    except jobs.NotSent as error:
        return Asked(False, f"Not started: {error}.", error.job)
    return Asked(True, f"{works.title}: asked for, and queued as job {job.pk}.", job)


def title(name: str) -> str:
    """A verb's name for people: `revenue-sync` is `Revenue sync`."""
    words = name.replace("-", " ").replace("usd", "USD")
    return words[0].upper() + words[1:]


def _input(name: str, field: serializers.Field[Any, Any, Any, Any]) -> Input:
    is_box = isinstance(field, serializers.BooleanField)
    kind = "checkbox" if is_box else "number" if isinstance(field, serializers.IntegerField) else "text"
    value = "" if is_box or field.default is empty else field.default
    label = {"batchSize": "batch size"}.get(name, name)
    return Input(name, label, kind, value, str(field.help_text or ""), [])
