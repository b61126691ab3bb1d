"""Define the Celery task for the monthly files."""

from datetime import timedelta

from dashboard import jobs
from ops.jobs.task_helpers import task_of

publish_files = task_of(jobs.publish_files, timedelta(days=1), "Files of each completed month for /data/files/.")
