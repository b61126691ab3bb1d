"""The Celery tasks of app messages and what follows from them: thin, safe to run twice, safe to kill."""

from deployments import services
from ops.jobs.scheduled import task_of

sync_messages = task_of(services.sync_messages)
update_economics = task_of(services.update_economics)
