from ops.base_commands import JobCommand
from revenue.jobs import audit_revenue


class Command(JobCommand):
    job = audit_revenue
    cut = True
