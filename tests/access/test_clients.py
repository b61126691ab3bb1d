"""One notion of a client, and how much of everything one may ask for."""

import pytest
from django.templatetags.static import static
from django.test import Client, RequestFactory

from fluxtracker.api import throttling
from fluxtracker.api.throttling import client_address, client_of

STRANGER = "203.0.113.9"
DIRECT = "127.0.0.1"


def address(peer=DIRECT, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR=peer))


@pytest.mark.parametrize("peer", [DIRECT, "127.9.9.9", "::1", "::ffff:127.0.0.1", ""])
def test_a_direct_client_on_this_machine_has_no_address(peer):
    assert address(peer) is None


@pytest.mark.parametrize(
    ("told", "client"),
    [
        ("203.0.113.7", "203.0.113.7"), ("8.8.8.8, 203.0.113.7", "203.0.113.7"), ("203.0.113.7 ,", DIRECT),
        ("203.0.113.7, 10.0.0.5, 192.168.1.1", "203.0.113.7"), ("10.0.0.1, 10.0.0.9", "10.0.0.9"),
        ("2001:DB8::7", "2001:db8::7"), ("::ffff:203.0.113.7", "203.0.113.7"),
        ("rubbish", DIRECT), ("8.8.8.8, rubbish", DIRECT), ("rubbish, 10.0.0.5", DIRECT), (",,,", DIRECT),
        ("203.0.113.7:4711", DIRECT), ("[2001:db8::7]", DIRECT), ("2001:db8::7%eth0", DIRECT),
        ("203.0.113.07", DIRECT), ("3405803783", DIRECT), ('for="203.0.113.7"', DIRECT), ("\x1b[31m", DIRECT),
        (", ".join(f"8.8.{n}.8" for n in range(250)) + ", 203.0.113.7", "203.0.113.7"),
        (", ".join(["10.0.0.5"] * 300), "10.0.0.5"),
    ],
)  # fmt: skip
def test_a_proxy_of_ours_tells_for_whom_it_asks(told, client):
    assert address(x_forwarded_for=told) == client
    assert address("10.0.0.2", x_forwarded_for=told) == (client if client != DIRECT else "10.0.0.2")


def test_nobody_else_does():
    assert address(STRANGER, x_forwarded_for="8.8.8.8", x_real_ip="8.8.8.8", forwarded="for=8.8.8.8") == STRANGER
    assert address("::ffff:203.0.113.9", x_forwarded_for="8.8.8.8") == STRANGER


@pytest.mark.parametrize("told", ["203.0.113.7", "rubbish"])
def test_the_real_ip_counts_where_there_is_nothing_else(told):
    assert address(x_real_ip=told) == (told if told != "rubbish" else DIRECT)
    assert address(x_forwarded_for="rubbish", x_real_ip="203.0.113.7") == DIRECT
    assert address(x_forwarded_proto="https") == DIRECT


@pytest.mark.parametrize(
    ("one", "client"),
    [
        ("203.0.113.9", "203.0.113.9"), ("2001:DB8:0:1:2:3:4:5", "2001:db8:0:1::"), ("::1", "::"),
        ("::ffff:203.0.113.9", "203.0.113.9"), ("2002:cb00:7109::5", "203.0.113.9"),
        ("64:ff9b::203.0.113.9", "203.0.113.9"), ("fe80::1%eth0", "fe80::"), ("", ""), ("hearsay", "hearsay"),
    ],
)  # fmt: skip
def test_what_counts_as_one_client(one, client):
    assert client_of(one) == client


# How many requests


FLOODS = {
    "a /64": lambda n: {"REMOTE_ADDR": f"2001:db8:1:2:{n:x}::{n:x}"},
    "a /64 behind a proxy": lambda n: {"HTTP_X_FORWARDED_FOR": f"2001:db8:1:2::{n:x}"},
    "hearsay": lambda n: {"HTTP_X_FORWARDED_FOR": f"8.8.8.{n}, {STRANGER}"},
    "rubbish": lambda n: {"HTTP_X_FORWARDED_FOR": f"rubbish-{n}", "REMOTE_ADDR": "10.0.0.2"},
    "ports": lambda n: {"HTTP_X_FORWARDED_FOR": f"203.0.113.7:{n + 1000}"},
    "real ip": lambda n: {"HTTP_X_REAL_IP": f"rubbish-{n}"},
    "zones": lambda n: {"HTTP_X_FORWARDED_FOR": f"fe80::1%{n}"},
    "mapped": lambda n: {"REMOTE_ADDR": STRANGER if n % 2 else f"::ffff:{STRANGER}"},
}


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
@pytest.mark.parametrize("path", ["/api/", "/nothing-here"])
def test_no_flood_gets_around_the_limit(client, flood, path):
    codes = [client.get(path, **flood(n)).status_code for n in range(5)]
    assert [code == 429 for code in codes] == [False, False, False, True, True]


@pytest.mark.django_db
@pytest.mark.usefixtures("limited", "plain_static_files")
@pytest.mark.parametrize("path", ["/", "/data/", "/panels/feeds/", "/panels/nope/", "/admin/", "/admin/login/"])
def test_pages_and_panels_have_a_limit_of_their_own(client, path):
    for _ in range(4):
        client.get("/api/", REMOTE_ADDR=STRANGER)
    codes = [client.get(path, REMOTE_ADDR=STRANGER).status_code for _ in range(4)]
    assert 429 not in codes[:3]
    answer = client.get(path, REMOTE_ADDR=STRANGER)
    assert (codes[3], answer.status_code) == (429, 429)
    assert answer["Content-Type"].startswith("text/html")
    assert b"One address can send at most 3 per minute" in answer.content
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert "no-store" in answer["Cache-Control"]
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert client.get(path).status_code != 429  # a direct client on this machine


@pytest.mark.usefixtures("limited")
def test_exports_are_counted_with_the_api_and_say_so_as_json(client):
    for _ in range(3):
        client.get("/api/", REMOTE_ADDR=STRANGER)
    answer = client.get("/export/payments.csv", REMOTE_ADDR=STRANGER)
    assert (answer.status_code, answer["Content-Type"]) == (429, "application/json")
    assert "at most 3 per minute" in answer.json()["error"]


@pytest.mark.usefixtures("limited")
def test_the_health_check_and_static_files_have_none(client):
    paths = ("/api/health/live", static("css/tokens.css"))
    assert {200} == {client.get(path, REMOTE_ADDR=STRANGER).status_code for path in paths for _ in range(9)}


def test_more_clients_than_are_counted_share_what_is_left_and_lose_nobodys_count(monkeypatch):
    monkeypatch.setattr(throttling, "MOST_CLIENTS", 10)
    monkeypatch.setattr(throttling, "MOST_SHARED", 4)
    window = throttling.Window("", throttling.Counters())
    assert not window.count("known", 2, 0.0).is_over
    over = [window.count(f"client {n}", 2, 0.0).is_over for n in range(200)]
    assert not any(over[:9])
    assert over.count(False) == 9 + 4 * 2
    assert [window.count("known", 2, 0.0).is_over for _ in range(2)] == [False, True]


@pytest.mark.parametrize(("peer", "status"), [(STRANGER, 301), ("10.0.0.2", 200), (DIRECT, 200)])
def test_only_a_proxy_of_ours_says_by_which_scheme_it_was_asked(settings, peer, status):
    settings.SECURE_SSL_REDIRECT, settings.SECURE_PROXY_SSL_HEADER = True, ("HTTP_X_FORWARDED_PROTO", "https")
    told = Client(REMOTE_ADDR=peer).get("/api/health/live", headers={"X-Forwarded-Proto": "https"})
    assert told.status_code == status
