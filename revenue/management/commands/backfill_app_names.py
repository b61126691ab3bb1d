from typing import Any

from django.core.management.base import CommandParser

from fluxtracker.commands import LEASE_WAIT_S, VerbCommand, whole_number
from revenue import services


class Command(VerbCommand):
    help = "Look for the app names of payments that have none yet."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--batch-size", type=whole_number(1, 2000), default=500, help="payments a batch (1-2000)")
        parser.add_argument("--all", action="store_true", help="every batch, whatever the pauses")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return services.backfill_app_names(
            trigger="command",
            wait=LEASE_WAIT_S,
            batch_size=options["batch_size"],
            everything=options["all"],
            progress=self.progress,
        )
