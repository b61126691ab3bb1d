"""Mail to those who want to know (ALERT_EMAILS), over the server of EMAIL_URL."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence

from django.core.mail import EmailMessage, get_connection

SUBJECT = 150  # characters


class MailFailed(Exception):
    """The mail server did not take it. The words say why, and nothing of its users."""


def send(recipients: Sequence[str], subject: str, text: str) -> None:
    """One mail to all of them."""
    line = " ".join(subject.split())[:SUBJECT]
    try:
        EmailMessage(line, text, to=list(recipients), connection=get_connection(fail_silently=False)).send()
    except (smtplib.SMTPException, OSError) as error:
        raise MailFailed(f"the mail server did not take it ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    """Without what the server says in its own words: it may quote users and recipients, and /api/health shows it."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__} {error.smtp_code}"
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
