from metrics.services import take_census
from ops.commands import JobCommand


class Command(JobCommand):
    job = take_census
