"""Run the report job for commands, tasks, admin and API."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from django.utils import timezone

from fluxtracker.api.fields import BucketOf, PastDay
from fluxtracker.api.report_serializers import described
from fluxtracker.periods import Bucket
from ops.alerts.sending import configured
from ops.jobs.runs import NotDone, Run
from ops.registry import job
from reports import calendar
from reports.kpi_report import NotOver
from reports.sending import ALREADY, NO_CHANNEL, SENT, WAITS, chosen_period, is_ready, load, send


@dataclass(frozen=True, slots=True)
class SendReport:
    period: str
    key: str = field(metadata=described("The period as in its page's URL."))
    channels: dict[str, str] = field(
        default_factory=dict, metadata=described("Result per channel: sent, already sent, or the reason.")
    )
    waits: str | None = field(default=None, metadata=described("Why it is not sent yet."))


@job(
    "send-report",
    report=SendReport,
    help="Send the report of a completed period by mail and to the webhook, once per channel.",
    params={
        "period": BucketOf(default=Bucket.MONTH, help_text="day, week, month, quarter or year."),
        "date": PastDay(help_text="A UTC day in the period; default: the last completed one."),
    },
    keywords={"date": "day"},
)
def send_report(run: Run, *, period: str = Bucket.MONTH, day: date | str | None = None) -> SendReport:
    """Send the report on channels that have not had it. Raise NotDone if a channel failed or none is configured.

    A scheduled run waits for the ledger, at most two days.
    """
    now, bucket = timezone.now(), Bucket(period)
    chosen = chosen_period(bucket, date.fromisoformat(day) if isinstance(day, str) else day, now)
    done = SendReport(bucket.value, chosen.key)
    if not calendar.is_over(chosen, now):
        raise NotDone(str(NotOver(calendar.last_completed(bucket, now))), {})
    if not is_ready(chosen, now):
        if run.trigger != "schedule":
            raise NotDone(WAITS, {})
        return SendReport(done.period, done.key, waits=WAITS)
    channels = configured()
    if not channels:
        raise NotDone(NO_CHANNEL, {})
    sent = send(load(chosen, now), channels=channels, now=now)
    failed = {name: words for name, words in sent.items() if words not in (SENT, ALREADY)}
    if failed:
        raise NotDone("; ".join(f"{name}: {words}" for name, words in failed.items()), {"channels": sent})
    return SendReport(done.period, done.key, sent)
