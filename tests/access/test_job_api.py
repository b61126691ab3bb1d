"""What POST /api/admin/... answers, and how jobs are looked at."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from fluxtracker.api.throttling import Counters, Places
from fluxtracker.upstream import trusted_price
from ops import registry
from ops.jobs import services
from ops.jobs import worker as job_worker
from ops.jobs.services import NoBroker
from ops.models import AuditEntry, Job
from revenue.models import DailyPrice
from tests.dashboard.rows import pay
from tests.revenue.fake_prices import FakePrices

pytestmark = pytest.mark.django_db

BODIES = {"clear-revenue-data": {"confirm": "clear"}}


@pytest.fixture
def worker(monkeypatch):
    """A worker so fast that the job is over before the answer; what it is to do is given by `does`."""

    def does(what):
        def call(job, params, *, trigger, wait):
            return what(params)

        monkeypatch.setattr(registry.JobType, "call", call)
        monkeypatch.setattr("ops.jobs.services.send", job_worker.run_job)

    return does


@pytest.mark.parametrize("name", registry.jobs())
def test_each_verb_runs_and_answers_the_report_of_its_command(post, worker, name):
    worker(lambda params: {"added": 3, "lastSyncBlock": None})
    response = post(name, BODIES.get(name), wait=5)
    assert response.status_code == 200, response.content
    job = Job.objects.get()
    assert response.json() == {"success": True, "job": job.pk, "added": 3, "lastSyncBlock": None}
    assert (job.name, job.state, job.actor, job.via) == (name, "done", "alice", "api")
    assert response["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("name", registry.jobs())
def test_nobody_else_may(client, user, name):
    assert client.post(f"/api/admin/{name}").status_code == 401
    client.force_login(user)
    response = client.post(f"/api/admin/{name}")
    assert (response.status_code, "staff only" in response.json()["error"]) == (403, True)
    assert not Job.objects.exists()


def test_what_does_not_end_in_time_is_202_with_where_to_look(post, sent, token_client):
    response = post("backfill-usd", wait=0.3)
    job = Job.objects.get()
    url = f"http://testserver/api/admin/jobs/{job.pk}"
    assert response.status_code == 202
    assert response.json() == {"success": True, "job": job.pk, "status": "queued", "url": url}
    assert response["Location"] == url
    assert sent == [job.pk]
    assert token_client.get(url).json()["status"] == "queued"


def test_a_second_of_the_name_is_409(post, sent):
    first = post("backfill-usd").json()["job"]
    response = post("backfill-usd")
    assert response.status_code == 409
    assert response.json() == {
        "success": False, "alreadyRunning": True, "error": f"backfill-usd is already queued (job {first})",
        "job": first, "status": "queued",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("clear-revenue-data", {}, 'confirm: expected "clear"'),
        ("clear-revenue-data", {"confirm": True}, 'expected "clear"'),
        ("clear-revenue-data", {"confirm": " clear "}, 'expected "clear"'),
        ("clear-revenue-data", {"confirm": "clear\n"}, 'expected "clear"'),
        ("clear-revenue-data", {"confirm": "  "}, 'expected "clear"'),
        ("backfill", {"days": 4000}, "days: expected a whole number from 1 to 3650"),
        ("revenue-sync", [], "expected a JSON object"),
        ("revenue-sync", [1], "expected a JSON object"),
        ("revenue-sync", "full", "expected a JSON object"),
        ("revenue-sync", '{"full"', "JSON parse error"),
        ("revenue-sync", {"wait": -1}, "wait: expected seconds from 0 to 60"),
        ("revenue-sync", {"wait": True}, "wait: expected seconds from 0 to 60"),
        ("revenue-sync", {"wait": None}, "wait: expected seconds from 0 to 60"),
        ("revenue-sync", {"wait": [1]}, "wait: expected seconds from 0 to 60"),
        ("revenue-sync", {"wait": 10**400}, "wait: expected seconds from 0 to 60"),
        ("revenue-sync", {"full": "x"}, "full: expected true or false"),
        ("revenue-sync", {"full": None}, "full: expected true or false"),
        ("backfill", {"force": {}}, "force: expected true or false"),
        ("backfill-usd", {"from": "yesterday"}, "from: expected a day as YYYY-MM-DD"),
        ("backfill-usd", {"to": "2026-02-30"}, "to: expected a day as YYYY-MM-DD"),
        ("backfill-usd", {"from": None}, "from: expected a day as YYYY-MM-DD"),
        ("backfill-usd", {"from": 20260101}, "from: expected a day as YYYY-MM-DD"),
        ("backfill-usd", {"to": "2999-01-01"}, "to: must not be in the future"),
        ("send-report", {"date": "0001-01-01"}, "date: expected a day between 2000-01-01 and 2199-12-31"),
        ("backfill-usd", {"from": "2026-02-02", "to": "2026-02-01"}, "from: must not be after `to`"),
        ("backfill-usd", {"force": "perhaps"}, "force: expected true or false"),
        ("backfill-usd", {"form": "2026-02-02", "force": True}, "form: unknown; there are from, to, force"),
        ("backfill", {"days": None}, "days: expected a whole number from 1 to 3650"),
        ("backfill-app-names", {"batchSize": None}, "batchSize: expected a whole number from 1 (above 2000"),
    ],
)
def test_a_wrong_body_is_400_and_says_what_is_allowed(post, sent, name, body, words):
    body = f'"{body}"' if body == "full" else body
    response = post(name, body, wait=None)
    assert response.status_code == 400, response.content
    assert words in response.json()["error"]
    assert not Job.objects.exists()


@pytest.mark.parametrize("name", registry.jobs())
@pytest.mark.parametrize(
    "body", ["[" * 100_000, '{"a":' * 100_000, "[" * 900 + "]" * 900], ids=["half", "keys", "whole"]
)
def test_a_body_that_is_nested_too_deeply_is_400(post, sent, name, body):
    response = post(name, body)
    assert response.status_code == 400
    assert "expected a JSON object" in response.json()["error"]


@pytest.mark.parametrize("body", ['{"full": NaN}', '{"full": 1e}', b'{"full": "\xff"}', '{"days": ' + "9" * 5000 + "}"])
def test_a_body_that_is_no_json_is_400_and_says_what_is_expected(post, sent, body):
    response = post("revenue-sync", body)
    assert response.status_code == 400
    assert response.json()["error"].endswith("expected a JSON object in UTF-8")


def test_days_are_priced_again_by_a_job_and_the_audit_log_says_who_wanted_it(post, monkeypatch):
    monkeypatch.setattr("ops.jobs.services.send", job_worker.run_job)
    market, day = FakePrices(), timezone.now().date() - timedelta(days=9)
    monkeypatch.setattr(trusted_price, "daily_prices", market.daily_prices)
    payment = pay(at=timezone.now() - timedelta(days=9))
    DailyPrice.objects.create(day=day, price_usd=Decimal("74.4"), source="coingecko")
    market.by_day = {day: Decimal("0.08")}
    body = {"from": str(day), "to": str(day), "force": True}
    answer = post("backfill-usd", body, wait=5)
    job = Job.objects.get()
    assert answer.json() == {"success": True, "job": job.pk, "updated": 1, "remaining": 0, "closedDays": 0}
    assert job.params == body
    payment.refresh_from_db()
    assert (payment.price_usd, DailyPrice.objects.get().price_usd) == (Decimal("0.08"), Decimal("0.08"))
    done = AuditEntry.objects.get(action="price day again")
    assert (done.actor, done.detail["old"][:4], done.detail["new"][:4]) == ("alice", "74.4", "0.08")


@pytest.mark.parametrize("body", ["", " \n", "{}"])
def test_an_empty_body_says_nothing(post, sent, body):
    assert post("revenue-sync", body).status_code == 202


@pytest.mark.parametrize("wait", ["61", "-1", "nan", "inf", "long", "", "1_0", "\u0661", "1e999", "true"])
def test_a_wait_that_is_not_allowed_is_400(post, sent, wait):
    assert post("revenue-sync", wait=wait).json()["error"] == "wait: expected seconds from 0 to 60"
    assert not Job.objects.exists()


@pytest.mark.parametrize("wait", ["0", "0.0", "5e-324", " 0 "])
def test_a_wait_that_is_allowed(post, sent, wait):
    assert post("revenue-sync", wait=wait).status_code == 202


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("name=nope", f"name: expected one of {', '.join(registry.jobs())}"),
        ("name=", f"name: expected one of {', '.join(registry.jobs())}"),
        ("status=DONE", "status: expected one of queued, running, done, failed, cancelled"),
    ],
)
def test_a_filter_that_is_not_there_says_which_are(token_client, query, words):
    response = token_client.get(f"/api/admin/jobs?{query}")
    assert (response.status_code, response.json()["error"]) == (400, words)


@pytest.mark.parametrize(
    ("told", "words"),
    [({}, "expected the header `Authorization: Token <token>`"), ({"Authorization": "Token nope"}, "creates one")],
)
def test_who_is_not_known_is_told_how_to_be(client, told, words):
    response = client.post("/api/admin/revenue-sync", headers=told)
    assert (response.status_code, words in response.json()["error"]) == (401, True)


def test_a_broken_form_says_what_is_expected(token_client):
    response = token_client.generic("POST", "/api/admin/snapshot", b"x", content_type="multipart/form-data")
    assert (response.status_code, "expected a JSON object or a form" in response.json()["error"]) == (400, True)


def test_the_wait_may_stand_in_the_body(post, sent):
    assert post("revenue-sync", {"wait": 0, "full": True}, wait=None).status_code == 202
    assert Job.objects.get().params == {"full": True}


def test_a_form_does_as_well_as_json(token_client, sent):
    response = token_client.post("/api/admin/snapshot?wait=0", {"force": "true"})
    assert (response.status_code, Job.objects.get().params) == (202, {"force": True})


@pytest.mark.parametrize("told", ["", " ", "application/json; charset=utf-16"])
def test_a_body_of_which_nothing_is_told_is_json_and_json_is_utf_8(token_client, sent, told):
    body = b'{"force": true, "wait": 0}'
    response = token_client.generic("POST", "/api/admin/snapshot", body, content_type=told)
    assert (response.status_code, Job.objects.get().params) == (202, {"force": True})


@pytest.mark.parametrize("told", ["text/plain", "application/xml", "nonsense", "application/" + "x" * 300])
def test_a_body_that_is_neither_json_nor_a_form_is_400_and_says_what_is_read(token_client, sent, told):
    response = token_client.generic("POST", "/api/admin/snapshot?wait=0", b"force", content_type=told)
    assert response.status_code == 400
    assert "expected one of application/json, application/x-www-form" in response.json()["error"]
    assert not Job.objects.exists()


@pytest.mark.parametrize(("asked", "meant"), [(100_000_001, 100_000_000), (10**30, 100_000_000), (5, 5)])
def test_more_blocks_than_the_chain_has_are_cut_to_it(post, sent, asked, meant):
    assert post("audit-transactions", {"blocks": asked}).status_code == 202
    assert Job.objects.get().params["blocks"] == meant


def test_without_a_broker_it_is_503(post, monkeypatch):
    def fail(number):
        raise NoBroker()

    monkeypatch.setattr("ops.jobs.services.send", fail)
    response = post("revenue-sync")
    assert (response.status_code, response["Retry-After"]) == (503, "60")
    assert response.json()["error"] == "The broker does not answer: no task is started."
    assert Job.objects.get().state == "failed"


@pytest.mark.parametrize(
    ("failure", "status"),
    [("running", 409), ("refused", 409), ("upstream", 503), ("database", 503), ("worker", 503), ("error", 500)],
)
def test_a_job_that_failed_while_its_request_waited(post, monkeypatch, failure, status):
    def end(number):
        Job.objects.filter(pk=number).update(
            state="failed", failure=failure, error="why", result={"date": "2026-11-24", "success": True}
        )

    monkeypatch.setattr("ops.jobs.services.send", end)
    response = post("snapshot", wait=5)
    assert response.status_code == status
    assert response.json() == {
        "success": False, "alreadyRunning": failure == "running", "error": "why", "date": "2026-11-24",
        "job": Job.objects.get().pk, "status": "failed",
    }  # fmt: skip
    assert ("Retry-After" in response) == (status == 503)


def test_two_requests_wait_and_the_third_is_answered_at_once(staff, sent, monkeypatch):
    places = Places("", 2, 60, Counters())
    monkeypatch.setattr(services, "places", places)
    monkeypatch.setattr(services, "POLL_S", 0.01)
    job = services.request_job("revenue-sync", {}, user=staff, address=None, via="api")
    held = [places.take() for _ in range(2)]
    assert services.wait_for(job, 3600).state == "queued"
    places.give_back(held[0])
    assert services.wait_for(job, 0.05).state == "queued"
    assert places.taken == 1


def test_cancelling(post, sent, token_client):
    number = post("revenue-sync").json()["job"]
    response = post(f"jobs/{number}/cancel")
    assert (response.status_code, response.json()["status"]) == (200, "cancelled")
    again = post(f"jobs/{number}/cancel")
    assert (again.status_code, again.json()["error"]) == (409, "the job is over already: cancelled")
    assert again.json()["success"] is False
    second = post("revenue-sync").json()["job"]
    Job.objects.filter(pk=second).update(state="running")
    assert post(f"jobs/{second}/cancel").status_code == 202
    assert token_client.get(f"/api/admin/jobs/{second}").json()["cancelAsked"] is True


@pytest.mark.parametrize("number", ["99", "999999999999999999999999"])
def test_a_job_that_is_not_there_is_404(post, token_client, number):
    assert "lists them" in token_client.get(f"/api/admin/jobs/{number}").json()["error"]
    assert post(f"jobs/{number}/cancel").status_code == 404


def test_the_list_is_paged_newest_first_and_filtered(token_client, sent, django_assert_num_queries):
    now = timezone.now()
    for n in range(5):
        name, state = ("backup", "failed") if n % 2 else ("prune", "done")
        Job.objects.create(name=name, state=state, actor="alice", via="api", created_at=now + timedelta(minutes=n))
    with django_assert_num_queries(4):  # token, its use, count, page
        page = token_client.get("/api/admin/jobs?limit=2&page=2").json()
    assert (page["total"], page["totalPages"], [job["name"] for job in page["jobs"]]) == (5, 3, ["prune", "backup"])
    with django_assert_num_queries(3):
        assert token_client.get("/api/admin/jobs?name=prune").json()["total"] == 3
    assert token_client.get("/api/admin/jobs?status=failed&limit=1").json()["total"] == 2
    assert token_client.get("/api/admin/jobs?page=99").json()["jobs"] == []
    assert token_client.get("/api/admin/jobs?status=asleep").status_code == 400


def test_a_job_tells_who_asked_for_what_when_and_what_came_of_it(post, worker, token_client):
    worker(lambda params: {"checked": 9})
    number = post("audit-transactions", {"blocks": 7}, headers={"X-Request-ID": "my-request-1"}).json()["job"]
    told = token_client.get(f"/api/admin/jobs/{number}").json()
    assert told | {"createdAt": 0, "startedAt": 0, "seenAt": 0, "finishedAt": 0} == {
        "id": number, "name": "audit-transactions", "params": {"blocks": 7, "fix": False}, "status": "done",
        "actor": "alice", "via": "api", "createdAt": 0, "startedAt": 0, "seenAt": 0, "finishedAt": 0, "attempts": 1,
        "progress": None, "cancelAsked": False, "result": {"checked": 9}, "failure": None, "error": None,
        "requestId": "my-request-1", "url": f"http://testserver/api/admin/jobs/{number}",
    }  # fmt: skip


def test_a_session_needs_its_csrf_token_and_the_log_tells_whose_it_was(staff, sent):
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff)
    response = client.post("/api/admin/revenue-sync?wait=0")
    assert (response.status_code, "CSRF" in response.json()["error"]) == (403, True)
    assert "expected the session's token in the header `X-CSRFToken`" in response.json()["error"]
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.outcome) == ("alice", "POST api/admin/revenue-sync", "refused")
    page = client.get("/api/admin/revenue-sync", headers={"accept": "text/html"})  # the page with its form
    token = page.cookies["csrftoken"].value
    response = client.post("/api/admin/revenue-sync?wait=0", headers={"X-CSRFToken": token})
    assert response.status_code == 202


@pytest.mark.usefixtures("plain_static_files")
def test_the_form_of_the_browsable_api_is_for_staff_alone(client, user, staff, superuser):
    html = {"accept": "text/html"}
    for who, shown in ((None, False), (user, False), (staff, True), (superuser, True)):
        if who:
            client.force_login(who)
        page = client.get("/api/admin/revenue-sync", headers=html).content.decode()
        assert ('method="POST"' in page) is shown, who
        assert "<style" not in page
        assert " style=" not in page
