"""Passkeys, with an authenticator in software: adding, removing, signing in, and everything that must not."""

import json
import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

from ops.access.login import MOST_FAILURES
from ops.models import AuditEntry, Passkey
from tests.access.test_second_factor import PAGE, PASSWORD, switch_on

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static_files")]

LOGIN, SIGN_IN, ADD = "/admin/login/", "/admin/login/passkey/", f"{PAGE}passkey/"
HERE = {"HTTP_HOST": "localhost:8000", "REMOTE_ADDR": "203.0.113.9"}
FLAG = AuthenticatorData.FLAG
VERIFIED = FLAG.UP | FLAG.UV
STEP = timedelta(seconds=30)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel("2026-11-24T10:00:10Z", tick=False) as traveller:
        yield traveller


class Device:
    """An authenticator: makes a key for a site, and signs with it. Its fields are what tests spoil."""

    def __init__(self, origin="http://localhost:8000", site="localhost", flags=VERIFIED, count=0):
        self.key, self.id = ec.generate_private_key(ec.SECP256R1()), b"id of a credential"
        self.origin, self.site, self.flags, self.count, self.user = origin, site, flags, count, None

    def _site_hash(self):
        digest = hashes.Hash(hashes.SHA256())
        digest.update(self.site.encode())
        return digest.finalize()

    def make(self, options):
        self.user = options["user"]["id"]
        public = ES256.from_cryptography_key(self.key.public_key())
        credential = AttestedCredentialData.create(b"\0" * 16, self.id, public)
        data = AuthenticatorData.create(self._site_hash(), self.flags | FLAG.AT, self.count, credential)
        client = CollectedClientData.create("webauthn.create", websafe_decode(options["challenge"]), self.origin)
        made = AttestationObject.create("none", data, {})
        return self._answer({"clientDataJSON": client, "attestationObject": made})

    def sign(self, options):
        client = CollectedClientData.create("webauthn.get", websafe_decode(options["challenge"]), self.origin)
        data = AuthenticatorData.create(self._site_hash(), self.flags, self.count)
        signature = self.key.sign(data + client.hash, ec.ECDSA(hashes.SHA256()))
        user = websafe_decode(self.user)
        return self._answer(
            {"clientDataJSON": client, "authenticatorData": data, "signature": signature, "userHandle": user}
        )

    def _answer(self, parts):
        coded = {name: websafe_encode(part) for name, part in parts.items()}
        return {"id": websafe_encode(self.id), "rawId": websafe_encode(self.id), "type": "public-key"} | {
            "response": coded, "clientExtensionResults": {}
        }  # fmt: skip


@pytest.fixture
def alice(client, staff):
    """Alice, who has just signed in with her password."""
    assert sign_in_by_password(client).status_code == 302
    return client


def sign_in_by_password(client, code=""):
    return client.post(LOGIN, {"username": "alice", "password": PASSWORD, "code": code}, **HERE)


def form_of(page, kind):
    """The options and the state of the form for a new passkey, or for signing in."""
    options = re.search(rf'data-passkey="{kind}"\s+data-options="([^"]*)"', page)[1]
    state = re.search(r'name="state" value="([^"]*)"', page.partition(f'data-passkey="{kind}"')[2])[1]
    return json.loads(unescape(options)), state


def add(client, device, name="Laptop", **changed):
    options, state = form_of(client.get(PAGE, **HERE).content.decode(), "create")
    form = {"state": state, "credential": json.dumps(device.make(options)), "name": name} | changed
    return client.post(ADD, form, **HERE)


def sign_in(client, device, spoil=lambda answer: answer, **changed):
    options, state = form_of(client.get(LOGIN, **HERE).content.decode(), "get")
    form = {"state": state, "credential": json.dumps(spoil(device.sign(options))), "next": "/admin/auth/"} | changed
    return client.post(SIGN_IN, form, **HERE)


def why(response):
    """The code of a refusal that ended on the sign-in page."""
    assert (response.status_code, response["Location"]) == (302, LOGIN)
    assert "sessionid" not in response.client.cookies
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.outcome, entry.detail["by"]) == ("sign in", "refused", "passkey")
    return entry.detail["why"]


@pytest.fixture
def device(alice, clock):
    found = Device()
    assert add(alice, found).status_code == 200
    clock.shift(STEP)
    return found


def test_one_that_was_added_signs_in_alone(alice, device):
    assert sign_in(browser := Client(), device)["Location"] == "/admin/auth/"
    assert browser.get("/admin/", **HERE).status_code == 200
    assert browser.session["signed_in"]["by"] == "passkey"
    entry = AuditEntry.objects.latest("id")
    assert (entry.actor, entry.action, entry.outcome, entry.detail) == ("alice", "sign in", "done", {"by": "passkey"})
    row = Passkey.objects.get()
    assert (row.name, row.last_used_at) == ("Laptop", timezone.now())


def test_the_first_one_comes_with_recovery_codes_and_the_password_alone_opens_nothing(alice, clock):
    codes = re.findall(r"<li><code>([0-9a-f-]+)</code>", add(alice, Device()).content.decode())
    assert len(codes) == 10
    assert sign_in_by_password(Client()).status_code == 200
    clock.shift(STEP)
    assert sign_in_by_password(Client(), codes[0]).status_code == 302
    other = Device()
    other.id = b"another"
    assert add(alice, other)["Location"] == PAGE
    assert Passkey.objects.count() == 2


def test_it_is_a_second_factor_where_one_is_required(alice, settings):
    settings.REQUIRE_SECOND_FACTOR = True
    assert alice.get("/admin/", **HERE)["Location"] == PAGE
    add(alice, Device())
    assert alice.get("/admin/", **HERE).status_code == 200


def test_an_app_and_a_passkey_go_together(alice, device):
    page = alice.get(PAGE, **HERE).content.decode()
    assert ('id="key"' in page, "Laptop" in page) == (True, True)
    switch_on(alice)
    assert 'id="key"' not in alice.get(PAGE, **HERE).content.decode()
    assert sign_in(Client(), device).status_code == 302


@pytest.mark.parametrize("host", ["tracker.example.org", "127.0.0.1:8000", "[::1]:8000"])
def test_over_http_it_is_offered_on_localhost_alone(alice, settings, host):
    settings.ALLOWED_HOSTS = ["*"]
    where = HERE | {"HTTP_HOST": host}
    assert b"data-passkey" not in alice.get(PAGE, **where).content
    assert b"data-passkey" not in Client().get(LOGIN, **where).content
    assert Client().post(SIGN_IN, **where).status_code == 404
    assert alice.post(ADD, **where)["Location"] == PAGE
    assert Passkey.objects.count() == 0


def test_over_https_it_is_offered_by_name(alice, settings):
    settings.ALLOWED_HOSTS = ["*"]
    where = HERE | {"HTTP_HOST": "tracker.example.org", "wsgi.url_scheme": "https"}
    options, state = form_of(alice.get(PAGE, **where).content.decode(), "create")
    assert (options["rp"]["id"], options["user"]["name"]) == ("tracker.example.org", "alice")
    device = Device("https://tracker.example.org", "tracker.example.org")
    form = {"state": state, "credential": json.dumps(device.make(options))}
    assert alice.post(ADD, form, **where).status_code == 200
    where["HTTP_HOST"] = "10.0.0.1"
    assert b"data-passkey" not in Client().get(LOGIN, **where).content


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "http://localhost:9000"},
        {"origin": "https://localhost:8000"},
        {"origin": "http://evil.example"},
        {"site": "evil.example"},
        {"flags": FLAG.UP},
        {"flags": FLAG.UV},
    ],
)
def test_what_was_not_signed_for_this_page_by_its_holder_is_refused(alice, device, wrong):
    assert add(alice, Device(**wrong))["Location"] == PAGE
    assert Passkey.objects.count() == 1
    for name, value in wrong.items():
        setattr(device, name, value)
    assert why(sign_in(Client(), device)) == "invalid"


def other_signature(answer):
    answer["response"]["signature"] = websafe_encode(b"0" * 70)
    return answer


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (other_signature, "invalid"),
        (lambda answer: answer | {"rawId": websafe_encode(b"another"), "id": websafe_encode(b"another")}, "unknown"),
        (lambda answer: answer | {"response": {}}, "invalid"),
        (lambda answer: [answer], "invalid"),
        (lambda answer: "text", "invalid"),
        (lambda answer: {}, "invalid"),
    ],
)
def test_a_spoilt_answer_is_refused(device, spoil, code):
    assert why(sign_in(Client(), device, spoil)) == code


@pytest.mark.parametrize("text", ["", "{", "[" * 50_000, '{"rawId": 1}', '{"rawId": "\\u0000"}'])
def test_what_is_no_answer_is_refused(device, text):
    assert why(sign_in(Client(), device, credential=text)) == "invalid"


def test_another_key_does_not_sign_for_it(device):
    device.key = ec.generate_private_key(ec.SECP256R1())
    assert why(sign_in(Client(), device)) == "invalid"


def test_an_answer_counts_once(device, clock):
    browser = Client()
    options, state = form_of(browser.get(LOGIN, **HERE).content.decode(), "get")
    form = {"state": state, "credential": json.dumps(device.sign(options))}
    assert browser.post(SIGN_IN, form, **HERE)["Location"] == "/admin/"
    clock.shift(STEP)
    assert why(Client().post(SIGN_IN, form, **HERE)) == "used"


def test_a_page_counts_for_a_quarter_of_an_hour(device, clock):
    browser = Client()
    options, state = form_of(browser.get(LOGIN, **HERE).content.decode(), "get")
    clock.shift(timedelta(minutes=15, seconds=1))
    form = {"state": state, "credential": json.dumps(device.sign(options))}
    assert why(browser.post(SIGN_IN, form, **HERE)) == "expired"
    assert why(sign_in(browser, device, state="x")) == "expired"


def test_a_page_for_adding_one_signs_nobody_in(alice, device):
    _, state = form_of(alice.get(PAGE, **HERE).content.decode(), "create")
    assert why(sign_in(Client(), device, state=state)) == "expired"


def test_a_copy_of_the_device_is_noticed(alice, clock):
    device = Device(count=7)
    add(alice, device)
    for count, location in ((8, "/admin/auth/"), (8, LOGIN), (0, LOGIN), (9, "/admin/auth/")):
        clock.shift(STEP)
        device.count = count
        assert sign_in(Client(), device)["Location"] == location
    assert Passkey.objects.get().sign_count == 9


@pytest.mark.parametrize("change", [{"is_staff": False}, {"is_active": False}])
def test_only_active_staff_gets_in(device, change):
    User.objects.update(**change)
    assert why(sign_in(Client(), device)) == "account"


def test_one_that_names_another_user_is_refused(device, superuser):
    device.user = websafe_encode(str(superuser.pk).encode())
    assert why(sign_in(Client(), device)) == "account"


def test_attempts_are_limited_as_passwords_are(device):
    for _ in range(MOST_FAILURES):
        sign_in(Client(), device, state="x")
    assert sign_in(Client(), device).status_code == 429
    assert sign_in_by_password(Client()).status_code == 429


def test_wrong_passwords_of_strangers_do_not_close_it(device):
    for n in range(MOST_FAILURES + 1):
        form = {"username": "alice", "password": "wrong"}
        Client().post(LOGIN, form, **HERE | {"REMOTE_ADDR": f"198.51.100.{n}"})
    assert sign_in(Client(), device)["Location"] == "/admin/auth/"


def test_the_way_back_leads_to_this_site_only(device):
    assert sign_in(Client(), device, next="https://evil.example/")["Location"] == "/admin/"


def test_strangers_make_no_sessions(device):
    before = Session.objects.count()
    why(sign_in(Client(), device, state="x"))
    assert Session.objects.count() == before


def test_the_same_one_is_not_added_twice(alice, device):
    assert add(alice, device)["Location"] == PAGE
    options, _ = form_of(alice.get(PAGE, **HERE).content.decode(), "create")
    assert [each["id"] for each in options["excludeCredentials"]] == [websafe_encode(device.id)]
    assert Passkey.objects.count() == 1


def test_removing_the_last_one_ends_the_second_factor(alice, device):
    key = Passkey.objects.get().pk
    assert alice.get(f"{ADD}{key}/remove/", **HERE).status_code == 405
    assert alice.post(f"{ADD}{key}/remove/", **HERE)["Location"] == PAGE
    assert Passkey.objects.count() == 0
    assert why(sign_in(Client(), device)) == "unknown"
    assert sign_in_by_password(Client()).status_code == 302
    entries = AuditEntry.objects.filter(action__startswith="passkey").order_by("id")
    assert list(entries.values_list("actor", "action", "detail")) == [
        ("alice", "passkey added", {"passkey": "Laptop"}), ("alice", "passkey removed", {"passkey": "Laptop"}),
    ]  # fmt: skip


def test_nobody_removes_one_of_another_user(device, superuser):
    root = Client()
    root.force_login(superuser)
    session = root.session
    session["signed_in"] = {"by": "", "at": timezone.now().timestamp()}
    session.save()
    assert root.post(f"{ADD}{Passkey.objects.get().pk}/remove/", **HERE).status_code == 404
    assert Passkey.objects.count() == 1


def test_a_session_that_is_old_adds_and_removes_nothing(alice, device, clock):
    _, state = form_of(alice.get(PAGE, **HERE).content.decode(), "create")
    clock.shift(timedelta(minutes=16))
    page = alice.get(PAGE, **HERE).content.decode()
    assert ("data-passkey" in page, 'id="key"' in page, "sign out and in again" in page) == (False, False, True)
    assert alice.post(ADD, {"state": state, "credential": "{}"}, **HERE)["Location"] == PAGE
    assert alice.post(f"{ADD}{Passkey.objects.get().pk}/remove/", **HERE)["Location"] == PAGE
    assert alice.post(PAGE, {"code": "000000"}, **HERE)["Location"] == PAGE
    assert Passkey.objects.count() == 1


def test_lost_ones_are_removed_by_the_command(device):
    call_command("remove_second_factor", "alice")
    assert Passkey.objects.count() == 0
    assert sign_in_by_password(Client()).status_code == 302


def test_the_policy_of_the_pages_stays(alice):
    for client, path in ((Client(), LOGIN), (alice, PAGE)):
        policy = client.get(path, **HERE)["Content-Security-Policy"]
        assert ("script-src 'self'" in policy, "unsafe" in policy) == (True, False)
