"""Single sign-on by OpenID Connect, against a provider with real signatures: who gets in, and how the rest ends."""

import json
import re
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses
import time_machine
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core import checks
from django.test import Client
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from ops.access.login import MOST_FAILURES
from ops.access.single_sign_on import REASONS
from ops.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static_files", "configured")]

ISSUER, SECRET = "https://sso.example/realm", "secret-of-the-client"
START, CALLBACK = "/admin/login/oidc/", "/admin/login/oidc/callback/"
KEY, OTHER_KEY = (RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"}) for _ in range(2))
HERE = {"REMOTE_ADDR": "203.0.113.9"}


@pytest.fixture
def configured(settings):
    settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = ISSUER, "tracker", SECRET
    settings.OIDC_NAME = "Example login"


@pytest.fixture
def staff(staff):
    staff.email = "Alice@Example.org"
    staff.save()
    return staff


class Provider:
    """Answers as an OpenID Connect provider does. Tests change what it says."""

    def __init__(self, mocked):
        self.mocked = mocked
        self.metadata = {
            "issuer": ISSUER, "authorization_endpoint": f"{ISSUER}/auth", "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys", "userinfo_endpoint": f"{ISSUER}/user",
        }  # fmt: skip
        self.keys, self.signer, self.header = [KEY], KEY, {"alg": "RS256", "kid": "one"}
        self.claims, self.user, self.token = {}, None, {"access_token": "opaque", "token_type": "Bearer"}
        self.asked = {}
        mocked.add_callback("GET", f"{ISSUER}/.well-known/openid-configuration", lambda _: self.json(self.metadata))
        mocked.add_callback("GET", f"{ISSUER}/keys", lambda _: self.json({"keys": [self.public(k) for k in self.keys]}))
        mocked.add_callback("POST", f"{ISSUER}/token", self.give)
        mocked.add_callback("GET", f"{ISSUER}/user", lambda _: self.json(self.user))

    @staticmethod
    def json(value):
        return 200, {"Content-Type": "application/json"}, json.dumps(value)

    @staticmethod
    def public(key):
        return key.as_dict(private=False)

    def id_token(self):
        now = int(time.time())
        claims = {
            "iss": ISSUER, "aud": "tracker", "sub": "user-1", "iat": now, "exp": now + 300,
            "nonce": self.asked["nonce"], "email": "alice@example.org", "email_verified": True,
        } | self.claims  # fmt: skip
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(self.header, kept, self.signer)

    def give(self, request):
        self.form = parse_qs(request.body)
        self.authorization = request.headers.get("Authorization", "")
        return self.json({"id_token": self.id_token(), **self.token})


@pytest.fixture
def provider():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        yield Provider(mocked)


def begin(client, provider, query=""):
    """Press the button; return the state that the provider got."""
    response = client.get(START + query, **HERE)
    assert response.status_code == 302
    url = urlsplit(response["Location"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{ISSUER}/auth"
    provider.asked = {name: values[0] for name, values in parse_qs(url.query).items()}
    return provider.asked["state"]


def come_back(client, state, **query):
    return client.get(CALLBACK, {"code": "a-code", "state": state} | query, **HERE)


def sign_in(client, provider, query="", **changed):
    return come_back(client, begin(client, provider, query), **changed)


def is_refused(response, why):
    """Whether it ended on the sign-in page with this sentence, without secrets, and in the log with its code."""
    assert (response.status_code, response["Location"]) == (302, "/admin/login/")
    assert "_auth_user_id" not in response.client.session
    page = response.client.get("/admin/login/").content.decode()
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.outcome, entry.detail) == ("sign in", "refused", {"by": "oidc", "why": why})
    assert not any(secret in page for secret in (SECRET, "a-code", "opaque"))
    return REASONS[why].replace("'", "&#x27;") in page


def test_the_user_of_a_verified_address_gets_in(client, staff, provider):
    response = sign_in(client, provider, "?next=/admin/auth/")
    assert (response.status_code, response["Location"]) == (302, "/admin/auth/")
    assert client.session["_auth_user_id"] == str(staff.pk)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.address, entry.action, entry.outcome, entry.detail) == (
        "alice", "203.0.113.9", "sign in", "done", {"by": "oidc"},
    )  # fmt: skip
    asked = provider.asked
    assert (asked["response_type"], asked["client_id"], asked["scope"]) == ("code", "tracker", "openid email profile")
    assert (asked["code_challenge_method"], asked["redirect_uri"]) == ("S256", f"http://testserver{CALLBACK}")
    assert (provider.form["code"], provider.form["redirect_uri"]) == (["a-code"], [asked["redirect_uri"]])
    assert len(provider.form["code_verifier"][0]) >= 43
    assert provider.authorization.startswith("Basic ")
    assert "no-store" in response["Cache-Control"]


def test_each_request_to_the_provider_has_a_time_limit(client, staff, provider):
    provider.claims, provider.user = {"email": None}, {"sub": "user-1", "email": "alice@example.org"}
    provider.user["email_verified"] = True
    assert "_auth_user_id" in sign_in(client, provider).client.session
    assert len(provider.mocked.calls) == 5
    assert {call.request.req_kwargs["timeout"] for call in provider.mocked.calls} == {5}


def test_the_button_is_there_only_when_it_leads_somewhere(client, settings):
    assert b"Example login" in client.get("/admin/login/").content
    settings.OIDC_CLIENT_SECRET = ""
    assert b"oidc" not in client.get("/admin/login/").content
    assert [client.get(path).status_code for path in (START, CALLBACK)] == [404, 404]


def test_strangers_make_no_sessions(client, provider):
    begin(client, provider)
    come_back(client, "wrong")
    assert Session.objects.count() == 0


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "relative/", "javascript:alert(1)"])
def test_the_way_back_leads_to_this_site_only(client, staff, provider, elsewhere):
    assert sign_in(client, provider, f"?next={elsewhere}")["Location"] == "/admin/"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"email": "mallory@example.org"}, "account"),
        ({"email": None}, "email"),
        ({"email_verified": False}, "email"),
        ({"email_verified": None}, "email"),
        ({"email": "alıce@example.org"}, "email"),
        ({"iss": "https://evil.example"}, "invalid"),
        ({"aud": "another-client"}, "invalid"),
        ({"aud": ["another-client"], "azp": "tracker"}, "invalid"),
        ({"nonce": "another"}, "invalid"),
        ({"nonce": None}, "invalid"),
        ({"sub": None}, "invalid"),
        ({"exp": 1_000_000_000}, "clock"),
        ({"iat": 9_000_000_000}, "clock"),
    ],
)
def test_who_does_not_get_in(client, staff, provider, claims, why):
    provider.claims = claims
    provider.user = {"sub": "user-1"}
    assert is_refused(sign_in(client, provider), why)
    assert User.objects.count() == 1


@pytest.mark.parametrize(("off_s", "is_in"), [(-50, True), (50, True), (-400, False), (400, False)])
def test_the_clocks_may_differ_by_a_minute(client, staff, provider, off_s, is_in):
    with time_machine.travel("2026-11-24T10:00:00Z", tick=False) as clock:
        state = begin(client, provider)
        token = provider.id_token()
        provider.token = {**provider.token, "id_token": token}
        clock.shift(off_s)
        if off_s < 0:
            state = begin(client, provider)  # our own cookie must not be from the future
            provider.token["id_token"] = jwt.encode(
                provider.header, jwt.decode(token, KEY).claims | {"nonce": provider.asked["nonce"]}, KEY
            )
        response = come_back(client, state)
    assert is_in == ("_auth_user_id" in response.client.session)
    assert is_in or is_refused(response, "clock")


def wrong_signature(provider):
    provider.signer = OTHER_KEY


def unknown_key(provider):
    provider.signer, provider.header = OTHER_KEY, {"alg": "RS256", "kid": "two"}


def secret_as_key(provider):
    """The client's secret is no key: whoever knows it must not be able to sign."""
    from joserfc.jwk import OctKey

    provider.signer, provider.header = OctKey.import_key(SECRET), {"alg": "HS256"}


def no_signature(provider):
    provider.token["id_token"] = "eyJhbGciOiJub25lIn0.e30."


def no_token(provider):
    provider.token["id_token"] = None


def no_keys(provider):
    provider.keys = []


def other_issuer(provider):
    provider.metadata["issuer"] = "https://evil.example"


def address_without_tls(provider):
    provider.metadata["token_endpoint"] = "http://sso.example/token"


@pytest.mark.parametrize(
    "change",
    [wrong_signature, unknown_key, secret_as_key, no_signature, no_token, no_keys, other_issuer, address_without_tls],
)
def test_what_cannot_be_trusted_is_not_used(client, staff, provider, change):
    state = begin(client, provider)
    change(provider)
    assert is_refused(come_back(client, state), "invalid")


def test_a_signature_by_an_elliptic_curve_is_as_good(client, staff, provider):
    provider.signer = ECKey.generate_key("P-256", {"kid": "ec"})
    provider.keys, provider.header = [KEY, provider.signer], {"alg": "ES256", "kid": "ec"}
    assert "_auth_user_id" in sign_in(client, provider).client.session


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"json": {"error": "invalid_grant", "error_description": SECRET}}, "denied"),
        ({"json": {"error": "invalid_client"}, "status": 401}, "denied"),
        ({"body": "<html>maintenance</html>"}, "invalid"),
        ({"json": []}, "invalid"),
        ({"json": {}}, "invalid"),
        ({"status": 502}, "away"),
        ({"body": requests.ReadTimeout(f"hangs with {SECRET}")}, "away"),
        ({"body": requests.ConnectionError()}, "away"),
    ],
)
def test_errors_of_the_provider_end_on_the_sign_in_page(client, staff, provider, answer, why, caplog):
    state = begin(client, provider)
    provider.mocked.replace("POST", f"{ISSUER}/token", **answer)
    assert is_refused(come_back(client, state), why)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("answer", [{"status": 500}, {"body": requests.ConnectTimeout()}, {"body": "no JSON"}])
def test_a_provider_that_is_away_is_said_at_once(client, provider, answer):
    provider.mocked.replace("GET", f"{ISSUER}/.well-known/openid-configuration", **answer)
    assert is_refused(client.get(START, **HERE), "away")


def test_the_provider_says_no(client, staff, provider):
    state = begin(client, provider)
    assert is_refused(client.get(CALLBACK, {"error": "access_denied", "state": state}, **HERE), "denied")


def test_an_answer_belongs_to_the_browser_that_asked(client, staff, provider):
    state = begin(Client(), provider)
    assert is_refused(come_back(client, state), "expired")
    begin(client, provider)
    assert is_refused(come_back(client, state), "expired")
    assert is_refused(client.get(CALLBACK, **HERE), "expired")


def test_an_answer_counts_once_and_for_ten_minutes(client, staff, provider):
    with time_machine.travel("2026-11-24T10:00:00Z", tick=False) as clock:
        state = begin(client, provider)
        assert come_back(client, state)["Location"] == "/admin/"
        client.logout()
        assert is_refused(come_back(client, state), "expired")
        state = begin(client, provider)
        clock.shift(601)
        assert is_refused(come_back(client, state), "expired")


@pytest.mark.parametrize("change", [{"is_staff": False}, {"is_active": False}])
def test_only_active_staff_gets_in(client, staff, provider, change):
    User.objects.update(**change)
    assert is_refused(sign_in(client, provider), "account")


def test_an_address_of_two_accounts_opens_neither(client, staff, provider):
    User.objects.create_user("bob", "alice@example.org", is_staff=True)
    assert is_refused(sign_in(client, provider), "account")


def test_a_group_makes_staff_without_permissions(client, provider, settings):
    settings.OIDC_STAFF_GROUP = "fluxtracker"
    for groups in (None, [], ["others"], "fluxtracker", {"fluxtracker": 1}):
        provider.claims, provider.user = {"groups": groups}, {"sub": "user-1"}
        assert is_refused(sign_in(client, provider), "group")
    assert User.objects.count() == 0
    provider.claims = {"groups": ["others", "fluxtracker"]}
    for _ in range(2):
        assert sign_in(client, provider)["Location"] == "/admin/"
    made = User.objects.get()
    assert (made.username, made.email, made.is_staff, made.is_superuser) == (
        "alice@example.org", "alice@example.org", True, False,
    )  # fmt: skip
    assert (made.has_usable_password(), made.get_all_permissions()) == (False, set())
    assert AuditEntry.objects.get(action="create user").detail == {"user": "alice@example.org", "group": "fluxtracker"}


def test_a_group_does_not_open_the_account_of_another_name(client, provider, settings):
    settings.OIDC_STAFF_GROUP = "fluxtracker"
    provider.claims = {"groups": ["fluxtracker"]}
    User.objects.create_user("Alice@example.org", "other@example.org", is_staff=True)
    assert is_refused(sign_in(client, provider), "account")


def test_what_the_user_endpoint_tells_must_be_of_the_same_user(client, staff, provider):
    provider.claims = {"email": None, "email_verified": None}
    provider.user = {"sub": "another", "email": "alice@example.org", "email_verified": True}
    assert is_refused(sign_in(client, provider), "invalid")


def test_attempts_are_limited_as_passwords_are(client, staff, provider):
    for _ in range(MOST_FAILURES):
        come_back(client, "wrong")
    before = len(provider.mocked.calls)
    assert [client.get(path, **HERE).status_code for path in (START, CALLBACK)] == [429, 429]
    assert len(provider.mocked.calls) == before
    elsewhere = {"REMOTE_ADDR": "198.51.100.7"}
    assert client.get(START, **elsewhere).status_code == 302  # strangers do not close it for others


def test_a_session_knows_how_it_began(client, staff, provider):
    sign_in(client, provider)
    assert client.session["signed_in"]["by"] == "oidc"


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, []),
        ({"OIDC_CLIENT_ID": "", "OIDC_CLIENT_SECRET": ""}, ["OIDC_CLIENT_ID, OIDC_CLIENT_SECRET must be set"]),
        ({"OIDC_ISSUER": ""}, ["OIDC_ISSUER must be set"]),
        ({"HTTPS": False}, ["HTTPS must be 1"]),
        (dict.fromkeys(("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"), ""), []),
    ],
)
def test_the_check_before_a_deployment_says_what_is_incomplete(settings, changed, found):
    for name, value in ({"HTTPS": True} | changed).items():
        setattr(settings, name, value)
    said = [str(each.msg) for each in checks.run_checks(include_deployment_checks=True)]
    own = [words for words in said if words.startswith("Single sign-on")]
    assert len(own) == len(found)
    assert all(expected in words for words, expected in zip(own, found, strict=True))


def test_the_policy_of_the_page_stays(client):
    response = client.get("/admin/login/")
    assert re.search(r"form-action 'self'", response["Content-Security-Policy"])
    assert b"<form" in response.content
    assert ISSUER.encode() not in response.content
