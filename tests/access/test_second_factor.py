"""A second factor: codes of an app and recovery codes, under the limit of sign-ins, and what to do when it is lost."""

import io
import re
from base64 import b32decode
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from ops.access.login import MOST_FAILURES
from ops.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static_files", "clock")]

PAGE, PASSWORD = "/admin/second-factor/", "of-the-staff-1"
STEP = timedelta(seconds=30)


@pytest.fixture
def clock():
    with time_machine.travel("2026-11-24T10:00:10Z", tick=False) as traveller:
        yield traveller


@pytest.fixture
def alice(client, staff):
    client.force_login(staff)
    return client


def now(key, clock_is_off_s=0):
    """The code that an app shows now, by its own clock."""
    import time

    totp = TOTP(key)
    totp.time = time.time() + clock_is_off_s
    return f"{totp.token():06d}"


def switch_on(client):
    """Do as the page says: the key, and the recovery codes."""
    words = re.search(r'id="key">([A-Z2-7 ]+)<', client.get(PAGE).content.decode())[1]
    key = b32decode(words.replace(" ", ""))
    response = client.post(PAGE, {"code": now(key)})
    assert response.status_code == 200
    return key, re.findall(r"<li><code>([0-9a-f-]+)</code>", response.content.decode())


def sign_in(code="", password=PASSWORD, client=None):
    form = {"username": "alice", "password": password, "code": code}
    return (client or Client()).post("/admin/login/", form, REMOTE_ADDR="203.0.113.9")


def test_with_it_the_password_alone_opens_nothing(alice, clock):
    assert sign_in().status_code == 302
    key, codes = switch_on(alice)
    assert (len(codes), len(set(codes))) == (10, 10)
    used = now(key)
    clock.shift(STEP)
    assert (sign_in().status_code, sign_in(used).status_code) == (200, 200)
    clock.shift(timedelta(minutes=1))
    assert sign_in(now(key)).status_code == 302
    assert sign_in(now(key)).status_code == 200  # each code counts once
    clock.shift(timedelta(minutes=1))
    assert sign_in(codes[0].upper()).status_code == 302
    assert sign_in(codes[0]).status_code == 200
    assert StaticToken.objects.count() == 9


def test_a_page_does_not_tell_what_was_wrong(alice, clock):
    key, _ = switch_on(alice)
    clock.shift(timedelta(minutes=1))
    wrong = [sign_in(code, password) for code, password in (("", PASSWORD), ("123456", PASSWORD), (now(key), "wrong"))]
    notes = [re.findall(r'class="errornote">(.*?)</p>', response.content.decode(), re.DOTALL) for response in wrong]
    assert [len(found) for found in notes] == [1, 1, 1]
    assert notes[0] == notes[1] == notes[2]


def test_wrong_codes_count_as_failed_sign_ins(alice, clock):
    key, _ = switch_on(alice)
    for _ in range(MOST_FAILURES):
        assert sign_in("000000").status_code == 200
    clock.shift(timedelta(minutes=10))
    assert sign_in(now(key)).status_code == 429
    assert AuditEntry.objects.filter(action="sign in", outcome="refused").count() == MOST_FAILURES


@pytest.mark.parametrize(("off_s", "code"), [(-30, 302), (30, 302), (-90, 200), (90, 200)])
def test_a_clock_may_be_half_a_minute_off(alice, clock, off_s, code):
    key, _ = switch_on(alice)
    clock.shift(timedelta(minutes=5))
    assert sign_in(now(key, off_s)).status_code == code


def test_it_is_switched_off_and_renewed_with_a_code_alone(alice, clock):
    key, codes = switch_on(alice)
    clock.shift(STEP)
    assert b"code is wrong" in alice.post(PAGE, {"code": "000000", "off": "1"}).content
    clock.shift(timedelta(minutes=1))
    renewed = re.findall(r"<li><code>([0-9a-f-]+)</code>", alice.post(PAGE, {"code": now(key)}).content.decode())
    assert set(renewed).isdisjoint(codes)
    assert sign_in(codes[1]).status_code == 200
    clock.shift(timedelta(minutes=1))
    assert alice.post(PAGE, {"code": renewed[0], "off": "1"}).status_code == 302
    assert (TOTPDevice.objects.count(), StaticToken.objects.count()) == (0, 0)
    assert sign_in().status_code == 302
    actions = AuditEntry.objects.filter(action__startswith="second factor").order_by("id")
    assert list(actions.values_list("action", "outcome")) == [
        ("second factor on", "done"), ("second factor code", "refused"), ("second factor on", "done"),
        ("second factor off", "done"),
    ]  # fmt: skip


def test_a_code_that_is_wrong_switches_nothing_on(alice):
    alice.get(PAGE)
    assert b"code is wrong" in alice.post(PAGE, {"code": "000000"}).content
    assert (TOTPDevice.objects.count(), sign_in().status_code) == (0, 302)


def test_a_lost_one_is_removed_by_a_command(alice):
    switch_on(alice)
    for expected in ("removed True", "removed False"):
        out = io.StringIO()
        call_command("remove_second_factor", "alice", stdout=out)
        assert out.getvalue().strip() == expected
    assert sign_in().status_code == 302
    entry = AuditEntry.objects.get(action="second factor off")
    assert (entry.actor, entry.detail) == ("command", {"user": "alice"})
    with pytest.raises(CommandError, match="there is no user 'nobody'"):
        call_command("remove_second_factor", "nobody")


def test_no_page_and_no_column_shows_a_secret(alice, superuser, clock):
    _, codes = switch_on(alice)
    kept = " ".join(StaticToken.objects.values_list("token", flat=True))
    assert not any(code.replace("-", "") in kept for code in codes)
    root = Client()
    root.force_login(superuser)
    for path in ("otp_totp/totpdevice/", "otp_static/staticdevice/"):
        assert root.get(f"/admin/{path}").status_code == 404
    page = alice.get(PAGE)
    assert (b'id="key"' in page.content, b"data:image" in page.content) == (False, False)
    assert "no-store" in page["Cache-Control"]
    assert User.objects.filter(username="alice").exists()
