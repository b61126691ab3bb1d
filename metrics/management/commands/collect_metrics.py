from metrics.services import collect_metrics
from ops.commands import JobCommand


class Command(JobCommand):
    job = collect_metrics
