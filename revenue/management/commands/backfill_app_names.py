from django.core.management.base import CommandParser

from fluxtracker.commands import JobCommand, whole_number
from revenue.services import backfill_app_names


class Command(JobCommand):
    help = "Look for the app names of payments that have none yet."
    job = backfill_app_names

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--batch-size", type=whole_number(1, 2000), default=500, help="payments a batch (1-2000)")
        parser.add_argument("--all", dest="everything", action="store_true", help="every batch, whatever the pauses")
