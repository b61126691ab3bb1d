from ops.base_commands import JobCommand
from revenue.jobs import sync_revenue


class Command(JobCommand):
    job = sync_revenue
