"""The Celery tasks of the metrics: thin, safe to run twice, safe to kill."""

from metrics import services
from ops.jobs.scheduled import task_of

collect_metrics = task_of(services.collect_metrics)
check_services = task_of(services.check_services)
take_census = task_of(services.take_census)
