"""Send the report of a completed period."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.utils import timezone

from fluxtracker.api.fields import BucketOf, PastDay
from fluxtracker.api.reports import described
from fluxtracker.database import read_snapshot
from fluxtracker.periods import Bucket, Period
from ops.alerts.sending import configured
from ops.jobs.runs import NotDone, Run
from ops.registry import job
from reports import calendar, selectors, sending
from reports.selectors import NotOver, Report
from revenue.models import LedgerState

LONGEST_WAIT = timedelta(days=2)  # for the ledger; then the report goes out with what is missing
NO_CHANNEL = "no channel is configured: set ALERT_EMAILS, ALERT_WEBHOOK_URL or ALERT_URLS"
WAITS = "the ledger does not have every payment of the period yet"


@dataclass(frozen=True, slots=True)
class SendReport:
    period: str
    key: str = field(metadata=described("The period as its page's address has it."))
    channels: dict[str, str] = field(
        default_factory=dict, metadata=described("What became of each channel: sent, already sent, or the reason.")
    )
    waits: str | None = field(default=None, metadata=described("Why it is not sent yet."))


@job(
    "send-report",
    report=SendReport,
    help="Send the report of a completed period by mail and to the webhook, once per channel.",
    params={
        "period": BucketOf(default=Bucket.MONTH, help_text="day, week, month, quarter or year."),
        "date": PastDay(help_text="A UTC day in the period; without it the last completed one."),
    },
    keywords={"date": "day"},
)
def send_report(run: Run, *, period: str = Bucket.MONTH, day: date | str | None = None) -> SendReport:
    """Send it where it was not sent before. Raise NotDone where a channel did not take it, or none is set up.

    On its schedule it waits for the ledger, at most two days.
    """
    now, bucket = timezone.now(), Bucket(period)
    chosen = chosen_period(bucket, date.fromisoformat(day) if isinstance(day, str) else day, now)
    done = SendReport(bucket.value, chosen.key)
    if not calendar.is_over(chosen, now):
        raise NotDone(str(NotOver(calendar.last_completed(bucket, now))), {})
    if not _is_ready(chosen, now):
        if run.trigger != "schedule":
            raise NotDone(WAITS, {})
        return SendReport(done.period, done.key, waits=WAITS)
    channels = configured()
    if not channels:
        raise NotDone(NO_CHANNEL, {})
    sent = sending.send(load(chosen, now), channels=channels, now=now)
    failed = {name: words for name, words in sent.items() if words not in (sending.SENT, sending.ALREADY)}
    if failed:
        raise NotDone("; ".join(f"{name}: {words}" for name, words in failed.items()), {"channels": sent})
    return SendReport(done.period, done.key, sent)


def chosen_period(bucket: Bucket, day: date | None, now: datetime) -> Period:
    """Return the period of the day, by default the last completed one."""
    return calendar.containing(bucket, day) if day else calendar.last_completed(bucket, now)


def load(period: Period, now: datetime) -> Report:
    """Return the report at one moment of the database. Raise NotDone for a period that is not over."""
    try:
        with read_snapshot():
            return selectors.report(period, now)
    except NotOver as error:
        raise NotDone(str(error), {}) from None


def _is_ready(period: Period, now: datetime) -> bool:
    """Return whether every payment of the period is in, or was waited for long enough."""
    ledger = LedgerState.known()
    return now - period.end > LONGEST_WAIT or all(ledger.has_all_of(day, now) for day in period.days())
