from deployments.jobs import update_economics
from ops.base_commands import JobCommand


class Command(JobCommand):
    job = update_economics
