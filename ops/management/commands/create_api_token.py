from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from fluxtracker.api.fields import Whole
from fluxtracker.timestamps import iso
from ops.access import authentication
from ops.base_commands import ReportCommand, read_by


class Command(ReportCommand):
    help = "Create an API token for a user. It is printed once and stored only hashed."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("user", help="the user's name")
        parser.add_argument("--days", type=read_by(Whole(maximum=3650)), help="when it expires (default: never)")
        parser.add_argument("--name", default="", help="what it is for, at most 60 characters")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        if len(options["name"]) > 60:
            raise self.usage_error("--name: expected at most 60 characters")
        try:
            made = authentication.create(
                username=options["user"],
                now=timezone.now(),
                days=options["days"],
                name=options["name"],
                by="command",
            )
        except authentication.NoSuchUser as error:
            raise CommandError(str(error)) from error
        if not made.row.user.is_staff:
            self.stderr.write("This user is not staff: the token is useless until they are.")
        return {
            "token": made.secret,
            "user": made.row.user.get_username(),
            "name": made.row.name,
            "expires": iso(made.row.expires_at),
        }

    def as_text(self, report: dict[str, Any]) -> str:
        """Return the report with the token on its own line, ready to copy."""
        return f"{super().as_text({key: report[key] for key in report if key != 'token'})}\n{report['token']}"
