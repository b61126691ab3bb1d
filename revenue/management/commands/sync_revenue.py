from typing import Any

from django.core.management.base import CommandParser

from fluxtracker.commands import LEASE_WAIT_S, VerbCommand
from revenue import services


class Command(VerbCommand):
    help = "Read new payments from the chain into the ledger, with their app names and USD."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--full", action="store_true", help="read from the first height again; deletes nothing")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return services.sync_revenue(trigger="command", wait=LEASE_WAIT_S, full=options["full"], progress=self.progress)
