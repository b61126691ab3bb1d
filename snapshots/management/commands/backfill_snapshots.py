from ops.base_commands import JobCommand
from snapshots.jobs import backfill_snapshots


class Command(JobCommand):
    job = backfill_snapshots
