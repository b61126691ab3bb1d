from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser

from ops.access import second_factor
from ops.base_commands import ReportCommand


class Command(ReportCommand):
    help = "Remove a user's app, passkeys and recovery codes, where they are lost. The password stays."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("user", help="the user's name")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"there is no user {options['user']!r}")
        return {"removed": second_factor.remove(user, by="command")}
