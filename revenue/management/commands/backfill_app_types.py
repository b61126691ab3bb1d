from fluxtracker.commands import JobCommand
from revenue.services import backfill_app_types


class Command(JobCommand):
    help = "Find out which named payments are git and which docker deployments."
    job = backfill_app_types
