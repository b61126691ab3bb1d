from typing import Any

from django.core.management.base import CommandParser

from fluxtracker.commands import JobCommand, day
from revenue.services import backfill_usd


class Command(JobCommand):
    help = "Price every payment that has no USD value yet; with --force those of the days that have one, too."
    job = backfill_usd

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--from", dest="first", type=day, metavar="DAY", help="first UTC day, as YYYY-MM-DD")
        parser.add_argument("--to", dest="last", type=day, metavar="DAY", help="last UTC day, today at the latest")
        parser.add_argument(
            "--force", action="store_true", help="price again what has a price; closed days are left as they are"
        )

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        first, last = options["first"], options["last"]
        if first and last and first > last:
            raise self.usage_error("--from must not be after --to")
        return super().work(options)

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any] | None:
        if not options["force"]:
            return None
        ends = {key: options[name].isoformat() for key, name in (("from", "first"), ("to", "last")) if options[name]}
        return {"force": True, **ends, **report}
