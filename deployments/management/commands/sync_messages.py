from deployments.jobs import sync_messages
from ops.base_commands import JobCommand


class Command(JobCommand):
    job = sync_messages
