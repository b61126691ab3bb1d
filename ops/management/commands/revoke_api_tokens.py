from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from ops.access import authentication
from ops.base_commands import ReportCommand


class Command(ReportCommand):
    help = "Revoke all API tokens of a user. A changed password leaves them valid."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("user", help="the user's name")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"revoked": authentication.revoke_all(username=options["user"], now=timezone.now(), by="command")}
        except authentication.NoSuchUser as error:
            raise CommandError(str(error)) from error
