from ops.commands import JobCommand
from revenue.services import reset_revenue_sync


class Command(JobCommand):
    job = reset_revenue_sync
    audited = ()
