"""Define the carousel's Celery task: thin, safe to run twice, safe to kill."""

from datetime import timedelta

from carousel import jobs
from ops.jobs.task_helpers import task_of

refresh_carousel = task_of(
    jobs.refresh_carousel,
    timedelta(hours=1),
    "Top images, best benchmarks, new apps and apps that end next.",
)
