from ops.commands import JobCommand
from revenue.services import sync_revenue


class Command(JobCommand):
    job = sync_revenue
