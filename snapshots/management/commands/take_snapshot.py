from typing import Any

from django.core.management.base import CommandParser

from fluxtracker.commands import LEASE_WAIT_S, VerbCommand
from snapshots import doors


class Command(VerbCommand):
    help = "Take today's snapshot of the network, once it is 00:05 UTC and unless there is one."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--force", action="store_true", help="take it again and replace the one there is")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return doors.take_snapshot(trigger="command", wait=LEASE_WAIT_S, force=options["force"])
