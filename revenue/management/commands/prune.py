from ops.base_commands import JobCommand
from revenue.jobs import prune


class Command(JobCommand):
    job = prune
    audited = ("transactions", "checks")
