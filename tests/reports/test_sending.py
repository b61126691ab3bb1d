"""Reports go out once per period and channel, whatever happens to their senders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.core.management import call_command
from django.core.management.base import CommandError
from django_celery_beat.models import PeriodicTask

from fluxtracker.supervisor.demo import mail_report
from ops import leases
from ops.alerts import sending as channels
from ops.jobs.runs import NotDone
from ops.schedule_rows import install
from reports import jobs, sending, tasks
from reports.models import ReportDelivery
from tests.factories import settle
from tests.ops.webhook_server import HOST, PATH, Server, answer, serving
from tests.reports import rows
from tests.reports.conftest import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture(autouse=True)
def mails(settings: Any) -> list[Any]:
    settings.ALERT_EMAILS = ["one@example.org", "two@example.org"]
    rows.ledger()
    return mail.outbox


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Server]:
    """ALERT_WEBHOOK_URL leads to a server here."""
    settings.ALERT_WEBHOOK_URL = f"https://{HOST}{PATH}"
    with serving() as server:
        monkeypatch.setattr(channels, "Webhook", server.webhook)
        yield server


def send(**params: Any) -> dict[str, str]:
    found: dict[str, str] = jobs.send_report(trigger="command", **params)["channels"]
    return found


def test_the_mail_has_a_text_and_an_html_part(mails: list[Any]) -> None:
    assert send() == {"email": "sent"}
    (sent,) = mails
    assert sent.to == ["one@example.org", "two@example.org"]
    assert sent.subject == "Flux report, October 2026: fees 450.00 FLUX (▲ +50.00 %)"
    assert "Fees: 450.00 FLUX, before 300.00 FLUX, ▲ +50.00 %" in sent.body
    ((html, kind),) = sent.alternatives
    assert kind == "text/html"
    assert "<td><b>450.00 FLUX</b></td><td>300.00 FLUX</td><td>▲ +50.00 %</td>" in html.replace("\n", "")
    assert sent.extra_headers["Message-ID"] == f"<{ReportDelivery.objects.get().delivery_id}@fluxtracker>"


def test_it_is_sent_once_for_a_period_and_channel(mails: list[Any], hook: Server) -> None:
    assert send() == {"email": "sent", "webhook": "sent"}
    assert send() == {"email": "already sent", "webhook": "already sent"}
    assert send(period="quarter") == {"email": "sent", "webhook": "sent"}
    assert (len(mails), len(hook.asked)) == (2, 2)


def test_the_webhook_gets_the_report_and_lines_for_a_chat(hook: Server) -> None:
    send()
    ((_, _, body),) = hook.asked
    assert (body["event"], body["key"]) == ("report", "report:month:2026-10")
    assert body["content"].startswith(
        "Flux report, October 2026: fees 450.00 FLUX (▲ +50.00 %)\nFees in dollars: $36.00"
    )
    assert body["report"]["figures"][0]["value"] == 450.0
    assert hook.delivery_ids == [body["deliveryId"]]


def test_a_channel_that_refused_is_tried_again_and_the_other_is_not(mails: list[Any], hook: Server) -> None:
    hook.answers[PATH] = answer(404)
    with pytest.raises(NotDone, match="webhook: HTTP 404"):
        send()
    hook.answers.clear()
    assert send() == {"email": "already sent", "webhook": "sent"}
    assert len(mails) == 1


def died() -> ReportDelivery:
    """A sender claimed the mail and was killed."""
    send()
    ReportDelivery.objects.update(sent_at=None, claimed_at=NOW)
    return ReportDelivery.objects.get()


def test_a_sender_at_work_is_not_joined_by_another(mails: list[Any]) -> None:
    assert leases.try_take("send_report", leases.make_holder()) is None
    with pytest.raises(leases.LeaseHeld):
        send()
    assert mails == []


def test_what_a_dead_sender_left_is_sent_once_more_with_the_same_id(mails: list[Any]) -> None:
    row = died()
    assert send() == {"email": "sent"}
    assert send() == {"email": "already sent"}
    first, second = mails
    assert first.extra_headers == second.extra_headers == {"Message-ID": f"<{row.delivery_id}@fluxtracker>"}


def test_after_two_dead_senders_it_counts_as_sent(mails: list[Any]) -> None:
    died()
    ReportDelivery.objects.update(unconfirmed=1)
    assert send() == {"email": "already sent"}
    assert len(mails) == 1


def test_the_schedule_waits_for_the_ledger_and_a_command_says_so(mails: list[Any], clock: Any) -> None:
    settle(NOW, settled_at=NOW - timedelta(days=4))
    clock.move_to(NOW - timedelta(days=2))
    found = jobs.send_report(trigger="schedule")
    assert (found["waits"], found["channels"]) == (sending.WAITS, {})
    with pytest.raises(NotDone, match="is not complete"):
        send()
    assert mails == []


def test_after_two_days_it_goes_out_with_what_is_missing(mails: list[Any]) -> None:
    settle(NOW, settled_at=NOW - timedelta(days=4))
    tasks.send_report("month")
    (sent,) = mails
    assert "n/a because the ledger is not complete on 2 of 31 days (30 Oct 2026, 31 Oct 2026)" in sent.body


def test_without_a_channel_it_says_what_to_set(settings: Any) -> None:
    settings.ALERT_EMAILS = []
    with pytest.raises(NotDone, match="set ALERT_EMAILS, ALERT_WEBHOOK_URL or ALERT_URLS"):
        send()


def test_each_period_has_a_row_in_the_schedule_that_is_switched_off() -> None:
    install()
    found = PeriodicTask.objects.filter(task="reports.tasks.send_report").values_list("name", "kwargs", "enabled")
    assert {(name, json.loads(kwargs)["period"], enabled) for name, kwargs, enabled in found} == {
        (f"send-report-{period}", period, False) for period in ("day", "week", "month", "quarter", "year")
    }


def test_the_command_prints_text_or_what_the_api_answers(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("kpi_report", "--period=month", "--date=2026-10-15", "--json")
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed == client.get("/api/reports/kpi?period=month&date=2026-10-15").json()
    call_command("kpi_report")
    assert "Fees: 450.00 FLUX, before 300.00 FLUX, ▲ +50.00 %" in capsys.readouterr().out


def test_the_command_sends_where_it_is_told_to(mails: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("kpi_report", send=True)
    assert capsys.readouterr().out.endswith("email: sent\n")
    assert len(mails) == 1


@pytest.mark.parametrize("words", [["--date", "2026-11-02"], ["--send", "--date", "2026-11-02"]])
def test_the_command_refuses_a_period_that_is_not_over(words: list[str], clock: time_machine.Traveller) -> None:
    with pytest.raises(CommandError, match="the last completed one is 2026-10"):
        call_command("kpi_report", *words)


def test_the_demo_mails_last_months_report_to_its_console_once(
    settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ALERT_EMAILS", "EMAIL_URL"):
        monkeypatch.setenv(name, "")
    settings.EMAIL_BACKEND = ""
    for _ in range(2):
        mail_report()
    printed = capsys.readouterr().out
    assert (printed.count("Message-ID:"), printed.count("Flux network, October 2026")) == (1, 1)
