from fluxtracker.commands import JobCommand
from metrics.services import check_services


class Command(JobCommand):
    job = check_services
