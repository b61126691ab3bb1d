"""Define the metrics' Celery tasks: thin, safe to run twice, safe to kill."""

from datetime import timedelta

from metrics import jobs
from ops.jobs.task_helpers import task_of

collect_metrics = task_of(jobs.collect_metrics, timedelta(minutes=10), "Nodes, capacity, running apps and the price.")
check_services = task_of(
    jobs.check_services,
    timedelta(hours=1),
    "Whether each upstream answers, and whether games and crypto nodes still run.",
)
take_census = task_of(
    jobs.take_census,
    timedelta(hours=1),
    "Nodes by operator, place and version, running instances and deployment prices, for the record.",
)
