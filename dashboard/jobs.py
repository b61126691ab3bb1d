"""Publish the files of completed months."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog
from django.db import transaction
from django.utils import timezone

from fluxtracker.api.report_serializers import described
from fluxtracker.env import make_private
from ops.jobs.runs import NotDone, Run
from ops.registry import job

log = structlog.get_logger(__name__)

NO_PARQUET = "Parquet is left out: DuckDB is not installed (the extra `parquet`)"


@dataclass(frozen=True, slots=True)
class FilesReport:
    months: int = field(metadata=described("Published months."))
    written: int = field(metadata=described("New or changed months."))
    note: str | None = field(default=None, metadata=described("What was left out."))


@job(
    "publish-files",
    report=FilesReport,
    help="Write the files of completed months for /data/files/ where the ledger has changed.",
)
def publish_files(run: Run) -> FilesReport:
    """Publish month by month, so that an interrupted run has published whole months."""
    from dashboard.open_data import publishing  # loaded only for this command

    now, written = timezone.now(), 0
    note = None if publishing.has_parquet() else NO_PARQUET
    try:
        make_private(publishing.folder())
        publishing.clear_up()
        months = publishing.published()
        for month in publishing.completed(now):
            run.progress(f"month {month.key}")
            if made := publishing.publish(month, months.get(month.key), now):
                months[month.key] = made
                with transaction.atomic():
                    run.guard()
                    publishing.write_index(months)
                written += 1
    except OSError as error:
        raise NotDone(f"cannot write the files: {error.strerror or type(error).__name__}", {}) from error
    if note:
        log.warning("parquet_left_out", reason=note)
    return FilesReport(len(months), written, note)
