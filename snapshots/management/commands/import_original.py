from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from fluxtracker.api.report_serializers import as_report
from ops.base_commands import LEASE_WAIT_S, ReportCommand
from snapshots.imports.services import ImportReport, import_original


class Command(ReportCommand):
    help = "Import missing data from the previous tracker's SQLite file (flux-performance.db)."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", type=Path, help="the SQLite file; it is only read, also while it is in use")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return import_original(trigger="command", wait=LEASE_WAIT_S, path=options["file"], progress=self.progress)

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
        return {"file": options["file"].name} | {key: report[key] for key in as_report(ImportReport())}
