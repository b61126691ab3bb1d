from django.core.management.base import CommandParser

from fluxtracker.commands import JobCommand, whole_number
from snapshots.services import backfill_snapshots


class Command(JobCommand):
    help = "Make the days without a snapshot from the ledger and the history of node counts, marked as backfilled."
    job = backfill_snapshots

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--days", type=whole_number(1, 3650), default=365, help="how many days back (365)")
        parser.add_argument("--force", action="store_true", help="make backfilled days anew, never taken ones")
