from typing import Any

from django.core.management.base import CommandParser

from fluxtracker.commands import LEASE_WAIT_S, VerbCommand, whole_number
from snapshots import services


class Command(VerbCommand):
    help = "Make the days without a snapshot from the ledger and the history of node counts, marked as backfilled."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--days", type=whole_number(1, 3650), default=365, help="how many days back (365)")
        parser.add_argument("--force", action="store_true", help="make backfilled days anew, never taken ones")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return services.backfill_snapshots(
            trigger="command", wait=LEASE_WAIT_S, days=options["days"], force=options["force"]
        )
