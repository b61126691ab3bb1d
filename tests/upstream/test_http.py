import gzip
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
import time_machine

from fluxtracker.upstream.http.client import Http, Rejected
from fluxtracker.upstream.http.errors import BadAnswer, Unavailable

URL = "https://node.example/api/thing"


def answers(web, *steps):
    """The URL answers with one step after the other: a status, a body, an exception, or keyword arguments."""
    for step in steps:
        if isinstance(step, int):
            step = {"status": step, "body": "<html>busy</html>"}
        elif isinstance(step, Exception):
            step = {"body": step}
        elif not isinstance(step, dict):
            step = {"json": step}
        web.get(URL, **step)


def test_an_answer_is_parsed(web, http):
    answers(web, [1, "ä", None])
    assert http.get_json(URL) == [1, "ä", None]
    assert http.requests == 1


def test_a_question_says_who_asks_and_allows_gzip(web, http):
    answers(web, [])
    http.get_json(URL, {"from": 1})
    request = web.calls[0].request
    assert request.url == f"{URL}?from=1"
    assert request.headers["User-Agent"].startswith("fluxtracker/")
    assert request.headers["Accept-Encoding"] == "gzip"


def test_a_compressed_answer_is_unpacked(web, http):
    answers(web, {"body": gzip.compress(b'{"a":1}'), "headers": {"Content-Encoding": "gzip"}})
    assert http.get_json(URL) == {"a": 1}


@pytest.mark.parametrize("trouble", [500, 502, 503, 504, 520, 408, 429, requests.ConnectionError("refused")])
def test_trouble_is_tried_again_twice(web, http, trouble):
    answers(web, trouble, trouble, {"json": "there"})
    assert http.get_json(URL) == "there"
    assert http.requests == 3


def test_pauses_between_tries_grow(web, http, clock):
    answers(web, 500, 500, {"json": 1})
    http.get_json(URL)
    assert clock.slept == [0.5, 1.0]


def test_pauses_are_spread(web, clock):
    hasty = Http(timeout=5, rate=0, sleep=clock.sleep, clock=clock, random=lambda: 0.0)
    patient = Http(timeout=5, rate=0, sleep=clock.sleep, clock=clock, random=lambda: 1.0)
    for http in (hasty, patient):
        answers(web, 500, {"json": 1})
        http.get_json(URL)
        web.reset()
    assert clock.slept == [0.25, 0.75]


@pytest.mark.parametrize("trouble", [500, 429, requests.ConnectionError("refused")])
def test_lasting_trouble_is_an_outage(web, http, trouble):
    answers(web, trouble)
    with pytest.raises(Unavailable, match=r"node\.example /api/thing"):
        http.get_json(URL)
    assert http.requests == 3


def test_a_timeout_is_tried_again_once(web, http):
    answers(web, requests.ReadTimeout())
    with pytest.raises(Unavailable, match="no answer within 5 s"):
        http.get_json(URL)
    assert http.requests == 2


def test_a_timeout_is_not_tried_again_where_a_smaller_question_follows(web, http):
    answers(web, requests.ConnectTimeout())
    with pytest.raises(Unavailable):
        http.get_json(URL, patient=False)
    assert http.requests == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_well_formed_refusal_is_final(web, http, status):
    answers(web, {"status": status, "json": {"error": "No tickers found!"}})
    with pytest.raises(Rejected, match=f"HTTP {status}: No tickers found!") as caught:
        http.get_json(URL)
    assert caught.value.status == status
    assert http.requests == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"code": -1121, "msg": "Invalid symbol."}, "Invalid symbol."),
        ({"Response": "Error", "Message": "API key required"}, "API key required"),
        ({"status": {"error_code": 429}}, "no reason given"),
        (["?"], "no reason given"),
        ({"error": "a\nb\x1b[0m" + "x" * 900}, "a b [0mxxx"),
    ],
)
def test_a_refusal_tells_its_reason_in_one_short_line(web, http, body, reason):
    answers(web, {"status": 400, "json": body})
    with pytest.raises(Rejected) as caught:
        http.get_json(URL)
    assert caught.value.message.startswith(reason)
    assert len(caught.value.message) <= 200


def test_a_refusal_without_json_is_a_bad_answer(web, http):
    answers(web, {"status": 403, "body": "<html>cloud</html>"})
    with pytest.raises(BadAnswer, match="HTTP 403 without JSON"):
        http.get_json(URL)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("<!DOCTYPE html><title>Just a moment</title>", "a web page"),
        ('{"a": [1, 2', "malformed"),
        ('{"a": NaN}', "malformed"),
        ("", "empty"),
        (b"\xff\xfe", "malformed"),
        ("[" * 5000, "malformed"),
    ],
)
def test_what_is_not_json_is_a_bad_answer(web, http, body, detail):
    answers(web, {"body": body})
    with pytest.raises(BadAnswer, match=detail) as caught:
        http.get_json(URL)
    assert http.requests == 1
    assert len(str(caught.value)) < 200


def test_damaged_compression_is_a_bad_answer(web, http):
    answers(web, {"body": b"no gzip at all", "headers": {"Content-Encoding": "gzip"}})
    with pytest.raises(BadAnswer, match="compression"):
        http.get_json(URL)


def test_an_answer_that_is_too_large_is_a_bad_answer(web, http):
    answers(web, {"body": b"[" + b" " * 5000 + b"]"})
    with pytest.raises(BadAnswer, match="too large"):
        http.get_json(URL, max_bytes=5000)


def test_the_size_counts_after_unpacking(web, http):
    bomb = gzip.compress(b" " * 10_000_000)
    answers(web, {"body": bomb, "headers": {"Content-Encoding": "gzip"}})
    with pytest.raises(BadAnswer, match="too large"):
        http.get_json(URL, max_bytes=100_000)


def test_a_short_wait_that_the_server_asks_for_is_kept(web, http, clock):
    answers(web, {"status": 429, "headers": {"Retry-After": "7"}}, {"json": 1})
    assert http.get_json(URL) == 1
    assert clock.slept == [7.0]


@time_machine.travel(datetime(2026, 11, 1, tzinfo=UTC), tick=False)
def test_a_wait_may_be_a_date(web, http, clock):
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=4), usegmt=True)
    answers(web, {"status": 503, "headers": {"Retry-After": until}}, {"json": 1})
    assert http.get_json(URL) == 1
    assert clock.slept == [4.0]


@pytest.mark.parametrize("value", ["soon", "", "-5", "١"])
def test_a_wait_that_says_nothing_is_ignored(web, http, clock, value):
    answers(web, {"status": 429, "headers": {"Retry-After": value.encode().decode("latin-1")}}, {"json": 1})
    assert http.get_json(URL) == 1
    assert clock.slept == [0.5]


def test_a_long_wait_ends_the_call_and_keeps_others_away(web, http, clock):
    answers(web, {"status": 429, "headers": {"Retry-After": "90"}}, {"json": 1})
    with pytest.raises(Unavailable, match="HTTP 429"):
        http.get_json(URL)
    assert clock.slept == []
    clock.now += 89
    with pytest.raises(Unavailable, match="not asked"):
        http.get_json(URL)
    clock.now += 2
    assert http.get_json(URL) == 1
    assert http.requests == 2


def test_waits_of_one_call_do_not_add_up_for_ever(web, http, clock):
    answers(web, {"status": 429, "headers": {"Retry-After": "8"}})
    with pytest.raises(Unavailable):
        http.get_json(URL)
    assert clock.slept == [8.0]


def test_an_impatient_client_waits_less(web, clock):
    http = Http(timeout=1, rate=0, sleep=clock.sleep, clock=clock)
    answers(web, {"status": 429, "headers": {"Retry-After": "4"}})
    with pytest.raises(Unavailable):
        http.get_json(URL)
    assert clock.slept == []


def test_a_redirect_within_the_host_is_followed(web, http):
    web.get(URL, status=301, headers={"Location": "/api/thing/"})
    web.get(f"{URL}/", json=5)
    assert http.get_json(URL) == 5


def test_a_redirect_to_another_host_is_not_followed(web, http):
    answers(web, {"status": 302, "headers": {"Location": "https://elsewhere.example/"}})
    with pytest.raises(BadAnswer, match="another host"):
        http.get_json(URL)
    assert http.requests == 1


def test_a_redirect_from_https_to_http_is_not_followed(web, http):
    answers(web, {"status": 302, "headers": {"Location": URL.replace("https", "http")}})
    with pytest.raises(BadAnswer):
        http.get_json(URL)


def test_a_circle_of_redirects_ends(web, http):
    answers(web, {"status": 302, "headers": {"Location": "/api/thing"}})
    with pytest.raises(BadAnswer):
        http.get_json(URL)
    assert http.requests == 4


def test_errors_name_no_credentials_and_no_query(web, http):
    web.get(re.compile("https://user:password@node.example/api"), status=500)
    with pytest.raises(Unavailable) as caught:
        http.get_json("https://user:password@node.example/api", {"api_key": "secret"})
    assert str(caught.value) == "node.example /api: HTTP 500"


def test_cookies_are_not_kept(web, http):
    answers(web, {"json": 1, "headers": {"Set-Cookie": "track=1"}})
    http.get_json(URL)
    http.get_json(URL)
    assert "Cookie" not in web.calls[1].request.headers


def test_the_client_of_the_settings_takes_their_timeout(web, settings):
    settings.UPSTREAM_TIMEOUT, settings.UPSTREAM_RATE = 7.5, 0
    answers(web, 1)
    web.reset()
    web.get(URL, json=1)
    assert Http.from_settings().get_json(URL) == 1
    assert web.calls[0].request.req_kwargs["timeout"] == 7.5


@pytest.mark.parametrize("location", ["http://[", "//[x]/", "https://node.example:99999999/"])
def test_a_redirect_to_no_address_is_a_wrong_answer(web, http, location):
    answers(web, {"status": 302, "headers": {"Location": location}})
    with pytest.raises(BadAnswer):
        http.get_json(URL)


def test_an_absurd_time_to_try_again_is_none(web, http):
    absurd = {"Retry-After": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}
    answers(web, {"status": 503, "headers": absurd}, {"json": 5})
    assert http.get_json(URL) == 5
