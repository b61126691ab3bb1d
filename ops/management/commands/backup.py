from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from fluxtracker.commands import LEASE_WAIT_S, VerbCommand
from ops.backup import services


class Command(VerbCommand):
    help = "Write every table to one file, while everything runs, and verify it by reading it back."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", nargs="?", type=Path, help="default: a new file in backups/ of the data dir")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return services.back_up(trigger="command", wait=LEASE_WAIT_S, path=options["file"], progress=self.progress)
