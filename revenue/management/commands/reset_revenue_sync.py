from ops.base_commands import JobCommand
from revenue.jobs import reset_revenue_sync


class Command(JobCommand):
    job = reset_revenue_sync
    audited = ()
