"""Each channel hears of an alert once, whatever became of the others."""

from __future__ import annotations

import smtplib
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.core.mail import EmailMessage
from django.test import Client

from ops import tasks
from ops.models import Alert, TaskRun
from tests.ops.alerts.conftest import DAY, HOUR, events, fail, succeed
from tests.ops.conftest import NOW
from tests.ops.webhook_server import HOST, PATH, Server, answer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "plenty")]


@pytest.fixture
def refusing(mails: list[Any], monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A mail server that refuses while `on`."""
    state, send = SimpleNamespace(on=True), EmailMessage.send

    def refuse(message: EmailMessage, *args: Any, **options: Any) -> int:
        if state.on:
            raise smtplib.SMTPRecipientsRefused({"one@example.org": (450, b"later")})
        return send(message, *args, **options)

    monkeypatch.setattr(EmailMessage, "send", refuse)
    return state


def test_what_one_channel_took_is_told_though_the_other_failed(mails: list[Any], hook: Server) -> None:
    hook.answers[PATH] = answer(404)
    fail(3)
    tasks.send_alerts()
    tasks.send_alerts()
    assert (len(mails), len(hook.asked)) == (1, 2)
    assert len(set(hook.delivery_ids)) == 1
    hook.answers.clear()
    for _ in range(2):
        tasks.send_alerts()
    assert (len(mails), events(hook)) == (1, ["raised"] * 3)
    oks = TaskRun.objects.filter(name="send_alerts").order_by("id").values_list("ok", flat=True)
    assert list(oks) == [False, False, True, True]


def test_a_channel_that_refused_is_told_by_its_own_retry(
    mails: list[Any], hook: Server, refusing: SimpleNamespace
) -> None:
    fail(3)
    tasks.send_alerts()
    assert (len(mails), events(hook)) == (0, ["raised"])
    refusing.on = False
    for _ in range(2):
        tasks.send_alerts()
    assert ([message.subject for message in mails], events(hook)) == (
        ["Fluxtracker: Some work failed 3 times in a row: the reason"],
        ["raised"],
    )
    succeed()
    for _ in range(2):
        tasks.send_alerts()
    assert (len(mails), events(hook)) == (2, ["raised", "closed"])


def test_the_admin_says_what_became_of_each_channel(
    hook: Server, refusing: SimpleNamespace, admin_client: Client, settings: Any
) -> None:
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    fail(3)
    tasks.send_alerts()
    body = admin_client.get(f"/admin/ops/alert/{Alert.objects.get().pk}/change/").content.decode()
    assert "email: raised, not yet (the mail server did not take it (SMTPRecipientsRefused), retrying)" in body
    assert "webhook: raised, 20 Nov, 14:00 UTC" in body


def test_a_channel_hears_no_end_of_what_it_never_heard(
    mails: list[Any], hook: Server, refusing: SimpleNamespace
) -> None:
    fail(3)
    tasks.send_alerts()
    refusing.on = False
    succeed()
    for _ in range(2):
        tasks.send_alerts()
    assert (mails, events(hook)) == ([], ["raised", "closed"])


def test_the_end_is_told_by_a_retry_of_the_channel_that_refused_it(
    mails: list[Any], hook: Server, refusing: SimpleNamespace
) -> None:
    refusing.on = False
    fail(3)
    tasks.send_alerts()
    refusing.on = True
    succeed()
    for _ in range(2):
        tasks.send_alerts()
    assert (len(mails), events(hook)) == (1, ["raised", "closed"])
    refusing.on = False
    for _ in range(2):
        tasks.send_alerts()
    assert (len(mails), events(hook)) == (2, ["raised", "closed"])


def test_each_channel_repeats_a_day_after_it_heard(
    mails: list[Any], hook: Server, refusing: SimpleNamespace, clock: time_machine.Traveller
) -> None:
    fail(3)
    tasks.send_alerts()
    clock.shift(HOUR)
    refusing.on = False
    tasks.send_alerts()
    clock.shift(23 * HOUR)
    tasks.send_alerts()
    assert (len(mails), events(hook)) == (1, ["raised", "repeated"])
    clock.shift(HOUR)
    tasks.send_alerts()
    assert (len(mails), events(hook)) == (2, ["raised", "repeated"])


def test_a_channel_that_is_set_up_later_is_told_what_is_open(mails: list[Any], hook: Server, settings: Any) -> None:
    settings.ALERT_WEBHOOK_URL = ""
    fail(3)
    tasks.send_alerts()
    settings.ALERT_WEBHOOK_URL = f"https://{HOST}{PATH}"
    tasks.send_alerts()
    assert (len(mails), events(hook)) == (1, ["raised"])


def test_what_the_previous_release_told_is_not_told_again(
    mails: list[Any], hook: Server, refusing: SimpleNamespace, clock: time_machine.Traveller
) -> None:
    """It notes in the alert alone that every channel was told."""
    fail(3)
    Alert.objects.update(sent_at=NOW)
    tasks.send_alerts()
    assert (mails, hook.asked) == ([], [])
    clock.shift(DAY)
    tasks.send_alerts()
    assert (mails, events(hook)) == ([], ["repeated"])
    clock.shift(HOUR)
    Alert.objects.update(sent_at=NOW + DAY + HOUR)
    refusing.on = False
    tasks.send_alerts()
    assert (mails, events(hook)) == ([], ["repeated"])
    succeed()
    tasks.send_alerts()
    assert (len(mails), events(hook)) == (1, ["repeated", "closed"])
    assert "Resolved after" in mails[0].subject


def test_an_end_that_the_previous_release_told_is_not_told_again(mails: list[Any], hook: Server) -> None:
    fail(3)
    succeed()
    Alert.objects.update(sent_at=NOW, recovery_sent_at=NOW)
    tasks.send_alerts()
    assert (mails, hook.asked) == ([], [])
