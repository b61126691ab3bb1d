from typing import Any

from django.core.management.base import CommandParser

from fluxtracker.commands import JobCommand
from revenue.services import clear_revenue_data


class Command(JobCommand):
    help = "Delete payments, daily totals, cursors and quarantine."
    job = clear_revenue_data

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--yes", action="store_true", help="required: yes, delete")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        if not options["yes"]:
            raise self.usage_error("this deletes the ledger; say --yes if that is what you want")
        return super().work(options)

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
        return {"deleted": report["deleted"]}
