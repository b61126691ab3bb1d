"""ETag, Cache-Control, gzip: what did not change is neither made nor sent again."""

import gzip
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fluxtracker import __version__
from revenue.models import App, Payment
from tests.api.conftest import NOW
from tests.factories import NOON, pay, settle
from tests.remembered import again

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

STAMPED = [
    "revenue/transactions", "revenue/transactions?search=app&page=2", "revenue/daily", "revenue/weekly",
    "revenue/monthly", "revenue/quarterly", "revenue/yearly", "analytics/apps",
]  # fmt: skip


def of_twenty_days():
    for n in range(20):
        pay(app=f"app{n % 3}", at=NOON - timedelta(days=n))
    settle()


@pytest.fixture(autouse=True)
def ledger():
    again(of_twenty_days)


def asked_again(client, path, etag):
    return client.get(f"/api/{path}", headers={"if-none-match": etag})


@pytest.mark.parametrize("path", STAMPED)
def test_the_same_answer_is_304_for_one_small_query(client, path):
    etag = client.get(f"/api/{path}")["ETag"]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = asked_again(client, path, etag)
    assert (response.status_code, response.content, response["ETag"]) == (304, b"", etag)
    assert len(queries) == 1
    assert "revenue_ledgerstate" in queries[0]["sql"]


@pytest.mark.parametrize("path", STAMPED)
@pytest.mark.parametrize(
    "change",
    [
        lambda: pay(app="new"),
        lambda: Payment.objects.first().delete(),
        lambda: Payment.objects.filter(id=Payment.objects.first().id).update(block_hash="moved"),
        lambda: App.objects.filter(name="app1").update(name="renamed"),
        lambda: Payment.objects.update(app_type="git"),
    ],
    ids=["added", "removed", "moved", "renamed", "retyped"],
)
def test_any_change_of_the_ledger_is_a_new_answer(client, path, change):
    etag = client.get(f"/api/{path}")["ETag"]
    settle(change=change)
    response = asked_again(client, path, etag)
    assert response.status_code == 200
    assert response["ETag"] != etag


@pytest.mark.parametrize("path", ["revenue/daily", "revenue/weekly"])
def test_midnight_is_a_change_for_answers_about_days(client, clock, path):
    etag = client.get(f"/api/{path}")["ETag"]
    clock.move_to(NOW + timedelta(hours=3))
    assert asked_again(client, path, etag).status_code == 200


def test_other_queries_have_other_etags(client):
    paths = ["?page=1", "?page=2", "?page=1&limit=10", "?search=app1"]
    assert len({client.get(f"/api/revenue/transactions{query}")["ETag"] for query in paths}) == len(paths)


def test_another_release_makes_every_answer_anew(client, monkeypatch):
    etag = client.get("/api/revenue/weekly")["ETag"]
    monkeypatch.setattr("fluxtracker.api.conditional.__version__", __version__ + ".1")
    assert asked_again(client, "revenue/weekly", etag).status_code == 200


@pytest.mark.parametrize("path", STAMPED)
def test_caches_may_keep_an_answer_for_seconds(client, path):
    assert client.get(f"/api/{path}")["Cache-Control"] == "public, max-age=5"


@pytest.mark.parametrize(("path", "seconds"), [("schema/", 3600), ("docs/", 300), ("docs/?script=", 300), ("", 300)])
def test_caches_may_keep_what_only_a_release_changes_for_longer(client, path, seconds):
    response = client.get(f"/api/{path}")
    assert response["Cache-Control"] == f"public, max-age={seconds}"
    assert "Set-Cookie" not in response


@pytest.mark.parametrize("path", ["health", "health/live", "health/ready"])
def test_nobody_keeps_what_is_only_true_now(client, path):
    response = client.get(f"/api/{path}")
    assert response["Cache-Control"] == "no-store"
    assert "ETag" not in response


@pytest.mark.parametrize("path", ["", "admin/revenue-status", "schema/", "docs/"])
def test_every_other_read_has_an_etag_too(client, path):
    assert asked_again(client, path, client.get(f"/api/{path}")["ETag"]).status_code == 304


def test_a_refused_query_is_not_kept(client):
    response = client.get("/api/revenue/transactions?page=0")
    assert "max-age" not in response.get("Cache-Control", "")


def test_answers_are_compressed_for_who_can_read_that(client):
    plain = client.get("/api/revenue/transactions")
    packed = client.get("/api/revenue/transactions", headers={"accept-encoding": "gzip"})
    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    assert len(packed.content) < len(plain.content) / 3
    response = client.get(
        "/api/revenue/transactions", headers={"accept-encoding": "gzip", "if-none-match": packed["ETag"]}
    )
    assert response.status_code == 304


def test_head_tells_what_get_would(client):
    get, head = client.get("/api/revenue/weekly"), client.head("/api/revenue/weekly")
    assert (head.status_code, head.content, head["ETag"]) == (200, b"", get["ETag"])
