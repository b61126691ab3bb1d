"""Every URL of the project, requested by a visitor, a user, staff and a superuser; an unclassified one fails.

The apps that only show data are public as a whole; Django's permissions guard the tables of the admin.
"""

import re
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from ops.registry import jobs
from tests.remembered import again

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static_files")]

# Reads that anybody may do: by the name of the URL, or its route where it has none.
PUBLIC = {
    "api", "schema", "docs", "health", "health-live", "health-ready", "transactions", "revenue-daily",
    "revenue-pending", "revenue-weekly", "revenue-monthly", "revenue-quarterly", "revenue-yearly", "analytics-apps",
    "analytics-comparison", "metrics-current", "metrics-category", "metrics-category-top", "carousel-stats",
    "carousel-deployed", "carousel-expiring", "history-snapshots", "history-snapshots-full", "history-snapshot",
    "history-range", "history-images", "history-series", "history-metrics", "history-readings", "history-category",
    "app", "owner", "economics-kinds", "economics-cohorts",
    "network-decentralisation", "network-nodes", "network-fill",
    "economics-accrual", "economics-forecast", "revenue-sources", "revenue-categories", "payer", "export-fees",
    "stats", "revenue-status", "snapshot-status", "test-status", "^api/", "reports-kpi",
}  # fmt: skip
ASKS = {f"ask-{name}" for name in jobs()} | {"job-cancel"}  # POST, staff
STAFF_READS = {"jobs", "job", "prometheus"}
SINGLE_SIGN_ON = {"oidc", "oidc-callback"}  # not there until it is configured
SIGN_IN = {"admin/login/", "admin:login"}
ANY_STAFF = {  # pages of the admin that need no permission on a table
    "admin:index", "admin:password_change", "admin:password_change_done", "admin:jsi18n",
    "admin:autocomplete", "admin:view_on_site", "admin:app_list", "admin:overview", "admin:work", "admin:second-factor",
    "admin:passkey-add", "admin:passkey-remove",
}  # fmt: skip
BUTTONS = {  # POST, staff; some ask for a permission besides
    "admin:ops_alert_test", "admin:ops_job_cancel", "admin:ops_apitoken_revoke", "admin:metrics_trackedapp_preview",
}  # fmt: skip
OF_A_TABLE = {  # further pages that ask for a permission on a table
    "admin:auth_user_password_change", "admin:ops_job_progress",
    "admin:snapshots_snapshot_calendar", "admin:snapshots_snapshot_day",
}  # fmt: skip
TABLE_PAGES = ("changelist", "add", "history", "delete", "change")
OTHER_ADMIN = (  # Django's own ends of the road: unknown paths, and addresses of old
    re.compile(r"admin/\(\?P<url>\.\*\)\$"),
    re.compile(r"admin/[a-z_]+/[a-z_]+/<path:object_id>/"),
)
SAMPLES = {
    "int": "1", "str": "x", "slug": "prune", "path": "1", "uuid": "00000000-0000-0000-0000-000000000000",
    "day": "2026-11-24", "date": "2026-11-24",
}  # fmt: skip


def walk(patterns, namespace="", prefix="") -> Iterator[tuple[str, str, str]]:
    """Each URL as (label, route, an address that matches it)."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            inner = f"{pattern.namespace}:" if pattern.namespace else namespace
            yield from walk(pattern.url_patterns, inner, route)
        elif isinstance(pattern, URLPattern):
            yield (f"{namespace}{pattern.name}" if pattern.name else route), route, address(route)


def address(route: str) -> str:
    """Something that fits the route."""
    route = re.sub(r"<(?:(\w+):)?\w+>", lambda found: SAMPLES.get(found[1] or "str", "1"), route)
    route = re.sub(r"\(\?P<app_label>([a-z_]+)\|?[^)]*\)", r"\1", route)
    route = re.sub(r"\(\?P<\w+>[^)]*\)", "nowhere", route)
    return "/" + route.replace("^", "").replace("$", "").replace("\\Z", "")


def kind(label: str, route: str) -> str | None:
    """Who may: public, staff, table, sign-in. None: not classified."""
    if label in PUBLIC or label.startswith(("dashboard:", "reports:")) or label in DASHBOARD:
        return "public"
    if label in ASKS:
        return "ask"
    if label in STAFF_READS:
        return "staff read"
    if label == "passkey":
        return "passkey"
    if label in SINGLE_SIGN_ON:
        return "single sign-on"
    if label in SIGN_IN:
        return "sign in"
    if label in ANY_STAFF:
        return "any staff"
    if label in BUTTONS:
        return "button"
    if label == "admin:logout":
        return "sign out"
    if label in TABLES:
        return "table"
    return "other admin" if any(pattern.fullmatch(route) for pattern in OTHER_ADMIN) else None


def tables() -> set[str]:
    """The pages that Django makes of every registered table: each asks for the permission on it."""
    return {
        f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
        for model in admin.site._registry
        for page in TABLE_PAGES
    } | OF_A_TABLE


def dashboard() -> set[str]:
    from dashboard import urls

    return {label for label, _, _ in walk(urls.urlpatterns)}


ALL = sorted(set(walk(get_resolver().url_patterns)))
TABLES, DASHBOARD = tables(), dashboard()  # after the URLs, with which the admin's tables are registered
REFUSED = (401, 403)


SESSIONS: list[str] = []


def enrolled():
    """A user, one of the staff and a superuser, all signed in."""
    made = (
        User.objects.create_user("bob"),
        User.objects.create_user("alice", is_staff=True),
        User.objects.create_superuser("root"),
    )
    for who in made:
        client = Client()
        client.force_login(who)
        SESSIONS.append(client.cookies[settings.SESSION_COOKIE_NAME].value)


@pytest.fixture
def people():
    """A client of a stranger, and of each who is enrolled."""
    again(enrolled)
    clients = [Client() for _ in range(4)]
    for client, session in zip(clients[1:], SESSIONS, strict=True):
        client.cookies[settings.SESSION_COOKIE_NAME] = session
    return clients


def test_somebody_has_said_of_every_url_who_may():
    assert [f"{label} ({route})" for label, route, _ in ALL if kind(label, route) is None] == []
    assert len(ALL) > 100


@pytest.mark.parametrize(("label", "route", "url"), ALL, ids=[label for label, _, _ in ALL])
def test_they_may_and_the_others_may_not(people, sent, label, route, url):
    checks = {
        "public": public, "ask": ask, "staff read": staff_read, "sign in": sign_in, "any staff": any_staff,
        "table": table, "button": button, "sign out": sign_out, "other admin": other_admin,
    }  # fmt: skip
    checks |= {"single sign-on": single_sign_on, "passkey": passkey}
    check = checks.get(kind(label, route) or "")
    assert check, f"{route}: say in this file who may"
    check(url, *people)


def codes(url, people, method="get"):
    return [status(getattr(client, method)(url)) for client in people]


def status(response) -> int:
    """After reading it to its end: an export keeps its place until then."""
    if response.streaming:
        b"".join(response.streaming_content)
    return response.status_code


def is_to_sign_in(response) -> bool:
    return response.status_code == 302 and response["Location"].startswith("/admin/login/")


def public(url, *people):
    """Reads answer alike to all, and no user may write."""
    found = codes(url, people)
    assert len(set(found)) == 1, found
    assert found[0] in (200, 301, 302, 400, 404, 503), found
    for method in ("post", "put", "patch", "delete"):
        assert set(codes(url, people, method)) <= {401, 403, 404, 405}, method


def ask(url, anonymous, user, staff, superuser):
    assert codes(url, [anonymous, user], "post") == [401, 403]
    assert codes(url, [anonymous, user]) == [401, 403]
    for client in (staff, superuser):
        assert client.post(f"{url}?wait=0").status_code in (202, 400, 404, 409)


def staff_read(url, anonymous, user, staff, superuser):
    assert anonymous.get(url, REMOTE_ADDR="203.0.113.9").status_code in REFUSED
    assert user.get(url, REMOTE_ADDR="203.0.113.9").status_code == 403
    for client in (staff, superuser):
        assert client.get(url).status_code in (200, 404)
        assert client.post(url).status_code == 405


def sign_in(url, *people):
    assert [client.get(url).status_code for client in people] == [200, 200, 302, 302]


def single_sign_on(url, *people):
    assert codes(url, people) == [404] * 4


def passkey(url, *people):
    """A form that leads somewhere over HTTPS or on localhost only."""
    assert codes(url, people) == [405] * 4
    assert codes(url, people, "post") == [404] * 4


def sign_out(url, *people):
    """Only who is in can go out, and not by following a link."""
    assert codes(url, people) == [302, 302, 405, 405]


def button(url, anonymous, user, staff, superuser):
    assert is_kept_out(anonymous, url, "post")
    assert is_kept_out(user, url, "post")
    assert codes(url, [staff, superuser]) == [405, 405]
    assert staff.post(url).status_code in (302, 403, 404)
    assert superuser.post(url).status_code in (200, 302, 404)


def is_kept_out(client, url, method="get") -> bool:
    response = getattr(client, method)(url)
    return is_to_sign_in(response) or response.status_code in REFUSED


def any_staff(url, anonymous, user, staff, superuser):
    assert is_kept_out(anonymous, url)
    assert is_kept_out(user, url)
    for client in (staff, superuser):
        response = client.get(url)
        assert response.status_code in (200, 302, 403, 404, 405)
        assert not is_to_sign_in(response)


def table(url, anonymous, user, staff, superuser):
    """Being staff is not enough: each table has its permissions."""
    assert is_kept_out(anonymous, url)
    assert is_kept_out(user, url)
    response = staff.get(url)
    assert response.status_code in (401, 302, 403)
    assert not is_to_sign_in(response)
    assert superuser.get(url).status_code in (200, 302, 400, 403, 404)


def other_admin(url, anonymous, user, staff, superuser):
    assert is_kept_out(anonymous, url)
    assert is_kept_out(user, url)
    for client in (staff, superuser):
        assert client.get(url).status_code in (302, 404)
