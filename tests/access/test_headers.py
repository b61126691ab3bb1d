"""What every answer carries: the request's id, what is left of the rate, what a page may do in a browser."""

import json
import logging
import os
import re
import subprocess
import sys

import pytest
from django.db import OperationalError
from django.test import Client
from structlog.contextvars import get_contextvars

from fluxtracker.api.throttling import Quota
from tests.settings_names import ROOT
from tests.waiting import AMPLE

OUTSIDE = {"REMOTE_ADDR": "203.0.113.9"}


@pytest.mark.parametrize("told", ["from-a-client", "A" * 64, "1234567.8_9-0"])
def test_an_id_that_a_client_gives_is_kept(client, told):
    assert client.get("/api/health/live", headers={"X-Request-ID": told})["X-Request-ID"] == told


@pytest.mark.parametrize(
    "told", ["", "short", "A" * 65, "with space in it", "new\nline-in-it", "ünïcode-in-it", "<script>"]
)
def test_any_other_is_replaced(client, told):
    made = client.get("/api/health/live", headers={"X-Request-ID": told})["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)


def test_two_requests_have_two_ids_and_none_is_left_behind(client):
    first, second = (client.get("/api/health/live")["X-Request-ID"] for _ in range(2))
    assert first != second
    assert "request_id" not in get_contextvars()


def test_the_log_line_of_a_request_has_its_id(client, caplog):
    with caplog.at_level("INFO"):
        client.get("/api/", headers={"X-Request-ID": "look-for-me"})
    (line,) = [record.msg for record in caplog.records if record.msg["event"] == "request"]
    assert line["request_id"] == "look-for-me"


@pytest.fixture
def serious():
    """Django's lines of answers from 500 on, with the id that each of them bears."""
    lines = []

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append((record.getMessage(), get_contextvars().get("request_id")))

    keep = Keep()
    logging.getLogger("django.request").addHandler(keep)
    yield lines
    logging.getLogger("django.request").removeHandler(keep)


@pytest.fixture
def no_database(monkeypatch):
    def fail(*args, **options):
        raise OperationalError("away")

    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", fail)


@pytest.mark.django_db
@pytest.mark.usefixtures("no_database")
def test_an_error_line_of_a_503_has_the_requests_id_and_comes_once(client, serious):
    answer = client.get("/api/revenue/daily", headers={"X-Request-ID": "look-for-me"})
    assert answer.status_code == 503
    assert serious == [("Service Unavailable: /api/revenue/daily", "look-for-me")]


@pytest.mark.django_db
@pytest.mark.usefixtures("no_database")
@pytest.mark.parametrize("wanted", [True, False])
def test_a_health_probe_has_one_only_where_they_are_logged(client, serious, settings, wanted):
    settings.LOG_GROUPS = settings.LOG_GROUPS | {"health": wanted}
    assert client.get("/api/health/ready").status_code == 503
    assert [words for words, _ in serious] == ["Service Unavailable: /api/health/ready"] * wanted


def test_an_error_that_nobody_foresaw_is_logged_whatever_the_switches_say(settings, serious, monkeypatch):
    monkeypatch.setattr("ops.health.database_report", lambda: 1 / 0)
    settings.LOG_GROUPS = settings.LOG_GROUPS | {"health": False}
    client = Client(raise_request_exception=False)
    assert client.get("/api/health/ready", headers={"X-Request-ID": "look-for-me"}).status_code == 500
    assert serious == [("Internal Server Error: /api/health/ready", "look-for-me")]


def test_the_way_to_https_has_an_id_and_a_line_too(settings, caplog):
    settings.SECURE_SSL_REDIRECT = True
    with caplog.at_level("INFO"):
        answer = Client().get("/api/", headers={"X-Request-ID": "look-for-me"})
    assert (answer.status_code, answer["X-Request-ID"]) == (301, "look-for-me")
    (line,) = [record.msg for record in caplog.records if record.msg["event"] == "request"]
    assert (line["status"], line["request_id"]) == (301, "look-for-me")


@pytest.mark.usefixtures("limited")
def test_a_client_is_told_what_is_left_to_it(client):
    answers = [client.get("/api/", **OUTSIDE) for _ in range(4)]
    assert {answer["RateLimit-Policy"] for answer in answers} == {'"client";q=3;w=60'}
    left = [re.fullmatch(r'"client";r=(\d+);t=(\d+)', answer["RateLimit"]) for answer in answers]
    assert [found[1] for found in left] == ["2", "1", "0", "0"]
    assert all(1 <= int(found[2]) <= 60 for found in left)
    assert abs(int(answers[3]["Retry-After"]) - int(left[3][2])) <= 1


@pytest.mark.django_db
@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("path", ["/api/nope", "/api/stats/"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_is_not_there_counts_as_well(client, path, method):
    answers = [getattr(client, method)(path, **OUTSIDE) for _ in range(4)]
    assert [answer["RateLimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
    assert [answer.status_code == 429 for answer in answers] == [False, False, False, True]
    assert f"try again in {answers[3]['Retry-After']} s" in answers[3].json()["error"]


@pytest.mark.django_db
@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize(
    "where", [{"REMOTE_ADDR": "127.0.0.1"}, *({"path": f"/api/health{part}"} for part in ("", "/live", "/ready"))]
)
def test_who_is_not_limited_is_told_nothing(client, where):
    answer = client.get(where.pop("path", "/api/"), **OUTSIDE | where)
    assert "RateLimit" not in answer


@pytest.mark.django_db
@pytest.mark.usefixtures("limited")
def test_whoever_tries_out_tokens_is_a_client_too(client):
    headers = {"Authorization": "Token guess"}
    codes = [client.get("/api/admin/jobs", headers=headers, **OUTSIDE).status_code for _ in range(4)]
    assert codes == [401, 401, 401, 429]


def test_a_quota_that_is_used_up_says_nothing_below_zero():
    quota = Quota(limit=3, remaining=-5, reset_s=0.2, window_s=60.0)
    assert (quota.is_over, quota.left) == (True, '"client";r=0;t=1')


@pytest.mark.parametrize("path", ["/api/", "/api/health/live", "/api/nope"])
def test_every_answer_has_the_headers_that_protect_it(client, path):
    answer = client.get(path)
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in answer["Permissions-Policy"]
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in answer


ASK = """
import json, os
os.environ["DJANGO_SETTINGS_MODULE"] = "fluxtracker.settings"
import django
django.setup()
from django.core.management import call_command
from django.test import Client
call_command("check", "--deploy", "--fail-level", "INFO")
ask = lambda **o: dict(Client().get("/api/health/live", headers={"host": "example.org"}, **o).headers)
print(json.dumps([ask(), ask(HTTP_X_FORWARDED_PROTO="https")]))
"""


@pytest.fixture(scope="module")
def behind_tls(tmp_path_factory):
    """A process with HTTPS=1: what its check and its answers say."""
    environment = {
        **os.environ, "HTTPS": "1", "FLUXTRACKER_DATA_DIR": str(tmp_path_factory.mktemp("tls")),
        "DATABASE_URL": "", "REDIS_URL": "", "ALLOWED_HOSTS": "example.org",
        "SECRET_KEY": "a-long-and-random-key-for-this-test-0123456789-abcdefgh",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=AMPLE,
        check=False,
    )


def test_behind_tls_the_deployment_check_is_clean(behind_tls):
    assert (behind_tls.returncode, "no issues (0 silenced)" in behind_tls.stdout) == (0, True), behind_tls.stderr


def test_behind_tls_browsers_are_told_to_stay_there(behind_tls):
    plain, secure = json.loads(behind_tls.stdout.splitlines()[-1])
    assert plain["Location"] == "https://example.org/api/health/live"
    assert secure["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
