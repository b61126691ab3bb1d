from metrics.jobs import check_services
from ops.base_commands import JobCommand


class Command(JobCommand):
    job = check_services
