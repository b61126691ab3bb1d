"""REQUIRE_SECOND_FACTOR: staff without one reach the page that sets it up, and nothing else; tokens go on."""

import pytest
from django.test import Client

from tests.access.test_every_url import ALL, kind
from tests.access.test_second_factor import PAGE, clock, switch_on  # noqa: F401  a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static_files", "required", "clock")]

SIGN_OUT = "/admin/logout/"
OPEN = (PAGE, f"{PAGE}passkey/")
GUARDED = ("any staff", "table", "button", "other admin")


@pytest.fixture
def required(settings):
    settings.REQUIRE_SECOND_FACTOR = True


@pytest.fixture
def root(superuser):
    client = Client()
    client.force_login(superuser)
    return client


def test_every_page_of_the_admin_leads_to_the_one_that_sets_it_up(root):
    pages = [url for label, route, url in ALL if kind(label, route) in GUARDED and url not in OPEN]
    assert len(pages) > 100
    for method in ("get", "post"):
        answers = {url: getattr(root, method)(url) for url in pages}
        open_ones = {url for url, answer in answers.items() if answer.status_code not in (302, 401)}
        elsewhere = {url for url, answer in answers.items() if answer.get("Location", PAGE) != PAGE}
        assert (open_ones, elsewhere) == (set(), set())


def test_that_page_and_the_way_out_are_open(root):
    page = root.get(PAGE)
    assert (page.status_code, b"must have a second factor" in page.content) == (200, True)
    assert root.post(SIGN_OUT)["Location"] == "/admin/login/"
    assert root.get("/admin/")["Location"].startswith("/admin/login/")


def test_with_one_everything_is_open(root):
    switch_on(root)
    assert root.get("/admin/").status_code == 200
    assert root.get("/api/admin/jobs").status_code == 200
    assert b"must have a second factor" not in root.get(PAGE).content


def test_the_api_refuses_such_a_session_and_takes_tokens(root, token_client):
    response = root.get("/api/admin/jobs")
    assert (response.status_code, "second factor" in response.json()["error"]) == (403, True)
    assert root.post("/api/admin/prune?wait=0").status_code == 403
    assert root.get("/api/health").status_code == 200
    assert root.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 403
    assert token_client.get("/api/admin/jobs").status_code == 200
    assert token_client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 200


@pytest.mark.parametrize(("by", "status"), [("oidc", 200), ("", 302)])
def test_single_sign_on_leaves_it_to_the_provider(root, by, status):
    session = root.session
    session["signed_in"] = {"by": by, "at": 0}
    session.save()
    assert root.get("/admin/").status_code == status


def test_without_the_setting_nothing_is_asked(root, settings):
    settings.REQUIRE_SECOND_FACTOR = False
    assert root.get("/admin/").status_code == 200
