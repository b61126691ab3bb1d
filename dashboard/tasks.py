"""The Celery task of the monthly files."""

from __future__ import annotations

from dashboard import services
from ops.jobs.scheduled import task_of

publish_files = task_of(services.publish_files)
