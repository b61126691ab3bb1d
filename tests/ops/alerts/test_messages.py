"""When messages are sent, and their texts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail

from ops import tasks
from ops.alerts import sending
from ops.alerts.sending import Message
from ops.jobs import runs
from ops.models import Alert, AlertDelivery, TaskRun, TaskState
from tests.ops.alerts.conftest import HOUR, fail, succeed
from tests.ops.conftest import NOW
from tests.ops.webhook_server import HOST, PATH, Server, answer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "plenty")]


def test_it_is_told_once_then_daily_then_when_it_is_over(
    mails: list[Any], hook: Server, clock: time_machine.Traveller
) -> None:
    fail(3)
    for _ in range(3):
        tasks.send_alerts()
    clock.shift(timedelta(hours=23, minutes=59))
    tasks.send_alerts()
    assert len(mails) == len(hook.asked) == 1
    clock.shift(timedelta(minutes=1))
    tasks.send_alerts()
    tasks.send_alerts()
    assert len(mails) == len(hook.asked) == 2
    clock.shift(HOUR)
    succeed()
    tasks.send_alerts()
    tasks.send_alerts()
    assert [body["event"] for _, _, body in hook.asked] == ["raised", "repeated", "closed"]
    assert [message.subject for message in mails] == [
        "Fluxtracker: Some work failed 3 times in a row: the reason",
        "Fluxtracker: Unresolved since 20 Nov, 14:00 UTC: Some work failed 3 times in a row: the reason",
        "Fluxtracker: Resolved after 1 day: Some work failed 3 times in a row: the reason",
    ]
    assert mails[0].to == ["one@example.org", "two@example.org"]


def test_what_nobody_was_told_of_is_not_told_to_be_over(mails: list[Any]) -> None:
    fail(3)
    succeed()
    tasks.send_alerts()
    assert mails == []


def test_an_alert_without_channels_waits_for_the_first_one(settings: Any) -> None:
    fail(3)
    tasks.send_alerts()
    assert Alert.objects.get().sent_at is None
    settings.ALERT_EMAILS = ["one@example.org"]
    tasks.send_alerts()
    assert len(mail.outbox) == 1


def test_the_body_is_understood_by_slack_discord_and_programs(hook: Server) -> None:
    with pytest.raises(runs.NotDone), runs.run("some_work", trigger="command"):
        raise runs.NotDone("first", {})
    TaskState.objects.update(consecutive_failures=2)
    with pytest.raises(runs.NotDone), runs.run("some_work", trigger="command"):
        raise runs.NotDone("<!channel> @everyone & more", {})
    tasks.send_alerts()
    ((host, path, body),) = hook.asked
    assert (host, path) == (HOST, PATH)
    assert body.pop("deliveryId") == hook.delivery_ids[0] != ""
    assert body == {
        "text": "Fluxtracker: Some work failed 3 times in a row: &lt;!channel&gt; @everyone &amp; more",
        "content": "Fluxtracker: Some work failed 3 times in a row: <!channel> @everyone & more",
        "allowed_mentions": {"parse": []},
        "source": "fluxtracker",
        "event": "raised",
        "key": "task:some_work",
        "message": "Some work failed 3 times in a row: <!channel> @everyone & more",
        "raisedAt": "2026-11-20T14:00:00Z",
        "closedAt": None,
    }


def test_a_message_that_no_channel_took_is_tried_at_the_next_check(hook: Server) -> None:
    hook.answers[PATH] = answer(404)
    fail(3)
    fail(3, "other_work")
    tasks.send_alerts()
    assert len(hook.asked) == 1  # after the first failure the channel is left alone
    assert set(Alert.objects.values_list("sent_at", flat=True)) == {None}
    run = TaskRun.objects.get(name="send_alerts")
    assert (run.ok, run.error) == (False, "webhook: HTTP 404")
    hook.answers.clear()
    tasks.send_alerts()
    assert len(hook.asked) == 3


def test_of_two_workers_with_the_same_message_one_sends_it(mails: list[Any]) -> None:
    fail(3)
    for rounds in range(3):
        messages = [*sending.due(["email"], NOW), *sending.due(["email"], NOW)]
        assert len(messages) == (2 if rounds < 2 else 0)
        assert [bool(sending.claim(message, NOW)) for message in messages] == [True, False][: len(messages)]
        AlertDelivery.objects.update(claimed_at=None)
        tasks.send_alerts()
        assert len(mails) == min(rounds + 1, 2)
        succeed()


def test_a_mail_server_that_is_away_is_told_in_words(settings: Any) -> None:
    settings.ALERT_EMAILS = ["one@example.org"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    fail(3)
    tasks.send_alerts()
    error = TaskRun.objects.get(name="send_alerts").error
    assert error.startswith("email: the mail server did not take it (")
    assert Alert.objects.get(key="task:some_work").sent_at is None


def test_a_text_of_several_lines_makes_no_second_header(mails: list[Any]) -> None:
    sending.Mail(("one@example.org",)).deliver(Message("test", "x", "one\nBcc: two@example.org", "id"))
    assert mails[0].subject == "Fluxtracker: one Bcc: two@example.org"
