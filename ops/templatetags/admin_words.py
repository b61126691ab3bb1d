"""Format instants, jobs and tasks for the admin's pages."""

from __future__ import annotations

from datetime import datetime

from django.template import Library

from fluxtracker import formatting
from ops.models import Job, TaskState

register = Library()

MOODS = {Job.State.DONE: "good", Job.State.FAILED: "bad", Job.State.CANCELLED: "dim"}
MOST_FACTS = 4


@register.filter
def ago(then: datetime, now: datetime) -> str:
    return formatting.ago(then, now)


@register.filter
def ahead(then: datetime, now: datetime) -> str:
    """Return how far away an instant is; one that has passed is due."""
    return "due" if then <= now else f"in {formatting.span(then - now)}"


@register.filter
def mood(job: Job) -> str:
    return MOODS.get(Job.State(job.state), "")


@register.filter
def outcome(job: Job) -> str:
    """Return the error, else the progress, else the first facts of the result."""
    if job.error:
        return job.error
    if job.state in Job.ACTIVE:
        return job.progress or ("to be cancelled" if job.cancel_asked else "")
    facts = sorted((job.result or {}).items())  # databases keep no order of keys
    plain = [f"{key} {value}" for key, value in facts if isinstance(value, (int, float, str)) and value != ""]
    return ", ".join(plain[:MOST_FACTS])


@register.filter
def state_words(state: TaskState | None) -> str:
    """Return how a task's last run went; empty for one that never ran."""
    if state is None or not (state.last_success_at or state.last_failure_at):
        return ""
    if state.consecutive_failures:
        return f"{formatting.plural(state.consecutive_failures, 'failure')} in a row: {state.last_error}"
    return "well"


@register.filter
def state_mood(state: TaskState | None) -> str:
    if state is None or not (state.last_success_at or state.last_failure_at):
        return ""
    return "bad" if state.consecutive_failures else "good"
