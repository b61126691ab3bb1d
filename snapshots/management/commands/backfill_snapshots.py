from ops.commands import JobCommand
from snapshots.services import backfill_snapshots


class Command(JobCommand):
    job = backfill_snapshots
