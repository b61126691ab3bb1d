"""The Celery tasks of the metrics: thin, safe to run twice, safe to kill."""

from metrics import services

collect_metrics = services.collect_metrics.task()
check_services = services.check_services.task()
