"""The Celery tasks of app messages and what follows from them: thin, safe to run twice, safe to kill."""

from datetime import timedelta

from deployments import jobs
from ops.jobs.task_helpers import task_of

sync_messages = task_of(
    jobs.sync_messages,
    timedelta(hours=1),
    "New messages of apps, all of them once a week, and the lives of the apps that follow.",
)
update_economics = task_of(
    jobs.update_economics,
    timedelta(minutes=5),
    "Splits of the revenue of days that have changed; syncs do it at once.",
)
