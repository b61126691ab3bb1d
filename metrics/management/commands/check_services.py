from fluxtracker.commands import JobCommand
from metrics.services import check_services


class Command(JobCommand):
    help = "Check that each upstream answers, and that tracked games and crypto nodes still run."
    job = check_services
