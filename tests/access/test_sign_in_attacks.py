"""Signing in as an attacker tries it: other spellings, other addresses, in parallel, and on other pages."""

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from itertools import islice
from urllib.parse import urlencode

import pytest
import time_machine
from django.contrib.auth import authenticate, get_user_model
from django.db import connection
from django.test import Client
from django.utils import timezone

from ops import audit_log
from ops.access import login
from ops.models import AuditEntry, SignInAttempt
from tests.waiting import AMPLE

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static_files", "superuser")]

LOGIN, CHANGE = "/admin/login/", "/admin/password_change/"
RIGHT = "may-do-everything-1"
WIDE = "ｒｏｏｔ"  # NFKC makes it root
SPELLINGS = (WIDE, "ＲＯＯＴ", "ROOT", "Root", " root ", "\u3000root\u00a0", "𝐫𝐨𝐨𝐭", "ⓡⓞⓞⓣ", "rｏot\n")
NO_NAMES = ("", "root\x00", "\x00", "r\u200boot", "root\ufeff", "ｘ" * 150, "x" * 151, "ﷺ" * 150, "x" * 60_000)


def knock(name="root", password="wrong", *, client=None, address="203.0.113.9"):
    return (client or Client()).post(LOGIN, {"username": name, "password": password}, REMOTE_ADDR=address)


def strangers():
    """Addresses of different clients."""
    return (f"198.51.{n // 250}.{n % 250 + 1}" for n in range(60_000))


@pytest.fixture
def closed():
    """The name `root` is closed, by ten clients of which none is."""
    assert [knock(address=address).status_code for address in islice(strangers(), 10)] == [200] * 10


@pytest.mark.engine
@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("name", SPELLINGS)
def test_no_other_spelling_opens_a_closed_name(name):
    assert knock(name, RIGHT).status_code == 429
    assert AuditEntry.objects.latest("id").action == "sign in while shut"


@pytest.mark.engine
@pytest.mark.parametrize("name", [WIDE, " root ", "𝐫𝐨𝐨𝐭"])
def test_the_audit_log_knows_the_user_under_each_spelling(name):
    assert knock(name).status_code == 200
    assert knock(name, RIGHT).status_code == 302
    assert list(AuditEntry.objects.order_by("id").values_list("actor", "outcome")) == [
        ("root", "refused"), ("root", "done"),
    ]  # fmt: skip


@pytest.mark.engine
@pytest.mark.parametrize("name", NO_NAMES, ids=range(len(NO_NAMES)))
def test_what_is_no_name_is_an_ordinary_failure(name):
    assert knock(name, RIGHT).status_code == 200
    assert AuditEntry.objects.get().actor == ""
    assert SignInAttempt.objects.count() == 1


def test_a_network_of_ipv6_is_one_client_here_too():
    codes = [knock(f"name{n}", address=f"2001:db8:1:2:{n:x}::{n:x}").status_code for n in range(12)]
    assert codes == [200] * 10 + [429] * 2
    assert knock(address="2001:db8:1:3::1", password=RIGHT).status_code == 302


@pytest.mark.parametrize("told", ["rubbish-{}", "8.8.8.{}, 203.0.113.9", "203.0.113.9:{}", "2001:db8::{}"])
def test_nor_does_hearsay_make_new_ones(told):
    headers = [{"X-Forwarded-For": told.format(n)} for n in range(1, 12)]
    codes = [Client().post(LOGIN, {"username": f"x{n}"}, headers=one).status_code for n, one in enumerate(headers)]
    assert codes == [200] * 10 + [429]


@pytest.mark.engine
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("address", ["203.0.113.9", None], ids=["one client", "one name"])
def test_of_attempts_at_the_same_moment_ten_are_looked_at(monkeypatch, address):
    """None of those ten is through before all others are refused."""
    gate, looked_at = threading.Event(), []

    def slow(*args, **values):
        looked_at.append(values["username"])
        gate.wait(AMPLE)
        return authenticate(*args, **values)

    monkeypatch.setattr("django.contrib.auth.forms.authenticate", slow)

    def attempt(n, stranger):
        try:
            return knock(f"name{n}" if address else "root", address=address or stranger).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(24) as pool:
        asked = [pool.submit(attempt, n, stranger) for n, stranger in enumerate(islice(strangers(), 24))]
        try:
            refused = [one.result() for one in islice(as_completed(asked, timeout=AMPLE), 14)]
        finally:
            gate.set()
    assert refused == [429] * 14
    assert len(looked_at) == 10
    assert sorted(one.result() for one in asked) == [200] * 10 + [429] * 14


def test_a_flood_of_failures_fills_neither_the_audit_log_nor_the_table(monkeypatch):
    monkeypatch.setattr(audit_log, "MOST", 5)
    start = timezone.now().replace(second=1)
    with time_machine.travel(start, tick=False):
        codes = {knock(f"name{n}", address=address).status_code for n, address in enumerate(islice(strangers(), 40))}
        assert codes == {200}
        assert AuditEntry.objects.count() == 5
    with time_machine.travel(start + login.WINDOW + timedelta(seconds=1), tick=False):
        knock()
        assert SignInAttempt.objects.count() == 1
        told = AuditEntry.objects.get(action="more refusals")
    assert told.detail["count"] == 35


def test_attempts_of_a_clock_that_ran_ahead_close_nothing():
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        assert [knock().status_code for _ in range(11)] == [200] * 10 + [429]
    assert knock(password=RIGHT).status_code == 302


# A stranger cannot keep everybody out


def test_a_browser_that_has_signed_in_before_is_not_kept_out_by_strangers():
    browser = Client()
    assert knock(password=RIGHT, client=browser).status_code == 302
    for address in islice(strangers(), 10):
        knock(address=address)
    for n in range(10):
        knock(f"name{n}")
    assert knock(password=RIGHT).status_code == 429  # another browser, at the same address
    assert knock(WIDE, RIGHT, client=browser).status_code == 302


def test_it_has_ten_attempts_of_its_own_and_they_count_for_the_others():
    browser = Client()
    assert knock(password=RIGHT, client=browser).status_code == 302
    codes = [knock(client=browser, address=address).status_code for address in islice(strangers(), 11)]
    assert codes == [200] * 10 + [429]
    assert knock(password=RIGHT, client=browser, address="203.0.113.77").status_code == 429
    assert knock(password=RIGHT, address="203.0.113.77").status_code == 429


@pytest.mark.usefixtures("closed")
def test_it_is_known_by_the_name_that_it_signed_in_with_and_by_no_other(staff):
    browser = Client()
    assert knock("alice", "of-the-staff-1", client=browser).status_code == 302
    assert knock(password=RIGHT, client=browser).status_code == 429
    browser.cookies[login.COOKIE] = f"{login.mark_of('root')}{'0' * 16}:forged:forged"
    assert knock(password=RIGHT, client=browser).status_code == 429


def test_the_cookie_tells_no_name_and_no_script():
    cookie = knock(password=RIGHT).cookies[login.COOKIE]
    assert "root" not in cookie.value
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/admin/")


# Other pages


@pytest.fixture
def root(superuser):
    client = Client()
    client.force_login(superuser)
    return client


def change(client, old, new="another-password-1", **more):
    form = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post(CHANGE, form | more, REMOTE_ADDR="203.0.113.9")


def test_a_taken_over_session_cannot_try_out_the_old_password(root):
    assert [change(root, "wrong").status_code for _ in range(11)] == [200] * 10 + [429]
    assert change(root, RIGHT).status_code == 429
    assert knock(password=RIGHT).status_code == 429
    refused = AuditEntry.objects.filter(outcome="refused").values_list("actor", "action")
    assert set(refused) == {("root", "change password"), ("root", "sign in while shut")}


def test_a_new_password_that_is_not_good_enough_is_no_failure(root):
    assert {change(root, RIGHT, "short").status_code for _ in range(11)} == {200}
    assert change(root, RIGHT).status_code == 302
    assert not SignInAttempt.objects.exists()


@pytest.mark.parametrize("kind", ["Basic cm9vdDptYXktZG8tZXZlcnl0aGluZy0x", "Bearer x", "Digest username=root"])
def test_no_password_opens_the_api(kind):
    assert Client().get("/api/admin/jobs", headers={"Authorization": kind}).status_code == 401


# Where it leads


FOREIGN = ("https://evil.test/", "//evil.test", "///evil.test", "\\\\evil.test", "/\\evil.test", "javascript:alert(1)",
           "", "https:evil.test", "http://testserver@evil.test/", "%2f%2fevil.test", " //evil.test", "\x1b//evil.test",
           "data:text/html,x", "ftp://testserver/")  # fmt: skip


@pytest.mark.parametrize("where", FOREIGN)
@pytest.mark.parametrize("method", ["query", "form"])
def test_a_foreign_next_leads_to_the_overview(where, method):
    form = {"username": "root", "password": RIGHT} | ({"next": where} if method == "form" else {})
    query = f"?{urlencode({'next': where})}" if method == "query" else ""
    answer = Client().post(f"{LOGIN}{query}", form)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def test_one_of_ours_is_followed():
    form = {"username": "root", "password": RIGHT, "next": "/admin/ops/job/?state=failed"}
    assert Client().post(LOGIN, form)["Location"] == "/admin/ops/job/?state=failed"


@pytest.mark.parametrize("where", FOREIGN)
def test_signing_out_leads_to_the_sign_in(root, where):
    answer = root.post(f"/admin/logout/?{urlencode({'next': where})}", {"next": where})
    assert (answer.status_code, answer["Location"]) == (302, LOGIN)
    assert root.get("/admin/").status_code == 302


def test_sessions_end_with_the_old_password(root, superuser):
    other = Client()
    other.force_login(superuser)
    assert change(root, RIGHT).status_code == 302
    assert (root.get("/admin/").status_code, other.get("/admin/").status_code) == (200, 302)
    assert get_user_model().objects.get(username="root").check_password("another-password-1")
