from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from ops.backup import services
from ops.base_commands import LEASE_WAIT_S, ReportCommand


class Command(ReportCommand):
    help = "Replace everything in the database by a backup, all or nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", type=Path, help="a file that `backup` made")
        parser.add_argument("--yes", action="store_true", help="required: confirm the replacement")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        if not options["yes"]:
            raise self.usage_error("this replaces everything in the database; say --yes if that is what you want")
        return services.restore_backup(
            trigger="command", wait=LEASE_WAIT_S, path=options["file"], progress=self.progress
        )

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
        return {"file": options["file"].name, "rows": report["rows"], "sha256": report["sha256"]}
