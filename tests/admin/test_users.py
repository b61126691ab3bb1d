"""Users and groups: who may give which rights to whom."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone

from ops.access import authentication
from ops.models import ApiToken, AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static_files")]

RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")
NEW = "another-password-1"
FORM = {"password1": NEW, "password2": NEW, "usable_password": "true", "set-password": "1"}  # of another user's page
OWN = {"old_password": "only-for-this-test", "new_password1": NEW, "new_password2": NEW}
DATES = {"date_joined_0": "2026-11-24", "date_joined_1": "10:00:00"}


def permissions(*names: str) -> list[Permission]:
    return list(Permission.objects.filter(codename__in=names))


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def ursula(db: None) -> User:
    """Ursula is staff and may do with users and groups what Django knows, and no more."""
    user = User.objects.create_user("ursula", password="only-for-this-test", is_staff=True)
    codes = [f"{verb}_{model}" for verb in ("add", "change", "delete", "view") for model in ("user", "group")]
    user.user_permissions.set(permissions(*codes))
    return user


@pytest.fixture
def boss(db: None) -> User:
    return User.objects.create_superuser("boss", password="only-for-this-test")


@pytest.fixture
def everything(db: None) -> Group:
    group = Group.objects.create(name="everything")
    group.permissions.set(Permission.objects.all())
    return group


def forged(user: User, everything: Group, **more: Any) -> dict[str, Any]:
    """A form of the page of a user in which every right is wished for."""
    everyone = Permission.objects.values_list("pk", flat=True)
    rights = {"is_staff": "on", "is_superuser": "on", "groups": [everything.pk], "user_permissions": list(everyone)}
    return {"username": user.username, "is_active": "on"} | DATES | rights | more


def rights_of(user: User) -> tuple[Any, ...]:
    found = User.objects.get(pk=user.pk)
    return found.is_staff, found.is_superuser, found.groups.count(), found.user_permissions.count()


def page(user: User, kind: str = "change") -> str:
    return f"/admin/auth/user/{user.pk}/{kind}/"


def test_who_may_change_users_gives_no_rights_neither_to_themselves_nor_to_others(ursula, everything):
    rita = User.objects.create_user("rita")
    client = signed_in(ursula)
    for user in (ursula, rita):
        before = rights_of(user)
        assert client.post(page(user), forged(user, everything, first_name="Changed")).status_code == 302
        assert rights_of(user) == before
        assert User.objects.get(pk=user.pk).first_name == "Changed"
        body = client.get(page(user)).content.decode()
        assert not any(f'name="{field}"' in body for field in RIGHTS)


def test_nor_to_a_user_that_is_just_made(ursula, everything):
    form = {"username": "new", "password1": NEW, "password2": NEW, "usable_password": "true"}
    client = signed_in(ursula)
    rights = {key: value for key, value in forged(ursula, everything).items() if key in RIGHTS}
    assert client.post("/admin/auth/user/add/", form | rights).status_code == 302
    assert rights_of(User.objects.get(username="new")) == (False, False, 0, 0)


def test_a_superuser_does(boss, everything):
    rita = User.objects.create_user("rita")
    assert signed_in(boss).post(page(rita), forged(rita, everything)).status_code == 302
    assert rights_of(rita) == (True, True, 1, Permission.objects.count())


@pytest.mark.parametrize("active", [True, False])
def test_superusers_are_out_of_reach(ursula, boss, active):
    User.objects.filter(pk=boss.pk).update(is_active=active)
    client = signed_in(ursula)
    before = User.objects.values().get(pk=boss.pk)
    assert "boss" not in client.get("/admin/auth/user/").content.decode()
    for kind in ("change", "delete", "history"):
        assert client.get(page(boss, kind)).status_code in (302, 403, 404)
        form = {"post": "yes", "username": "x"} | DATES
        assert client.post(page(boss, kind), form).status_code in (302, 403, 404, 405)
    assert client.post(page(boss, "password"), FORM).status_code in (403, 404)
    chosen = {"action": "delete_selected", "_selected_action": [boss.pk], "post": "yes"}
    client.post("/admin/auth/user/", chosen)
    client.post("/admin/auth/user/", chosen | {"select_across": "1"})
    assert User.objects.values().get(pk=boss.pk) == before


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("way", ["own", "group"])
def test_so_are_users_with_more_rights_than_their_own(ursula, way, active):
    """Their password would be as good as their rights."""
    mighty = User.objects.create_user("mighty", password="only-for-this-test", is_staff=True, is_active=active)
    if way == "own":
        mighty.user_permissions.set(permissions("change_trackedapp"))
    else:
        group = Group.objects.create(name="apps")
        group.permissions.set(permissions("change_trackedapp"))
        mighty.groups.set([group])
    before = User.objects.values().get(pk=mighty.pk)
    client = signed_in(ursula)
    assert client.post(page(mighty, "password"), FORM).status_code == 403
    assert client.post(page(mighty), {"username": "x", "is_active": "on"} | DATES).status_code == 403
    assert client.post(page(mighty, "delete"), {"post": "yes"}).status_code == 403
    client.post("/admin/auth/user/", {"action": "delete_selected", "_selected_action": [mighty.pk], "post": "yes"})
    assert User.objects.values().get(pk=mighty.pk) == before
    assert client.get(page(mighty)).status_code == 200  # to look at


def test_an_equal_is_within_reach(ursula):
    rita = User.objects.create_user("rita", is_staff=True)
    rita.user_permissions.set(permissions("view_user"))
    assert signed_in(ursula).post(page(rita, "password"), FORM).status_code == 302
    assert User.objects.get(pk=rita.pk).check_password(NEW)


def test_groups_are_a_superusers(ursula, boss, everything):
    small = Group.objects.create(name="small")
    ursula.groups.set([small])
    client = signed_in(ursula)
    wish = {"name": "small", "permissions": list(Permission.objects.values_list("pk", flat=True))}
    assert client.get(f"/admin/auth/group/{small.pk}/change/").status_code == 200
    for url in (f"/admin/auth/group/{small.pk}/change/", "/admin/auth/group/add/"):
        assert client.post(url, wish).status_code == 403
    assert client.post(f"/admin/auth/group/{everything.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post("/admin/auth/group/", {"action": "delete_selected", "_selected_action": [small.pk], "post": "yes"})
    assert (Group.objects.count(), small.permissions.count()) == (2, 0)
    assert signed_in(boss).post(f"/admin/auth/group/{small.pk}/change/", wish).status_code == 302
    assert small.permissions.count() == len(wish["permissions"])


def test_no_other_page_leads_to_the_rights(ursula, boss):
    """Every table of the admin that is about users and rights."""
    client = signed_in(ursula)
    ursula.user_permissions.add(*permissions("add_apitoken", "change_apitoken", "view_apitoken"))
    assert client.post("/admin/ops/apitoken/add/", {"user": "boss", "name": "", "days": ""}).status_code == 200
    assert not ApiToken.objects.exists()
    for table in ("auth/permission", "admin/logentry", "contenttypes/contenttype", "sessions/session"):
        assert client.get(f"/admin/{table}/").status_code == 404


# Tokens that go with a password


@pytest.fixture
def two_tokens(boss, ursula):
    """Two valid tokens of Ursula, a revoked one, and one of another user."""
    now = timezone.now()
    made = [authentication.create(username="ursula", now=now) for _ in range(3)]
    authentication.revoke(token=made[2].row, now=now, by="test")
    authentication.create(username="boss", now=now)
    return [one.secret for one in made[:2]]


def valid() -> dict[str, int]:
    return {name: ApiToken.objects.filter(user__username=name, revoked_at=None).count() for name in ("ursula", "boss")}


@pytest.mark.parametrize("wanted", [True, False])
def test_a_new_password_for_another_user_revokes_tokens_on_request(boss, ursula, two_tokens, client, wanted):
    more = {"revoke_tokens": "on"} if wanted else {}
    admin = signed_in(boss)
    assert 'name="revoke_tokens"' in admin.get(page(ursula, "password")).content.decode()
    answer = admin.post(page(ursula, "password"), FORM | more, follow=True).content.decode()
    assert ("2 API tokens revoked." in answer) == wanted
    assert valid() == {"ursula": 0 if wanted else 2, "boss": 1}
    asked = client.get("/api/admin/jobs", headers={"Authorization": f"Token {two_tokens[0]}"})
    assert asked.status_code == (401 if wanted else 200)
    assert AuditEntry.objects.filter(action="revoke token", actor="boss").count() == (2 if wanted else 0)


@pytest.mark.parametrize("wanted", [True, False])
def test_so_does_a_new_one_of_ones_own(ursula, two_tokens, wanted):
    client = signed_in(ursula)
    assert 'name="revoke_tokens"' in client.get("/admin/password_change/").content.decode()
    answer = client.post("/admin/password_change/", OWN | ({"revoke_tokens": "on"} if wanted else {}), follow=True)
    assert ("2 API tokens revoked." in answer.content.decode()) == wanted
    assert valid() == {"ursula": 0 if wanted else 2, "boss": 1}


@pytest.mark.parametrize("wrong", [{"old_password": "wrong"}, {"new_password2": "another"}])
def test_a_password_that_was_not_changed_revokes_none(ursula, two_tokens, wrong):
    signed_in(ursula).post("/admin/password_change/", OWN | {"revoke_tokens": "on"} | wrong)
    assert valid()["ursula"] == 2
