from ops.base_commands import JobCommand
from revenue.jobs import backfill_app_types


class Command(JobCommand):
    job = backfill_app_types
