import json
import logging

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory

from fluxtracker import env
from fluxtracker.web import middleware

OTHER = "https://example.org"


@pytest.fixture
def asked(settings):
    settings.CORS_ALLOWED_ORIGINS = [OTHER]

    def ask(method: str = "GET", path: str = "/api/stats", **headers: str) -> HttpResponse:
        request = RequestFactory().generic(method, path, headers=headers)
        return middleware.CrossOriginReads(lambda _: HttpResponse("{}"))(request)

    return ask


@pytest.mark.parametrize(
    ("path", "switch"),
    [
        ("/api/health/live", "health"),
        ("/api/stats", "stats"),
        ("/api/metrics/current", "metrics"),
        ("/api/analytics/comparison", "comparison"),
        ("/api/history/snapshots", "history"),
        ("/api/admin/jobs", "admin"),
        ("/admin/revenue/payment/", "admin"),
    ],
)
def test_each_group_of_paths_has_a_switch(settings, path, switch):
    settings.LOG_GROUPS = {**settings.LOG_GROUPS, switch: True}
    assert middleware.is_logged(path, 200)
    settings.LOG_GROUPS = {**settings.LOG_GROUPS, switch: False}
    assert not middleware.is_logged(path, 200)


def test_paths_without_a_group_are_logged(settings):
    assert middleware.is_logged("/", 200)
    assert middleware.is_logged("/api/revenue/daily", 200)
    assert middleware.is_logged("/api/healthy", 200)


def test_static_files_are_logged_only_where_they_fail(settings):
    assert not middleware.is_logged("/static/css/base.css", 200)
    assert middleware.is_logged("/static/css/none.css", 404)


def test_the_master_switch_silences_everything(settings):
    settings.REQUEST_LOGGING = False
    assert not middleware.is_logged("/", 500)


def test_errors_only_overrides_the_groups(settings):
    settings.LOG_ERRORS_ONLY = True
    assert not middleware.is_logged("/api/history/snapshots", 200)
    assert middleware.is_logged("/api/health", 503)


def test_a_request_is_one_line_with_method_path_status_and_time(caplog, settings):
    answer = middleware.RequestLog(lambda _: HttpResponse(status=404))
    with caplog.at_level(logging.INFO, "fluxtracker.web.middleware"):
        answer(RequestFactory().get("/some/page?token=secret"))
    (record,) = caplog.records
    event = record.msg
    assert {key: event[key] for key in ("event", "method", "path", "status")} == {
        "event": "request",
        "method": "GET",
        "path": "/some/page",
        "status": 404,
    }
    assert event["ms"] >= 0


def test_an_allowed_origin_may_read(asked):
    response = asked(Origin=OTHER)
    assert response["Access-Control-Allow-Origin"] == OTHER
    assert response["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in response


@pytest.mark.parametrize(
    ("method", "path", "origin"),
    [
        ("GET", "/api/stats", "https://elsewhere.example"),
        ("GET", "/api/stats", ""),
        ("POST", "/api/admin/revenue-sync", OTHER),
    ],
)
def test_nobody_else_and_nothing_else_is_allowed(asked, method, path, origin):
    assert "Access-Control-Allow-Origin" not in asked(method, path, Origin=origin)


def test_pages_outside_the_api_are_not_shared(asked):
    response = asked(path="/", Origin=OTHER)
    assert "Access-Control-Allow-Origin" not in response
    assert "Vary" not in response


def test_a_browser_that_asks_first_is_told_for_reading_only(asked):
    may = asked("OPTIONS", **{"Origin": OTHER, "Access-Control-Request-Method": "GET"})
    assert (may.status_code, may["Access-Control-Allow-Methods"]) == (204, "GET, HEAD")
    may_not = asked("OPTIONS", **{"Origin": OTHER, "Access-Control-Request-Method": "DELETE"})
    assert "Access-Control-Allow-Origin" not in may_not


@pytest.mark.django_db
def test_the_real_api_carries_it_on_errors_too(settings):
    settings.CORS_ALLOWED_ORIGINS = [OTHER]
    response = Client().get("/api/no-such-path", headers={"Origin": OTHER})
    assert response.status_code == 404
    assert "error" in json.loads(response.content)
    assert response["Access-Control-Allow-Origin"] == OTHER


@pytest.mark.django_db  # a response that is closed ends a request, and old connections with it
@pytest.mark.parametrize("kind", [HttpResponse, StreamingHttpResponse])
def test_head_is_answered_with_the_headers_of_get_alone(kind):
    closed = []

    def answer(request):
        response = kind(iter([b"12", b"345"]), headers={"Content-Length": "5"})
        response._resource_closers.append(lambda: closed.append(True))
        return response

    bodies = {}
    for method in ("GET", "HEAD"):
        response = middleware.HeadWithoutBody(answer)(RequestFactory().generic(method, "/"))
        bodies[method] = b"".join(response)
        assert response["Content-Length"] == "5"
        response.close()
    assert (bodies, len(closed)) == ({"GET": b"12345", "HEAD": b""}, 2)


def test_any_origin_may_read_where_that_is_said_and_nothing_else(asked, settings):
    settings.CORS_ALLOWED_ORIGINS = ["*"]
    for origin in (OTHER, "https://another.test"):
        response = asked(Origin=origin)
        assert response["Access-Control-Allow-Origin"] == origin
        assert "Access-Control-Allow-Credentials" not in response
        assert response["Vary"] == "Origin"
    assert "Access-Control-Allow-Origin" not in asked()
    may_not = asked("OPTIONS", **{"Origin": OTHER, "Access-Control-Request-Method": "POST"})
    assert "Access-Control-Allow-Origin" not in may_not


@pytest.mark.parametrize(("value", "expected"), [("*", ["*"]), ("", []), ("https://A.test/", ["https://a.test"])])
def test_readers_are_origins_or_all(value, expected, monkeypatch):
    monkeypatch.setenv("CORS_ALLOWED_ORIGINS", value)
    assert env.readers("CORS_ALLOWED_ORIGINS") == expected


@pytest.mark.parametrize("value", ["*,https://a.test", "https://*.test/x", "a.test"])
def test_other_readers_are_refused(value, monkeypatch):
    monkeypatch.setenv("CORS_ALLOWED_ORIGINS", value)
    with pytest.raises(ImproperlyConfigured, match="CORS_ALLOWED_ORIGINS"):
        env.readers("CORS_ALLOWED_ORIGINS")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["revenue/transactions", "stats", "", "no-such-path", "admin/jobs"])
def test_version_1_of_the_api_is_the_api(path):
    answers = [Client().get(f"/api/{version}{path}") for version in ("", "v1/")]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].content == answers[1].content
    assert answers[0].get("ETag") == answers[1].get("ETag")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/api/v1/stats", "/api/stats"), ("/api/v1", "/api/v1"), ("/api/v2/stats", "/api/v2/stats"), ("/v1/", "/v1/")],
)
def test_only_version_1_is_another_name(path, expected):
    assert middleware.unversioned(path) == expected
