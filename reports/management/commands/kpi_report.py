from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from fluxtracker.api.fields import PastDay
from fluxtracker.periods import Bucket
from ops.base_commands import LEASE_WAIT_S, ReportCommand, read_by
from reports import formatting, jobs, sending
from reports.api.serializers import KpiAnswer
from reports.kpi_report import Report


class Command(ReportCommand):
    help = "Print the report of a completed period; --send: send it by mail and to the webhook as well."
    report: Report

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--period", choices=[bucket.value for bucket in Bucket], default=Bucket.MONTH.value)
        day = "a UTC day in the period; default: the last completed one"
        parser.add_argument("--date", type=read_by(PastDay()), metavar="DAY", help=day)
        parser.add_argument("--send", action="store_true", help="send it once per channel")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        now, bucket, day = timezone.now(), Bucket(options["period"]), options["date"]
        self.report = sending.load(sending.chosen_period(bucket, day, now), now)
        answer = KpiAnswer.write(self.report)
        if options["send"]:
            wait = LEASE_WAIT_S
            answer["delivery"] = jobs.send_report(trigger="command", wait=wait, period=bucket, day=day)
        return answer

    def as_text(self, report: dict[str, Any]) -> str:
        delivery = report.get("delivery", {"channels": {}})
        return "\n".join(
            [formatting.plain(self.report), *(f"{name}: {words}" for name, words in delivery["channels"].items())]
        )
