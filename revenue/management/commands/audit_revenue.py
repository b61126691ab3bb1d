from ops.commands import JobCommand
from revenue.services import audit_revenue


class Command(JobCommand):
    job = audit_revenue
    cut = True
