"""Every error has one shape, whatever its status: {"error": "what is wrong and what is allowed"}."""

from unittest.mock import patch

import pytest
from django.db import InterfaceError, OperationalError, ProgrammingError
from django.http import Http404
from django.test import Client, override_settings
from django.urls import path
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import APIView

from fluxtracker import urls
from fluxtracker.api import throttling
from fluxtracker.api.throttling import Counters
from fluxtracker.api.views import PublicView
from revenue.selectors import OpenDays

READS = (
    "",
    "health",
    "health/live",
    "health/ready",
    "revenue/transactions",
    "revenue/daily",
    "revenue/weekly",
    "revenue/monthly",
    "revenue/quarterly",
    "revenue/yearly",
    "analytics/apps",
    "admin/revenue-status",
)


class RaisingView(PublicView):
    def get(self, request, number):
        raise {
            "401": exceptions.NotAuthenticated(),
            "403": exceptions.PermissionDenied(),
            "404": exceptions.NotFound("no snapshot of that day"),
            "404-bare": Http404(),
            "429": exceptions.Throttled(wait=30),
            "500": RuntimeError("password=secret in a stack trace"),
        }[number]


class StaffView(APIView):
    def get(self, request):
        return Response({})

    def post(self, request):
        return Response({})


class Urls:
    urlpatterns = [path("api/raise/<number>", RaisingView.as_view()), path("api/staff", StaffView.as_view())]
    urlpatterns += urls.urlpatterns
    handler404, handler500 = urls.handler404, urls.handler500


def assert_is_error(response, status):
    assert response.status_code == status, response.content
    assert response["Content-Type"].startswith("application/json")
    error = response.json()["error"]
    assert isinstance(error, str)
    assert error
    assert "Traceback" not in response.content.decode()
    assert "secret" not in response.content.decode()
    return error


@pytest.mark.django_db  # refusals go to the audit log
@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
@pytest.mark.parametrize("accept", ["application/json", "*/*"])
def test_every_status_has_the_same_shape(status, accept):
    with override_settings(ROOT_URLCONF=Urls):
        client = Client(raise_request_exception=False, headers={"accept": accept})
        assert_is_error(client.get(f"/api/raise/{status}"), status)


@override_settings(ROOT_URLCONF=Urls)
def test_whoever_is_told_to_wait_is_told_how_long(client):
    assert client.get("/api/raise/429")["Retry-After"] == "30"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "expected the header `Authorization: Token <token>`"),
        (403, "staff only"),
        ("404-bare", "there is nothing at /api/raise/404-bare; /api/docs/ lists what there is"),
        (429, "try again in 30 s"),
    ],
)
@override_settings(ROOT_URLCONF=Urls)
def test_the_words_say_what_is_allowed(client, status, words):
    assert words in client.get(f"/api/raise/{status}").json()["error"]


@pytest.mark.django_db
@override_settings(ROOT_URLCONF=Urls)
def test_a_write_without_a_name_is_401_and_not_403(client):
    assert_is_error(client.post("/api/staff"), 401)


@pytest.mark.parametrize("where", ["nope", "revenue", "revenue/hourly", "health/dead", "%00", "admin/revenue-statuses"])
@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.parametrize("debug", [True, False])
def test_unknown_paths_are_404_as_json(client, settings, where, method, debug):
    settings.DEBUG = debug
    assert "/api/docs/ lists what there is" in assert_is_error(getattr(client, method)(f"/api/{where}"), 404)


def test_an_unknown_path_is_404_to_a_program_without_cookies_too():
    assert_is_error(Client(enforce_csrf_checks=True).post("/api/nope", {}), 404)


@pytest.mark.parametrize("path", [path for path in READS if path])
def test_a_slash_too_many_is_forgiven(client, path):
    response = client.get(f"/api/{path}/?page=2")
    assert (response.status_code, response["Location"]) == (301, f"/api/{path}?page=2")


@pytest.mark.parametrize("path", ["docs", "schema"])
def test_a_slash_too_few_is_forgiven(client, path):
    assert client.get(f"/api/{path}")["Location"] == f"/api/{path}/"


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_method_that_is_not_there_is_405_and_says_which_are(client, path, method):
    response = getattr(client, method)(f"/api/{path}")
    assert "allowed: GET, HEAD, OPTIONS" in assert_is_error(response, 405)


@pytest.mark.parametrize("path", ["", "health/live", "schema/"])
@pytest.mark.parametrize("accept", ["image/png", "nonsense", "", "application/xml;q=0.9, text/csv"])
def test_a_form_that_is_not_there_is_answered_as_json(client, path, accept):
    response = client.get(f"/api/{path}", headers={"accept": accept})
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("accept", ["application/json", "text/html", "image/png"])
def test_a_format_that_is_not_there_is_400_and_says_which_are(client, accept):
    response = client.get("/api/health/live?format=xml", headers={"accept": accept})
    assert assert_is_error(response, 400) == "format: expected one of json, api"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "error", [OperationalError("no such host"), InterfaceError("closed"), ProgrammingError("none")]
)
@pytest.mark.parametrize("path", [path for path in READS if path and not path.startswith("health")])
def test_without_a_database_everything_is_503(client, path, error):
    with patch("django.db.backends.utils.CursorWrapper.execute", side_effect=error):
        assert "database cannot be reached" in assert_is_error(client.get(f"/api/{path}"), 503)


@pytest.mark.django_db
def test_a_database_that_goes_away_in_the_middle_is_503(client):
    with patch.object(OpenDays, "between", side_effect=OperationalError("server closed the connection")):
        response = client.get("/api/revenue/transactions")
    assert_is_error(response, 503)
    assert response["Retry-After"] == "10"


def test_a_host_that_is_not_ours_is_refused_as_json(client):
    assert_is_error(client.get("/api/health/live", headers={"host": "evil.example"}), 400)


# How many requests a client may make


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize(
    "who", [{"REMOTE_ADDR": "203.0.113.9"}, {"headers": {"x-forwarded-for": "8.8.8.8, 203.0.113.9"}}]
)
def test_one_request_too_many_is_429_until_the_minute_is_over(client, who):
    with override_settings(ROOT_URLCONF=Urls):
        assert [client.get("/api/", **who).status_code for _ in range(4)] == [200, 200, 200, 429]
        response = client.get("/api/", **who)
    assert "at most 3 per minute" in assert_is_error(response, 429)
    assert 1 <= int(response["Retry-After"]) <= 60
    assert f"try again in {response['Retry-After']} s" in response.json()["error"]
    assert client.get("/api/", REMOTE_ADDR="203.0.113.10").status_code == 200
    assert client.get("/api/health/live", **who).status_code == 200


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", ""])
def test_direct_clients_on_this_machine_are_exempt(client, address):
    assert {client.get("/api/", REMOTE_ADDR=address).status_code for _ in range(9)} == {200}


@pytest.mark.usefixtures("limited")
def test_nobody_escapes_by_telling_another_address(client):
    told = [{"x-forwarded-for": f"10.0.0.{n}"} for n in range(4)]
    codes = [client.get("/api/", REMOTE_ADDR="203.0.113.9", headers=header).status_code for header in told]
    assert codes == [200, 200, 200, 429]


@pytest.mark.usefixtures("limited")
def test_no_limit_at_all_when_the_rate_is_zero(client, settings):
    settings.API_RATE = 0
    assert {client.get("/api/", REMOTE_ADDR="203.0.113.9").status_code for _ in range(9)} == {200}


def test_a_new_minute_counts_anew():
    window = throttling.Window("", Counters())
    counted = [window.count("a", 1, now) for now in (0.0, 30.0, 60.0)]
    assert [(quota.is_over, quota.reset_s) for quota in counted] == [(False, 60.0), (True, 30.0), (False, 60.0)]
