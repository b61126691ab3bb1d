"""The admin pages of metrics."""

from __future__ import annotations

import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.urls import reverse

from fluxtracker.admin import ReadOnlyAdmin
from metrics.models import (
    Category,
    CensusDay,
    DeploymentTerms,
    InstanceChange,
    NodeChange,
    RunningApp,
    TrackedApp,
)
from tests.admin.conftest import olivia, victor
from tests.metrics.conftest import NOW

__all__ = ["olivia", "victor"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static_files")]

MODELS = list(apps.get_app_config("metrics").get_models())
INLINE = re.compile(r"<style|\sstyle=|\son(click|change|load|submit)=|<script(?![^>]*(\ssrc=|application/json))")
FORM = {
    "name": "Doom",
    "key": "doom",
    "category": "gaming",
    "image_patterns": "id/doom\r\nid/doom-2\r\n",
    "active": "on",
}
ADD = "/admin/metrics/trackedapp/add/"


def record_a_census():
    CensusDay.objects.create(day=NOW.date(), nodes='{"tiers": {}}', facts=None, running={"apps": 1})
    NodeChange.objects.create(day=NOW.date(), tier="CUMULUS", since=NOW)
    RunningApp.objects.create(app_key="one", name="One", instances=3, hashes={})
    InstanceChange.objects.create(app_key="one", at=NOW, instances=3)
    DeploymentTerms.objects.create(at=NOW, prices=[{"height": -1}], limits={})


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_page_opens_without_anything_inline(network, collect, olivia, model):
    collect()
    record_a_census()
    name = f"admin:metrics_{model._meta.model_name}"
    pages = [reverse(f"{name}_changelist"), reverse(f"{name}_changelist") + "?q=abcd"]
    pages.append(reverse(f"{name}_change", args=[model._default_manager.first().pk]))
    for page in pages:
        response = olivia.get(page)
        assert response.status_code == 200, page
        assert not INLINE.search(response.content.decode()), page


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_what_was_read_is_not_edited(model):
    read_only = isinstance(admin.site.get_model_admin(model), ReadOnlyAdmin)
    assert read_only is (model not in (TrackedApp, Category))


def test_a_game_is_added_one_pattern_a_line(olivia):
    response = olivia.post(ADD, FORM | {"name_patterns": " doomj \n\ndoom*\ndoomj"})
    assert response.status_code == 302, response.content.decode()
    app = TrackedApp.objects.get(key="doom")
    assert (app.image_patterns, app.name_patterns, app.column) == (
        ["id/doom", "id/doom-2"],
        ["doomj", "doom*"],
        "gaming_doom",
    )


def test_a_game_is_changed_and_shows_its_patterns_by_line(olivia):
    app = TrackedApp.objects.get(key="minecraft")
    url = reverse("admin:metrics_trackedapp_change", args=[app.pk])
    assert "itzg/minecraft-server\nitzg/minecraft-bedrock-server" in olivia.get(url).content.decode()
    values = {"name": app.name, "key": app.key, "category": app.category, "image_patterns": "", "name_patterns": ""}
    assert olivia.post(url, values).status_code == 302
    app.refresh_from_db()
    assert (app.image_patterns, app.name_patterns, app.active) == ([], [], False)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"key": "Doom!"}, "small letters, digits"),
        ({"key": "apps_total"}, "names of totals"),
        ({"key": "total"}, "names of totals"),
        ({"key": "palworld"}, "already exists"),
        ({"name": "Palworld"}, "already exists"),
        ({"category": "games"}, "not one of the available choices"),
        ({"image_patterns": "ab"}, "3 letters or more"),
        ({"image_patterns": "id/doom\n<script>"}, "expected parts of image names"),
        ({"name_patterns": "do*om"}, "beginnings of app names"),
        ({"image_patterns": "\n".join(f"id/doom{n}" for n in range(51))}, "at most 50"),
    ],
)
def test_wrong_values_are_told_what_is_allowed(olivia, values, words):
    response = olivia.post(ADD, FORM | values)
    assert response.status_code == 200
    assert words in response.content.decode()
    assert not TrackedApp.objects.filter(key="doom").exists()


def test_a_category_gets_another_keyword(olivia):
    url = reverse("admin:metrics_category_change", args=["gaming"])
    assert olivia.post(url, {"image_keywords": "doom\nquake", "name_patterns": ""}).status_code == 302
    category = Category.objects.get(key="gaming")
    assert (category.image_keywords, category.name_patterns, category.order) == (["doom", "quake"], [], 1)


def test_categories_are_not_made_or_removed(olivia):
    assert olivia.get("/admin/metrics/category/add/").status_code == 403
    assert olivia.post(reverse("admin:metrics_category_delete", args=["gaming"])).status_code == 403


def test_who_may_only_look_changes_nothing(victor):
    url = reverse("admin:metrics_trackedapp_change", args=[TrackedApp.objects.get(key="palworld").pk])
    assert victor.get(url).status_code == 200
    assert victor.post(url, FORM).status_code == 403


def test_an_edit_changes_the_answers_of_the_api(olivia, client, clock):
    first = client.get("/api/metrics/current")
    olivia.post(ADD, FORM)
    again = client.get("/api/metrics/current", headers={"If-None-Match": first["ETag"]})
    assert "doom" in again.json()["gaming"]
