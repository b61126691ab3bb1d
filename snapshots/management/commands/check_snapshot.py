from ops.commands import JobCommand
from snapshots.services import check_snapshot


class Command(JobCommand):
    job = check_snapshot
