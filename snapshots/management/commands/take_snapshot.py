from argparse import ArgumentTypeError
from datetime import date
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from fluxtracker.api.fields import DAY
from fluxtracker.commands import JobCommand
from snapshots.services import take_snapshot


def past_day(text: str) -> date:
    """Return a UTC day before today; else wrong usage."""
    try:
        if DAY.fullmatch(text) and (day := date.fromisoformat(text)) < timezone.now().date():
            return day
    except ValueError:
        pass
    raise ArgumentTypeError("expected a UTC day before today as YYYY-MM-DD")


class Command(JobCommand):
    job = take_snapshot

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--day", type=past_day, help="take that of a past day again, of the readings kept of it")

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any] | None:
        return {"day": report["date"]} if options["day"] else None
