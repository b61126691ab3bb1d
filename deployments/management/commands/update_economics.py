from deployments.services import update_economics
from ops.commands import JobCommand


class Command(JobCommand):
    job = update_economics
