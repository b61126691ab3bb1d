from typing import Any

from django.core.management.base import CommandParser

from fluxtracker.commands import LEASE_WAIT_S, VerbCommand
from revenue import services


class Command(VerbCommand):
    help = "Delete payments, daily totals, cursors and quarantine."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--yes", action="store_true", help="required: yes, delete")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        if not options["yes"]:
            raise self.usage_error("this deletes the ledger; say --yes if that is what you want")
        return services.clear_revenue_data(trigger="command", wait=LEASE_WAIT_S)

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
        return {"deleted": report["deleted"]}
