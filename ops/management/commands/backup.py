from pathlib import Path

from django.core.management.base import CommandParser

from ops.backup.services import backup
from ops.base_commands import JobCommand


class Command(JobCommand):
    job = backup

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "path", nargs="?", metavar="file", type=Path, help="default: a new file in backups/ of the data dir"
        )
