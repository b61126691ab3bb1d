from typing import Any

from django.core.management.base import CommandParser

from fluxtracker.commands import LEASE_WAIT_S, VerbCommand, whole_number
from revenue import services


class Command(VerbCommand):
    help = "Hold the last blocks of the ledger against the chain."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        blocks = whole_number(1, 100_000_000, cut=True)  # more than the chain has for many years
        parser.add_argument("--blocks", type=blocks, default=4320, help="how many blocks (4320); cut to the chain")
        parser.add_argument("--fix", action="store_true", help="mend what differs")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return services.audit_revenue(
            trigger="command", wait=LEASE_WAIT_S, blocks=options["blocks"], fix=options["fix"], progress=self.progress
        )
