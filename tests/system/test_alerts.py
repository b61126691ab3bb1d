"""Two workers, one alert, one mail: from a source that is away to the mailbox."""

from __future__ import annotations

import re

import pytest

from fluxtracker.supervisor.processes import BEAT, WORKER, Program
from tests.mailbox import Mailbox
from tests.system.home import Home
from tests.waiting import eventually

pytestmark = pytest.mark.engine

OPEN = "SELECT key FROM ops_alert WHERE closed_at IS NULL"
# At three; a look may come later.
TOLD = re.compile(r"Fluxtracker: Payments may be missing: the sync failed ([3-9]|\d\d) times in a row")
AWAY = "http://127.0.0.1:1"
UPSTREAMS = ("FLUX_API_URL", "FLUX_STATS_URL", "BLOCKBOOK_URLS", "COINGECKO_URL", "BINANCE_URL", "FLUX_EXPLORER_URL")


def hasten(home: Home) -> None:
    home.execute("INSERT INTO django_celery_beat_intervalschedule (every, period) VALUES (1, 'seconds')")
    home.execute("UPDATE django_celery_beat_periodictask SET enabled = (name = 'sync-revenue')")
    home.execute(
        "UPDATE django_celery_beat_periodictask SET expire_seconds = 10, interval_id = (SELECT MAX(id)"
        " FROM django_celery_beat_intervalschedule) WHERE name = 'sync-revenue'"
    )


def test_what_keeps_failing_is_told_once_without_waiting_for_the_schedule(home: Home, mailbox: Mailbox) -> None:
    home.settings |= dict.fromkeys(UPSTREAMS, AWAY) | {"UPSTREAM_TIMEOUT": "1"} | mailbox.settings
    hasten(home)
    home.start_broker()
    for number in range(2):
        home.run(Program(f"worker{number}", (*WORKER, "--hostname", f"worker{number}@here")))
    home.run(Program("beat", BEAT))
    assert eventually(lambda: any(map(TOLD.match, mailbox.subjects))), (mailbox.subjects, home.query(OPEN))
    assert ("task:sync_revenue",) in home.query(OPEN)
    failed = "SELECT COUNT(*) FROM ops_taskrun WHERE name = 'sync_revenue' AND NOT ok"
    assert eventually(lambda: home.query(failed)[0][0] >= 6)
    assert sum(map(bool, map(TOLD.match, mailbox.subjects))) == 1
    assert home.query("SELECT COUNT(*) FROM ops_taskrun WHERE name = 'send_alerts' AND NOT ok") == [(0,)]


def test_a_webhook_on_this_machine_is_refused_in_words(home: Home) -> None:
    done = home.manage("test_alert", "--json", ALERT_WEBHOOK_URL="https://127.0.0.1/services/T0/s3cret-path")
    refused = "127.0.0.1 is not on the public internet (127.0.0.1)"
    assert (done.code, done.report) == (1, {"email": None, "webhook": refused, "error": f"webhook: {refused}"})
    assert done.reason == f"CommandError: webhook: {refused}"
    assert "s3cret" not in done.out + done.err


def test_a_webhook_that_is_not_https_stops_the_start(home: Home) -> None:
    done = home.manage("test_alert", ALERT_WEBHOOK_URL="http://hooks.example/services/T0/s3cret-path")
    assert done.code == 1
    assert done.reason.startswith("error: ALERT_WEBHOOK_URL: expected an address that starts with https:// ")


def test_the_path_of_the_webhook_and_the_mail_servers_password_are_masked_in_every_log_line(home: Home) -> None:
    hook, server = "https://hooks.example/services/T0/s3cret-path", "smtp://me:hunter%2222@mail.example"
    words = f"import structlog; structlog.get_logger('x').error('e', hook='{hook}', password='hunter\"22')"
    done = home.manage("shell", "-c", words, ALERT_WEBHOOK_URL=hook, EMAIL_URL=server)
    assert "hook=https://hooks.example/***" in done.err
    assert "s3cret" not in done.err
    assert "hunter" not in done.err
