"""Send alerts: by mail to ALERT_EMAILS, to ALERT_WEBHOOK_URL and to ALERT_URLS, each message once per channel.

An attempt is claimed by a conditional UPDATE first. A channel that refused a message is tried again in every round;
one that may have taken it, or whose sender died, is tried once more with the same delivery id.
"""

from __future__ import annotations

import smtplib
import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Any, Protocol, Self

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.smtp import EmailBackend
from django.db import transaction
from django.db.models import Q

from fluxtracker import formatting
from fluxtracker.periods import is_ahead, is_fresh
from fluxtracker.timestamps import iso
from ops.alerts.apprise import Service
from ops.alerts.webhook import NotDelivered, Webhook
from ops.models import Alert, AlertDelivery

DISCORD_LONGEST = 2000  # characters


class Sendable(Protocol):
    """Content for a channel: a mail's subject, text and HTML, a JSON body, or a headline and a text.

    `delivery_id` is the same in every attempt, so that receivers can recognise duplicates.
    """

    @property
    def headline(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def mail_text(self) -> str: ...
    @property
    def mail_html(self) -> str: ...
    @property
    def body(self) -> dict[str, Any]: ...
    @property
    def delivery_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Message:
    """Message about an alert. `event`: raised, repeated, closed or test. `text` is one sentence."""

    event: str
    key: str
    text: str
    delivery_id: str
    raised_at: datetime | None = None
    closed_at: datetime | None = None

    @classmethod
    def of(cls, delivery: AlertDelivery) -> Self:
        """Return the message its channel needs."""
        alert, text = delivery.alert, delivery.alert.message
        if delivery.event == AlertDelivery.Event.REPEATED:
            text = f"Unresolved since {formatting.moment(alert.raised_at)}: {text}"
        elif alert.closed_at is not None:
            text = f"Resolved after {formatting.span(alert.closed_at - alert.raised_at)}: {text}"
        return cls(delivery.event, alert.key, text, delivery.delivery_id, alert.raised_at, alert.closed_at)

    @classmethod
    def test(cls) -> Self:
        """Return a test message."""
        return cls("test", "test", "this is a test of the alerts; nothing is wrong.", str(uuid.uuid4()))

    @property
    def headline(self) -> str:
        return f"Fluxtracker: {self.text}"

    @property
    def mail_text(self) -> str:
        return f"{self.text}\n\n/api/health and the admin say more.\n"

    @property
    def mail_html(self) -> str:
        return ""

    @property
    def body(self) -> dict[str, Any]:
        """Return the JSON: `text` is Slack's, `content` and `allowed_mentions` Discord's; the others are for programs.

        Error texts are untrusted, so they may not mention people in a chat.
        """
        return {
            "text": escape(self.headline, quote=False),
            "content": self.headline[:DISCORD_LONGEST],
            "allowed_mentions": {"parse": []},
            "source": "fluxtracker",
            "deliveryId": self.delivery_id,
            "event": self.event,
            "key": self.key,
            "message": self.text,
            "raisedAt": iso(self.raised_at),
            "closedAt": iso(self.closed_at),
        }


if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SUBJECT = 150  # characters


class NoAnswer(smtplib.SMTPException):
    """The server received the whole text and did not answer."""


class PartlyRefused(smtplib.SMTPException):
    """The server accepted the mail for some recipients and refused others."""


class _Smtp(smtplib.SMTP):
    """Distinguishes connections that ended before and after the text, and refused recipients."""

    _is_text_sent = False

    def sendmail(self, from_addr: str, to_addrs: Any, *args: Any, **kwargs: Any) -> Any:
        refused = super().sendmail(from_addr, to_addrs, *args, **kwargs)
        if refused:
            raise PartlyRefused(f"the mail server refused {len(refused)} of {len(to_addrs)} recipients")
        return refused

    def send(self, s: ReadableBuffer | str) -> None:
        super().send(s)
        self._is_text_sent = not isinstance(s, str)  # commands are str

    def data(self, msg: ReadableBuffer | str) -> tuple[int, bytes]:
        try:
            return super().data(msg)
        except smtplib.SMTPServerDisconnected as error:
            if self._is_text_sent:
                raise NoAnswer from error
            raise


class _SmtpOverTls(_Smtp, smtplib.SMTP_SSL):
    pass


class _Backend(EmailBackend):
    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _SmtpOverTls if self.use_ssl else _Smtp


def _reason(error: Exception) -> str:
    """Return the reason without the server's text, which may quote recipients, as /api/health shows it."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__} {error.smtp_code}"
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


@dataclass(frozen=True, slots=True)
class Mail:
    recipients: tuple[str, ...]
    name: str = "email"

    def deliver(self, message: Sendable) -> None:
        """Send one mail to all recipients. All attempts of a delivery share a Message-ID. Raise NotDelivered."""
        mail = EmailMultiAlternatives(
            " ".join(message.headline.split())[:SUBJECT],
            message.mail_text,
            to=list(self.recipients),
            headers={"Message-ID": f"<{message.delivery_id}@fluxtracker>"},
            connection=get_connection(fail_silently=False),
        )
        if message.mail_html:
            mail.attach_alternative(message.mail_html, "text/html")
        if type(mail.connection) is EmailBackend:
            mail.connection = _Backend(fail_silently=False)
        try:
            mail.send()
        except NoAnswer:
            raise NotDelivered("the mail server was given it and did not answer", maybe=True) from None
        except PartlyRefused as error:
            raise NotDelivered(str(error), maybe=True) from None
        except (smtplib.SMTPException, OSError) as error:
            raise NotDelivered(f"the mail server did not take it ({_reason(error)})") from None


@dataclass(frozen=True, slots=True)
class Hook:
    webhook: Webhook
    name: str = "webhook"

    def deliver(self, message: Sendable) -> None:
        self.webhook.post(message.body, message.delivery_id)


Channel = Mail | Hook | Service


def configured() -> list[Channel]:
    """Return the configured channels. Without any, alerts are only shown."""
    channels: list[Channel] = []
    if settings.ALERT_EMAILS:
        channels.append(Mail(tuple(settings.ALERT_EMAILS)))
    if settings.ALERT_WEBHOOK_URL:
        channels.append(Hook(Webhook(settings.ALERT_WEBHOOK_URL)))
    return channels + list(map(Service, settings.ALERT_URLS))


log = structlog.get_logger(__name__)

Event = AlertDelivery.Event

ROUND_S = 60.0  # the others wait for the next round
REPEAT = timedelta(days=1)
RECOVERY_TOLD = timedelta(days=1)  # the end of an alert closed longer ago is not sent
CLAIM_LASTS = timedelta(minutes=5)  # longer than the task may take
MOST_UNCONFIRMED = 2  # attempts of one message that may have succeeded
STATE = ("sent_at", "recovery_sent_at", "delivery_id", "pending", "unconfirmed", "claimed_at")
LONGEST_ERROR = 300  # the column's length


@dataclass(frozen=True, slots=True)
class SendReport:
    """`sent`: delivered messages. `failed`: by channel, why one was not confirmed."""

    sent: int
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Due:
    """A message that a channel needs."""

    delivery: AlertDelivery
    event: str


def due(channels: Collection[str], now: datetime) -> list[Due]:
    """Return messages due per channel: new alerts, daily reminders, ends of alerts it was sent.

    Abandoned attempts are taken over first.
    """
    of_late = Q(closed_at=None) | Q(closed_at__gt=now - RECOVERY_TOLD)
    alerts = Alert.objects.filter(of_late).order_by("id").prefetch_related("deliveries")
    for alert in alerts:
        _take_over(alert, channels, now)
    due_messages = []
    for alert in alerts.all():
        rows = {row.channel: row for row in alert.deliveries.all()}
        for name in channels:
            row = rows.get(name) or AlertDelivery(alert=alert, channel=name)
            if event := _event(row, now):
                due_messages.append(Due(row, event))
    return due_messages


def send_alerts(*, channels: Sequence[Channel], now: datetime) -> SendReport:
    """Send due messages. A channel that refused is not used again in this round."""
    by_name = {channel.name: channel for channel in channels}
    sent, failed, refused = 0, dict[str, str](), set[str]()
    until = time.monotonic() + ROUND_S
    for message in due(by_name, now):
        name = message.delivery.channel
        if time.monotonic() > until:
            break
        row = None if name in refused else claim(message, now)
        if row is None:
            continue
        try:
            deliver(by_name[name], Message.of(row))
        except NotDelivered as error:
            failed[name] = str(error)
            if error.maybe:
                _record_unconfirmed(row, str(error), now)
            else:
                refused.add(name)
                _write(row, claimed_at=None, error=str(error)[:LONGEST_ERROR])
        else:
            sent += 1
            _record_sent(row, now, pending=False, unconfirmed=0, error="")
    return SendReport(sent, failed)


def claim(message: Due, now: datetime) -> AlertDelivery | None:
    """Claim an attempt and return its row, None if another sender was faster."""
    row, alert = message.delivery, message.delivery.alert
    same = {name: getattr(row, name) for name in STATE}
    if row._state.adding:
        row, _ = AlertDelivery.objects.get_or_create(alert=alert, channel=row.channel)
    values: dict[str, Any] = {"claimed_at": now, "pending": True}
    if not (row.pending and row.event == message.event):
        values |= {"event": message.event, "delivery_id": str(uuid.uuid4()), "unconfirmed": 0, "error": ""}
    as_found = Alert.objects.filter(pk=alert.pk, closed_at=alert.closed_at)
    if not AlertDelivery.objects.filter(pk=row.pk, alert__in=as_found, **same).update(**values):
        return None
    return AlertDelivery.objects.select_related("alert").get(pk=row.pk)


def deliver(channel: Channel, message: Message) -> None:
    """Deliver the message to the channel and log the outcome. Raise NotDelivered."""
    try:
        channel.deliver(message)
    except NotDelivered as error:
        log.warning("alert_not_delivered", channel=channel.name, key=message.key, reason=str(error), maybe=error.maybe)
        raise
    log.info("alert_delivered", channel=channel.name, key=message.key, about=message.event)


def _event(row: AlertDelivery, now: datetime) -> str:
    """Return which message the channel needs now, empty for none."""
    if row.claimed_at is not None:
        return ""
    if row.alert.closed_at is not None:
        was_sent = row.sent_at is not None
        again = row.recovery_sent_at is None or (row.pending and row.event == Event.CLOSED)
        return Event.CLOSED if was_sent and again else ""
    if row.sent_at is None:
        return Event.RAISED
    if row.pending:
        return row.event
    return Event.REPEATED if is_ahead(row.sent_at, now) or row.sent_at <= now - REPEAT else ""


def _take_over(alert: Alert, channels: Collection[str], now: datetime) -> None:
    """Take over attempts of dead senders, and messages sent by workers of the previous release.

    Those send to every channel, and record it only in the alert.
    """
    rows = list(alert.deliveries.all())
    for row in rows:
        if row.claimed_at is not None and not is_fresh(row.claimed_at, now, CLAIM_LASTS):
            _record_unconfirmed(row, "its sender died while sending", now)
    for name in ("sent_at", "recovery_sent_at"):
        at = getattr(alert, name)
        if at is not None and all(getattr(row, name) != at for row in rows):
            for channel in channels:
                sent = {name: at, "pending": False, "claimed_at": None}
                AlertDelivery.objects.update_or_create(alert=alert, channel=channel, defaults=sent)


def _record_unconfirmed(row: AlertDelivery, reason: str, now: datetime) -> None:
    count = row.unconfirmed + 1
    _record_sent(row, now, pending=count < MOST_UNCONFIRMED, unconfirmed=count, error=reason[:LONGEST_ERROR])


def _record_sent(row: AlertDelivery, now: datetime, **values: Any) -> None:
    """Record the delivery on the channel and in the alert."""
    sent = {"recovery_sent_at" if row.event == Event.CLOSED else "sent_at": now}
    with transaction.atomic():
        if _write(row, claimed_at=None, **values, **sent):
            Alert.objects.filter(pk=row.alert_id).update(**sent)


def _write(row: AlertDelivery, **values: Any) -> bool:
    """Store the outcome of an attempt, unless it was taken over. Return whether it was stored."""
    same_try = AlertDelivery.objects.filter(pk=row.pk, claimed_at=row.claimed_at, delivery_id=row.delivery_id)
    return bool(same_try.update(**values))
