"""Mail to those who want to know (ALERT_EMAILS), over the server of EMAIL_URL."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.smtp import EmailBackend

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SUBJECT = 150  # characters


class MailFailed(Exception):
    """The mail server did not confirm it. The words say why, and nothing of its users.

    `maybe`: whether it may have taken it all the same.
    """

    def __init__(self, reason: str, *, maybe: bool = False) -> None:
        super().__init__(f"{reason}; it may have been delivered" if maybe else reason)
        self.maybe = maybe


class NoAnswer(smtplib.SMTPException):
    """The server was given the whole text and said nothing about it."""


def send(recipients: Sequence[str], subject: str, text: str, delivery_id: str) -> None:
    """Send one mail to all of them. Every try of one delivery has the same Message-ID. Raise MailFailed."""
    line = " ".join(subject.split())[:SUBJECT]
    headers = {"Message-ID": f"<{delivery_id}@fluxtracker>"}
    connection = get_connection(fail_silently=False)
    if type(connection) is EmailBackend:
        connection = _Backend(fail_silently=False)
    try:
        EmailMessage(line, text, to=list(recipients), headers=headers, connection=connection).send()
    except NoAnswer:
        raise MailFailed("the mail server was given it and did not answer", maybe=True) from None
    except (smtplib.SMTPException, OSError) as error:
        raise MailFailed(f"the mail server did not take it ({_reason(error)})") from None


class _Smtp(smtplib.SMTP):
    """Tells a connection that ended after the text from one that ended before."""

    _is_text_sent = False

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
    """Without what the server says in its own words: it may quote users and recipients, and /api/health shows it."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__} {error.smtp_code}"
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
