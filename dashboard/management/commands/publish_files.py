from dashboard import jobs
from ops.base_commands import JobCommand


class Command(JobCommand):
    job = jobs.publish_files
