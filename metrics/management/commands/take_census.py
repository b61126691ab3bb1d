from metrics.jobs import take_census
from ops.base_commands import JobCommand


class Command(JobCommand):
    job = take_census
