"""Format instants, jobs and tasks for the admin's pages."""

from __future__ import annotations

from datetime import datetime

from django.template import Library
from django.utils.html import format_html
from django.utils.safestring import SafeString

from fluxtracker import formatting
from ops.models import Job, TaskState

register = Library()

MOODS = {"done": "good", "failed": "bad", "cancelled": "dim", "ok": "good", "stale": "bad"}  # moods of jobs and sources
MOST_FACTS = 4


@register.simple_tag
def fact(label: str, value: object, mood: str = "", url: str = "") -> SafeString:
    """Return a line of a card. `mood`, good or bad, colours it; the words say the same."""
    shown = format_html('<a href="{}">{}</a>', url, value) if url else value
    return format_html('<div class="{}"><dt>{}</dt><dd>{}</dd></div>', mood, label, shown)


@register.filter
def number(value: int | None) -> str:
    return "not known" if value is None else formatting.whole(value)


@register.filter
def deleted(count: int) -> str:
    return f"{formatting.whole(count)} deleted"


@register.filter
def bytes_size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else formatting.size(count / 1e9)


@register.filter
def ago(then: datetime | str | None, now: datetime) -> str:
    """Return the age of an instant, also if given as in the health report."""
    if not then:
        return "never"
    return formatting.ago(datetime.fromisoformat(then) if isinstance(then, str) else then, now)


@register.filter
def ahead(then: datetime, now: datetime) -> str:
    """Return the time until an instant, or `due`."""
    return "due" if then <= now else f"in {formatting.span(then - now)}"


@register.filter
def mood(status: str) -> str:
    return MOODS.get(status, "")


@register.filter
def outcome(job: Job) -> str:
    """Return the error, else the progress, else the first facts of the result."""
    if job.error:
        return job.error
    if job.state in Job.ACTIVE:
        return job.progress or ("to be cancelled" if job.cancel_asked else "")
    facts = sorted((job.result or {}).items())  # databases do not keep the order of keys
    plain = [f"{key} {value}" for key, value in facts if isinstance(value, (int, float, str)) and value != ""]
    return ", ".join(plain[:MOST_FACTS])


@register.filter
def state_words(state: TaskState | None) -> str:
    """Return the outcome of a task's last run, empty if it never ran."""
    if state is None or state.health == "never":
        return ""
    if state.consecutive_failures:
        return f"{formatting.plural(state.consecutive_failures, 'failure')} in a row: {state.last_error}"
    return "OK"


@register.filter
def state_mood(state: TaskState | None) -> str:
    if state is None or state.health == "never":
        return ""
    return "bad" if state.consecutive_failures else "good"
