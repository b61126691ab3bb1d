"""Send the report of a completed period by mail and to the webhook, once per channel, as alerts are sent.

The job's lease allows one sender at a time. An attempt is claimed first, so a claim that the next sender finds is of
one that died. A channel that refused is tried again by the next run; an attempt that may have succeeded, also if its
sender died, is repeated once with the same delivery id.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import escape
from typing import Any

import structlog
from django.template.loader import render_to_string

from fluxtracker.database import read_snapshot
from fluxtracker.periods import Bucket, Period
from ops.alerts.sending import DISCORD_LONGEST, LONGEST_ERROR, MOST_UNCONFIRMED, Channel
from ops.alerts.webhook import NotDelivered
from ops.jobs.runs import NotDone
from reports import calendar, formatting, kpi_report
from reports.api.serializers import KpiAnswer
from reports.kpi_report import NotOver, Report
from reports.models import ReportDelivery
from revenue.models import LedgerState

log = structlog.get_logger(__name__)

SENT, ALREADY = "sent", "already sent"
LEFT = "its sender died while sending"
LONGEST_WAIT = timedelta(days=2)  # for the ledger; then the report is sent incomplete
NO_CHANNEL = "no channel is configured: set ALERT_EMAILS, ALERT_WEBHOOK_URL or ALERT_URLS"
WAITS = "the ledger is not complete for the period yet"


def chosen_period(bucket: Bucket, day: date | None, now: datetime) -> Period:
    """Return the period of the day, by default the last completed one."""
    return calendar.containing(bucket, day) if day else calendar.last_completed(bucket, now)


def load(period: Period, now: datetime) -> Report:
    """Return the report from one database snapshot. Raise NotDone if the period is not over."""
    try:
        with read_snapshot():
            return kpi_report.report(period, now)
    except NotOver as error:
        raise NotDone(str(error), {}) from None


def is_ready(period: Period, now: datetime) -> bool:
    """Return whether the period is complete, or the wait for it is over."""
    ledger = LedgerState.known()
    return now - period.end > LONGEST_WAIT or all(ledger.has_all_of(day, now) for day in period.days())


@dataclass(frozen=True, slots=True)
class Letter:
    """A report in the form sent by channels."""

    report: Report
    delivery_id: str

    @property
    def headline(self) -> str:
        return f"Flux report, {formatting.headline(self.report)}"

    @property
    def text(self) -> str:
        """Return a few lines for a chat."""
        return formatting.summary(self.report)

    @property
    def mail_text(self) -> str:
        return formatting.plain(self.report) + "\n"

    @property
    def mail_html(self) -> str:
        return render_to_string("reports/mail.html", formatting.context_of(self.report))

    @property
    def body(self) -> dict[str, Any]:
        """Return the JSON: `text` is Slack's, `content` and `allowed_mentions` Discord's, `report` the API's."""
        short = self.text
        return {
            "text": escape(short, quote=False),
            "content": short[:DISCORD_LONGEST],
            "allowed_mentions": {"parse": []},
            "source": "fluxtracker",
            "deliveryId": self.delivery_id,
            "event": "report",
            "key": f"report:{self.report.bucket}:{self.report.current.key}",
            "report": KpiAnswer.write(self.report),
        }


def send(report: Report, *, channels: Sequence[Channel], now: datetime) -> dict[str, str]:
    """Send it on channels that have not had it. Return the result by channel."""
    return {channel.name: _send(report, channel, now) for channel in channels}


def _send(report: Report, channel: Channel, now: datetime) -> str:
    row = _current(report, channel.name, now)
    if row.sent_at is not None:
        return ALREADY
    _claim(row, now)
    about = {"channel": channel.name, "period": report.bucket.value, "key": report.current.key}
    try:
        channel.deliver(Letter(report, row.delivery_id))
    except NotDelivered as error:
        log.warning("report_not_delivered", **about, reason=str(error), maybe=error.maybe)
        _record_failure(row, error, now)
        return str(error)
    _write(row, sent_at=now, error="")
    log.info("report_delivered", **about)
    return SENT


def _current(report: Report, channel: str, now: datetime) -> ReportDelivery:
    """Return the row of the channel. A dead sender's attempt counts as possibly delivered."""
    named = {"period": report.bucket.value, "first_day": report.current.first_day, "channel": channel}
    row, _ = ReportDelivery.objects.get_or_create(**named, defaults={"delivery_id": str(uuid.uuid4())})
    if row.sent_at is None and row.claimed_at is not None:
        _record_unconfirmed(row, LEFT, now)
        row.refresh_from_db()
    return row


def _claim(row: ReportDelivery, now: datetime) -> None:
    row.claimed_at = now
    row.save(update_fields=["claimed_at"])


def _record_failure(row: ReportDelivery, error: NotDelivered, now: datetime) -> None:
    if error.maybe:
        _record_unconfirmed(row, str(error), now)
    else:
        _write(row, error=str(error)[:LONGEST_ERROR])


def _record_unconfirmed(row: ReportDelivery, reason: str, now: datetime) -> None:
    """Count a possibly delivered attempt; after the last one the report counts as sent."""
    count = row.unconfirmed + 1
    sent_at = now if count >= MOST_UNCONFIRMED else None
    _write(row, unconfirmed=count, sent_at=sent_at, error=reason[:LONGEST_ERROR])


def _write(row: ReportDelivery, **values: Any) -> None:
    """Store the outcome of an attempt, unless another sender took over."""
    ReportDelivery.objects.filter(pk=row.pk, sent_at=None, claimed_at=row.claimed_at).update(claimed_at=None, **values)
