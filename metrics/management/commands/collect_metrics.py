from fluxtracker.commands import JobCommand
from metrics.services import collect_metrics


class Command(JobCommand):
    help = "Read what the network is now: nodes, capacity, running apps and the price."
    job = collect_metrics
