from ops.commands import JobCommand
from revenue.services import prune


class Command(JobCommand):
    job = prune
    audited = ("transactions", "checks")
