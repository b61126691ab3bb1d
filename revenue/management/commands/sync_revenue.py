from django.core.management.base import CommandParser

from fluxtracker.commands import JobCommand
from revenue.services import sync_revenue


class Command(JobCommand):
    help = "Read new payments from the chain into the ledger, with their app names and USD."
    job = sync_revenue

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--full", action="store_true", help="read from the first height again; deletes nothing")
