from deployments.services import sync_messages
from ops.commands import JobCommand


class Command(JobCommand):
    job = sync_messages
