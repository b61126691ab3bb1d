from argparse import ArgumentTypeError
from datetime import date
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from fluxtracker.timestamps import parse_day
from ops.base_commands import JobCommand
from snapshots.jobs import take_snapshot


def past_day(text: str) -> date:
    """Return a UTC day before today, or raise a usage error."""
    day = parse_day(text)
    if day is None or day >= timezone.now().date():
        raise ArgumentTypeError("expected a UTC day before today as YYYY-MM-DD")
    return day


class Command(JobCommand):
    job = take_snapshot

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--day", type=past_day, help="retake a past day's snapshot from its stored readings")

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any] | None:
        return {"day": report["date"]} if options["day"] else None
