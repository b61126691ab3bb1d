"""Mail to those who want to know (ALERT_EMAILS), over the server of EMAIL_URL."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence

from django.core.mail import EmailMessage, get_connection

from ops.runs import one_line

SUBJECT = 150  # characters


class MailFailed(Exception):
    """The mail server did not take it. The words are its own, or the connection's."""


def send(recipients: Sequence[str], subject: str, text: str) -> None:
    """One mail to all of them."""
    line = " ".join(subject.split())[:SUBJECT]
    try:
        EmailMessage(line, text, to=list(recipients), connection=get_connection(fail_silently=False)).send()
    except (smtplib.SMTPException, OSError) as error:
        raise MailFailed(f"the mail server did not take it ({one_line(error)[:200]})") from None
