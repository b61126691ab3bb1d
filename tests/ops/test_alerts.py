"""Raised once, repeated daily at most, closed when it heals, told once: through the tasks."""

from __future__ import annotations

import json
import shutil
import smtplib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from structlog.testing import capture_logs

from metrics.models import Source
from ops import runs, tasks
from ops.alerts import records, sending
from ops.alerts.sending import Message
from ops.models import Alert, AlertDelivery, ServiceState, TaskRun, TaskState
from ops.status import Status
from revenue.models import LedgerState, Quarantined
from snapshots.models import Snapshot
from tests.factories import MAIN
from tests.mailbox import Mailbox, Silence
from tests.ops.conftest import NOW
from tests.ops.webhook_server import HOST, PATH, Server, answer, hang, serving

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "plenty")]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GB = 1 << 30


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The data dir's disk."""
    found = SimpleNamespace(total=100 * GB, free=50 * GB)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: found)
    return found


@pytest.fixture
def plenty(disk: SimpleNamespace, installed: Callable[[datetime], None]) -> None:
    """An installation of a month ago in which nothing is wrong."""
    installed(NOW - 30 * DAY)
    LedgerState.objects.update_or_create(id=1, defaults={"completed_at": NOW, "tip_changed_at": NOW, "tip_height": 5})
    Snapshot.objects.create(day=NOW.date(), made_at=NOW, source="taken")
    TaskState.objects.create(name="backup", last_success_at=NOW)


@pytest.fixture
def mails(settings: Any) -> list[Any]:
    settings.ALERT_EMAILS = ["one@example.org", "two@example.org"]
    return mail.outbox


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Server]:
    """ALERT_WEBHOOK_URL leads to a server here."""
    settings.ALERT_WEBHOOK_URL = f"https://{HOST}{PATH}"
    with serving() as server:
        monkeypatch.setattr(sending, "Webhook", server.webhook)
        yield server


def check() -> list[str]:
    """What the schedule does, and then what it asks for. The keys of what is open."""
    tasks.check_alerts()
    tasks.send_alerts()
    return sorted(Alert.objects.filter(closed_at=None).values_list("key", flat=True))


def fail(times: int, name: str = "some_work") -> None:
    for _ in range(times):
        with pytest.raises(runs.NotDone), runs.run(name, trigger="command"):
            raise runs.NotDone("the reason", {})


def succeed(name: str = "some_work") -> None:
    with runs.run(name, trigger="command"):
        pass


def test_where_nothing_is_wrong_nothing_is_raised() -> None:
    assert check() == []
    assert TaskRun.objects.get(name="check_alerts").report == {"raised": 0, "closed": 0, "open": 0}


def test_the_third_failure_in_a_row_raises_at_once_and_a_success_closes() -> None:
    fail(2)
    assert not Alert.objects.exists()
    with capture_logs() as logs:
        fail(1)
    alert = Alert.objects.get()
    assert (alert.key, alert.message) == ("task:some_work", "Some work failed 3 times in a row: the reason")
    assert [entry["log_level"] for entry in logs if entry["event"] == "task_keeps_failing"] == ["error"]
    fail(2)
    assert Alert.objects.get().message.startswith("Some work failed 5 times")
    assert check() == ["task:some_work"]
    succeed()
    assert Alert.objects.get().closed_at == NOW
    assert check() == []


def test_what_fails_again_later_is_a_new_alert() -> None:
    fail(3)
    succeed()
    fail(3)
    assert Alert.objects.filter(closed_at=None).count() == 1
    assert Alert.objects.count() == 2


@pytest.mark.parametrize(("minutes", "keys"), [(30, []), (31, ["sync-lag"])])
def test_a_sync_that_is_over_30_minutes_behind(minutes: int, keys: list[str]) -> None:
    LedgerState.objects.update(completed_at=NOW - timedelta(minutes=minutes))
    assert check() == keys


def test_syncs_of_a_source_that_stands_still_are_behind_too() -> None:
    LedgerState.objects.update(tip_changed_at=NOW - timedelta(minutes=45))
    assert check() == ["sync-lag"]
    assert Alert.objects.get().message == ("Payments may be missing: the source has been at block 5 for 45 min.")


@pytest.mark.parametrize(("hours", "keys"), [(23, []), (25, ["sync-lag"])])
def test_a_first_sync_has_a_day(installed: Callable[[datetime], None], hours: int, keys: list[str]) -> None:
    installed(NOW - hours * HOUR)
    LedgerState.objects.update(completed_at=None)
    assert check() == keys


@pytest.mark.parametrize(("minutes", "keys"), [(120, []), (121, ["source:cloud"])])
def test_a_source_of_over_two_hours_ago(minutes: int, keys: list[str]) -> None:
    read_at = NOW - timedelta(minutes=minutes)
    Source.objects.update_or_create(name="cloud", defaults={"read_at": read_at, "tried_at": NOW, "error": "HTTP 503"})
    assert check() == keys


@pytest.mark.parametrize(("hours", "keys"), [(1, []), (3, ["source:nodes"])])
def test_a_source_that_was_never_read(installed: Callable[[datetime], None], hours: int, keys: list[str]) -> None:
    installed(NOW - hours * HOUR)
    Source.objects.update_or_create(name="nodes", defaults={"tried_at": NOW, "error": "HTTP 503"})
    assert check() == keys


@pytest.mark.parametrize(
    ("clock_", "missing", "keys"),
    [
        ("2026-11-20 01:59", "2026-11-20", []),
        ("2026-11-20 02:00", "2026-11-20", ["snapshot"]),
        ("2026-11-20 01:00", "2026-11-19", ["snapshot"]),  # midnight does not heal yesterday's gap
        ("2026-11-20 02:00", "2026-11-19", []),
    ],
)
def test_a_snapshot_that_is_missing_at_two_o_clock(
    clock: time_machine.Traveller, clock_: str, missing: str, keys: list[str]
) -> None:
    now = datetime.fromisoformat(clock_).replace(tzinfo=UTC)
    clock.move_to(now)
    LedgerState.objects.update(completed_at=now, tip_changed_at=now)
    TaskState.objects.update(last_success_at=now)
    for day in ("2026-11-19", "2026-11-20"):
        Snapshot.objects.update_or_create(day=day, defaults={"made_at": now, "source": "taken"})
    Snapshot.objects.filter(day=missing).delete()
    assert check() == keys
    if keys:
        assert f"no snapshot of {missing}" in Alert.objects.get().message


def test_a_snapshot_that_comes_heals() -> None:
    Snapshot.objects.all().delete()
    assert check() == ["snapshot"]
    Snapshot.objects.create(day=NOW.date(), made_at=NOW, source="taken")
    assert check() == []


def test_an_installation_of_today_has_two_hours_for_its_first_snapshot(
    installed: Callable[[datetime], None], clock: time_machine.Traveller
) -> None:
    Snapshot.objects.all().delete()
    installed(NOW - HOUR)
    assert check() == []
    clock.shift(HOUR)
    LedgerState.objects.update(completed_at=NOW + HOUR, tip_changed_at=NOW + HOUR)
    assert check() == ["snapshot"]


def test_a_service_that_fails_three_checks_in_a_row() -> None:
    state = {"kind": "api", "status": "failed", "checked_at": NOW, "detail": "timed out"}
    ServiceState.objects.create(name="FluxOS", consecutive_failures=2, **state)
    assert check() == []
    ServiceState.objects.update(consecutive_failures=3)
    assert check() == ["service:api:FluxOS"]
    assert "FluxOS failed 3 checks in a row" in Alert.objects.get().message


@pytest.fixture
def backups() -> PeriodicTask:
    """The schedule makes backups."""
    interval, _ = IntervalSchedule.objects.get_or_create(every=1440, period=IntervalSchedule.MINUTES)
    row, _ = PeriodicTask.objects.get_or_create(name="backup", defaults={"task": "backup", "interval": interval})
    return row


@pytest.mark.parametrize(("hours", "keys"), [(26, []), (27, ["backup"])])
def test_a_backup_of_over_26_hours_ago(backups: PeriodicTask, hours: int, keys: list[str]) -> None:
    TaskState.objects.update(last_success_at=NOW - hours * HOUR)
    assert check() == keys


def test_a_backup_of_the_future_is_none(backups: PeriodicTask) -> None:
    TaskState.objects.update(last_success_at=NOW + DAY)
    assert check() == ["backup"]
    assert Alert.objects.get().message.startswith("The last good backup lies in the future: the clock was set back.")


def test_backups_that_nobody_wants_are_not_missed(backups: PeriodicTask) -> None:
    TaskState.objects.all().delete()
    assert check() == ["backup"]
    backups.enabled = False
    backups.save()
    assert check() == []


def test_a_young_installation_needs_no_backup_yet(backups: PeriodicTask, installed: Callable[[datetime], None]) -> None:
    TaskState.objects.all().delete()
    installed(NOW - 25 * HOUR)
    assert check() == []


@pytest.mark.parametrize(
    ("total", "free", "keys"),
    [(100 * GB, GB, ["disk"]), (100 * GB, 3 * GB, []), (10 * GB, 1.5 * GB, []), (19 * GB, 1.8 * GB, ["disk"])],
)
def test_a_disk_that_is_nearly_full(disk: SimpleNamespace, total: int, free: int, keys: list[str]) -> None:
    disk.total, disk.free = total, free
    assert check() == keys


def test_a_disk_at_the_edge_is_told_once(disk: SimpleNamespace) -> None:
    disk.free = 1.99 * GB
    assert check() == ["disk"]
    disk.free = 2.1 * GB
    assert check() == ["disk"]
    disk.free = 2.3 * GB
    assert check() == []


def test_a_quarantine_that_is_not_empty_for_a_day() -> None:
    row = Quarantined.objects.create(
        txid="ee" * 32, address=MAIN, reason="sender", first_seen_at=NOW - timedelta(hours=23), next_attempt_at=NOW
    )
    assert check() == []
    Quarantined.objects.update(first_seen_at=NOW - DAY)
    assert check() == ["quarantine"]
    row.delete()
    assert check() == []


def test_a_ledger_that_differs_from_the_chain() -> None:
    found = {"checked": 900, "missing": 37, "extra": 4, "different": 2, "fixed": 0}
    for report, keys in ((found, ["ledger-differs"]), (found | {"fixed": 43}, []), (found | {"fixed": 50}, [])):
        with runs.run("audit_revenue", trigger="beat") as run:
            run.report = report
        assert check() == keys
    words = Alert.objects.get(key="ledger-differs").message
    assert "found 43 payments that differ from the chain" in words


def test_a_ledger_that_differs_is_among_the_problems(client: Client) -> None:
    with runs.run("audit_revenue", trigger="beat") as run:
        run.report = {"checked": 900, "missing": 1, "extra": 0, "different": 0, "fixed": 0}
    check()
    report = client.get("/api/health").json()
    assert report["status"] == "degraded"
    assert any("found 1 payment that differ" in words for words in report["problems"])


def test_a_rule_that_breaks_closes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fail(3)
    monkeypatch.setattr("ops.checks.failing", lambda *_: 1 / 0)
    ServiceState.objects.create(name="x", kind="api", status="failed", checked_at=NOW, consecutive_failures=3)
    with pytest.raises(ZeroDivisionError):
        tasks.check_alerts()
    assert Alert.objects.get().closed_at is None


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


def events(hook: Server) -> list[str]:
    return [body["event"] for _, _, body in hook.asked]


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


def test_channels_that_keep_failing_are_an_alert_themselves(hook: Server) -> None:
    hook.answers[PATH] = answer(404)
    fail(3)
    for _ in range(3):
        tasks.send_alerts()
    assert check() == ["task:send_alerts", "task:some_work"]


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


def test_an_alert_that_was_raised_by_two_at_once_is_one() -> None:
    once, twice = (Status("alert", facts={"message": message}, key="x") for message in ("once", "twice"))
    assert [records.raise_alert(once, NOW), records.raise_alert(twice, NOW)] == [True, False]
    assert Alert.objects.get().message == "twice"


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


def test_what_is_open_is_in_the_health_report(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.broker.status", Status)
    Quarantined.objects.create(
        txid="ee" * 32, address=MAIN, reason="sender", first_seen_at=NOW - DAY, next_attempt_at=NOW
    )
    check()
    report = client.get("/api/health").json()
    sentence = "1 transaction could not be read for over a day: not counted yet."
    assert report["alerts"] == [
        {
            "key": "quarantine",
            "message": sentence,
            "since": "2026-11-20T14:00:00Z",
            "lastSeen": "2026-11-20T14:00:00Z",
            "lastTold": None,
        }
    ]
    assert report["status"] == "degraded"
    assert sentence in report["problems"]


def run_command(*words: str) -> tuple[int, dict[str, Any] | None, str]:
    """Exit code, report and reason of `test_alert --json`."""
    import io

    out = io.StringIO()
    try:
        call_command("test_alert", "--json", *words, stdout=out)
    except CommandError as error:
        return error.returncode, json.loads(out.getvalue()), str(error)
    return 0, json.loads(out.getvalue()), ""


def test_the_test_says_that_nobody_is_told() -> None:
    words = "no alert channel is configured: set ALERT_WEBHOOK_URL or ALERT_EMAILS"
    assert run_command() == (1, {"email": None, "webhook": None, "error": words}, words)


def test_the_test_goes_through_every_channel(mails: list[Any], hook: Server) -> None:
    assert run_command() == (0, {"email": "sent", "webhook": "sent"}, "")
    assert hook.asked[0][2]["event"] == "test"
    assert "this is a test" in mails[0].subject
    assert not Alert.objects.exists()


def test_the_test_names_the_channel_that_failed_without_its_secret(mails: list[Any], hook: Server) -> None:
    hook.names[HOST] = ["127.0.0.1"]
    code, report, reason = run_command()
    refused = "hooks.example is not on the public internet (127.0.0.1)"
    assert (code, reason) == (1, f"webhook: {refused}")
    assert report == {"email": "sent", "webhook": refused, "error": reason}


def test_a_webhook_that_hangs_ends_in_words(hook: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    hook.answers[PATH] = hang
    monkeypatch.setattr(sending, "Webhook", lambda url: hook.webhook(url, timeout=1))
    fail(3)
    tasks.send_alerts()
    words = "webhook: no answer within 1 s; it may have been delivered"
    assert TaskRun.objects.get(name="send_alerts").error == words
    assert len(hook.asked) == 1
