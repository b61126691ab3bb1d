"""A channel that answers too late, or ends before it has answered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from ops import tasks
from ops.alerts import sending
from ops.models import AlertDelivery, TaskRun
from tests.mailbox import Mailbox, Silence
from tests.ops.alerts.conftest import events, fail, succeed
from tests.ops.webhook_server import PATH, Server, hang

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "plenty")]


@pytest.fixture
def slow(hook: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A webhook that takes everything and answers too late."""
    hook.answers[PATH] = hang
    monkeypatch.setattr(sending, "Webhook", lambda url: hook.webhook(url, timeout=1))
    return hook


def test_a_slow_webhook_gets_a_message_twice_at_most_however_many_rounds_there_are(
    mails: list[Any], slow: Server
) -> None:
    fail(3)
    for _ in range(4):
        tasks.send_alerts()
    assert (len(mails), events(slow)) == (1, ["raised", "raised"])
    ids = [body["deliveryId"] for _, _, body in slow.asked]
    assert ids == slow.delivery_ids
    assert len(set(ids)) == 1
    slow.answers.clear()
    succeed()
    for _ in range(2):
        tasks.send_alerts()
    assert events(slow) == ["raised", "raised", "closed"]
    assert len(set(slow.delivery_ids)) == 2


def test_a_webhook_that_was_slow_once_is_asked_once_more(mails: list[Any], slow: Server) -> None:
    fail(3)
    tasks.send_alerts()
    slow.answers.clear()
    for _ in range(3):
        tasks.send_alerts()
    assert events(slow) == ["raised", "raised"]


def test_a_slow_webhook_does_not_keep_the_next_message_waiting(slow: Server) -> None:
    fail(3)
    fail(3, "other_work")
    tasks.send_alerts()
    assert sorted(body["key"] for _, _, body in slow.asked) == ["task:other_work", "task:some_work"]


def test_what_a_slow_channel_may_have_heard_is_told_to_be_over(slow: Server) -> None:
    fail(3)
    tasks.send_alerts()
    slow.answers.clear()
    succeed()
    for _ in range(2):
        tasks.send_alerts()
    assert events(slow) == ["raised", "closed"]


def test_a_try_whose_sender_died_is_made_once_more(
    mails: list[Any], hook: Server, clock: time_machine.Traveller
) -> None:
    fail(3)
    for rounds in (1, 1, 0):
        claimed = [sending.claim(message, timezone.now()) for message in sending.due(["email"], timezone.now())]
        assert len(claimed) == rounds
        tasks.send_alerts()
        assert (len(mails), events(hook)) == (0, ["raised"])  # another process may be sending it
        clock.shift(timedelta(minutes=6))
    tasks.send_alerts()
    assert mails == []


def four_rounds(until: Silence, settings: Any, *recipients: str) -> Mailbox:
    """Try four times to send an alert to the recipients."""
    server = Mailbox(until)
    settings.ALERT_EMAILS = list(recipients)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    fail(3)
    for _ in range(4):
        tasks.send_alerts()
    server.close()
    return server


@pytest.mark.parametrize(("until", "copies", "words"), [("text", 2, "it may have been delivered"), ("data", 0, "")])
def test_a_mail_server_that_ends_after_the_text_gets_it_once_more(
    settings: Any, until: Silence, copies: int, words: str
) -> None:
    server = four_rounds(until, settings, "one@example.org")
    assert len(server.texts) == copies
    assert len({line for text in server.texts for line in text.splitlines() if "Message-ID" in line}) == bool(copies)
    assert words in TaskRun.objects.filter(name="send_alerts").earliest("id").error
    delivery = AlertDelivery.objects.get()
    assert (delivery.sent_at is not None, delivery.pending) == (bool(copies), not copies)


def test_a_recipient_that_is_refused_gets_another_try(settings: Any) -> None:
    server = four_rounds("never", settings, "one@example.org", "later@example.org")
    assert len(server.texts) == 2
    assert "1 of 2 recipients" in TaskRun.objects.filter(name="send_alerts").earliest("id").error


def test_a_webhook_that_hangs_ends_in_words(hook: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    hook.answers[PATH] = hang
    monkeypatch.setattr(sending, "Webhook", lambda url: hook.webhook(url, timeout=1))
    fail(3)
    tasks.send_alerts()
    words = "webhook: no answer within 1 s; it may have been delivered"
    assert TaskRun.objects.get(name="send_alerts").error == words
    assert len(hook.asked) == 1
