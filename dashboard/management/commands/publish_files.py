from dashboard import services
from ops.commands import JobCommand


class Command(JobCommand):
    job = services.publish_files
