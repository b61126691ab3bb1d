"""Define the Celery tasks for app messages and what depends on them: thin, safe to run twice, safe to kill."""

from datetime import timedelta

from deployments import jobs
from ops.jobs.task_helpers import task_of

sync_messages = task_of(
    jobs.sync_messages,
    timedelta(hours=1),
    "New app messages, all of them once a week, and the resulting lives of apps.",
)
update_economics = task_of(
    jobs.update_economics,
    timedelta(minutes=5),
    "Splits of the revenue of changed days; syncs do it at once.",
)
