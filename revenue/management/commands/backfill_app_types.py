from ops.commands import JobCommand
from revenue.services import backfill_app_types


class Command(JobCommand):
    job = backfill_app_types
