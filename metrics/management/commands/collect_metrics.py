from metrics.jobs import collect_metrics
from ops.base_commands import JobCommand


class Command(JobCommand):
    job = collect_metrics
