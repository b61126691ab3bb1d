from ops.base_commands import JobCommand
from snapshots.jobs import check_snapshot


class Command(JobCommand):
    job = check_snapshot
