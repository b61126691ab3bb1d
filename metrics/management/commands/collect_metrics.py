from fluxtracker.commands import JobCommand
from metrics.services import collect_metrics


class Command(JobCommand):
    job = collect_metrics
