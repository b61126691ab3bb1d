from metrics.services import check_services
from ops.commands import JobCommand


class Command(JobCommand):
    job = check_services
