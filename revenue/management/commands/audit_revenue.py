from django.core.management.base import CommandParser

from fluxtracker.commands import JobCommand, whole_number
from revenue.services import audit_revenue


class Command(JobCommand):
    help = "Hold the last blocks of the ledger against the chain."
    job = audit_revenue

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        blocks = whole_number(1, 100_000_000, cut=True)  # more than the chain has for many years
        parser.add_argument("--blocks", type=blocks, default=4320, help="how many blocks (4320); cut to the chain")
        parser.add_argument("--fix", action="store_true", help="mend what differs")
