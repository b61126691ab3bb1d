"""The Celery task of the carousel: thin, safe to run twice, safe to kill."""

from carousel import services
from ops.jobs.scheduled import task_of

refresh_carousel = task_of(services.refresh_carousel)
