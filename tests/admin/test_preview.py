from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from metrics.models import ImageCount, TrackedApp
from metrics.sources import SPECS, remember
from snapshots.models import ImageDay
from tests.admin.test_overview import staff, words
from tests.dashboard.rows import NOW, snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "plain_static_files")]

PAGE = "/admin/metrics/trackedapp/preview/"
DOOM = {"name": "Doom", "key": "doom", "category": "gaming", "image_patterns": "id/doom", "active": "on"}
TODAY = NOW.date()


@pytest.fixture
def running(db: None) -> None:
    """Containers of five images, counted now and on some days of the past; and apps without an image."""
    for image, count in (("id/doom", 40), ("id/doom-2", 7), ("nginx", 300), ("id/doom-server-website", 5),
                         ("itzg/minecraft-server", 9)):  # fmt: skip
        ImageCount.objects.create(image=image, count=count)
    for back, counts in ((1, {"id/doom": 30, "nginx": 1}), (2, {"nginx": 1}), (30, {"id/doom": 2, "id/doom-2": 1})):
        for image, count in counts.items():
            ImageDay.objects.create(day=TODAY - timedelta(days=back), image=image, count=count)
    apps = {"doomj1719402000000": [True, {}], "doomj12": [True, {}], "doomj1719402000001": [False, {"a": "nginx"}]}
    remember(SPECS, apps, NOW)


def asked(client: Client, **given: Any) -> str:
    return words(client.post(PAGE, DOOM | given, headers={"HX-Request": "true"}))


def test_it_tells_what_the_patterns_match_now(olivia: Client, running: None) -> None:
    body = asked(olivia, name_patterns="doomj")
    assert "47 containers of 2 public images now, and 1 app by name." in body
    assert "id/doom 40 id/doom-2 7" in body
    assert "nginx" not in body
    assert "whose names fit (each runs one container or more): doomj1719402000000." in body


def test_it_tells_what_would_have_been_counted_on_past_days(olivia: Client, running: None) -> None:
    day = snapshot(TODAY - timedelta(days=1))
    day.counts["gaming_doom"] = 33
    day.save()
    body = asked(olivia)
    assert "2026-11-17 30 33 2026-11-16 0 — 2026-10-19 3 —" in body
    assert "2026-11-15" not in body


def test_an_image_that_a_category_leaves_out_is_told_apart(olivia: Client, running: None) -> None:
    assert "left out by the category “in no category”: id/doom-server-website" in asked(olivia)


def test_an_image_that_another_app_counts_too_is_told(olivia: Client, running: None) -> None:
    assert "itzg/minecraft-server 9 Minecraft" in asked(olivia, image_patterns="itzg/minecraft")


def test_the_row_that_is_edited_is_not_its_own_rival(olivia: Client, running: None) -> None:
    app = TrackedApp.objects.get(key="minecraft")
    given = {"name": app.name, "key": app.key, "image_patterns": "itzg/minecraft-server"}
    answer = olivia.post(f"{PAGE}?app={app.pk}", DOOM | given, headers={"HX-Request": "true"})
    assert "itzg/minecraft-server 9" in words(answer)
    assert "9 Minecraft" not in words(answer)


def test_it_saves_nothing(olivia: Client, running: None) -> None:
    before = list(TrackedApp.objects.values())
    app = TrackedApp.objects.get(key="minecraft")
    olivia.post(f"{PAGE}?app={app.pk}", DOOM, headers={"HX-Request": "true"})
    assert list(TrackedApp.objects.values()) == before


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"image_patterns": "ab"}, "3 letters or more"), ({"name_patterns": "do*om"}, "beginnings of app names")],
)
def test_a_wrong_pattern_is_told_while_it_is_typed(olivia: Client, given: dict[str, str], expected: str) -> None:
    assert expected in asked(olivia, **given)


def test_a_form_without_a_name_yet_is_previewed_all_the_same(olivia: Client, running: None) -> None:
    assert "47 containers" in asked(olivia, name="", key="")


def test_without_a_pattern_nothing_is_counted(olivia: Client, running: None) -> None:
    assert asked(olivia, image_patterns="") == "Nothing is matched without a pattern."


def test_before_the_first_collection_nothing_is_known(olivia: Client) -> None:
    body = asked(olivia)
    assert "Running images are not known yet: nothing has been collected." in body
    assert "containers of" not in body


@pytest.mark.parametrize("given", [{}, {"name_patterns": "doomj"}, {"active": ""}])
def test_an_active_app_is_saved_with_a_pattern_only(olivia: Client, given: dict[str, str]) -> None:
    """A tracked app that counts nothing would always be 0."""
    answer = olivia.post("/admin/metrics/trackedapp/add/", DOOM | {"image_patterns": ""} | given)
    assert (answer.status_code == 302) is bool(given)
    assert TrackedApp.objects.filter(key="doom").exists() is bool(given)
    assert given or "needs at least one pattern" in words(answer)


def test_without_specifications_names_are_not_known(olivia: Client) -> None:
    assert "App names are not known" in asked(olivia, name_patterns="doomj")


def test_a_tag_is_told_to_be_unseen(olivia: Client, running: None) -> None:
    assert "kept without tags" in asked(olivia, image_patterns="id/doom:stable")


def test_many_images_are_cut_and_counted(olivia: Client, db: None) -> None:
    ImageCount.objects.bulk_create(ImageCount(image=f"id/doom-{n}", count=1) for n in range(45))
    body = asked(olivia)
    assert "45 containers of 45 public images" in body
    assert "And 15 more." in body


def test_without_scripts_it_is_a_page_of_its_own(olivia: Client, running: None) -> None:
    assert "What would be counted" in words(olivia.post(PAGE, DOOM))


def test_it_is_for_those_who_may_edit(running: None) -> None:
    client = staff("view_trackedapp")
    assert client.post(PAGE, DOOM).status_code == 403
    app = TrackedApp.objects.get(key="minecraft")
    assert "hx-post" not in client.get(f"/admin/metrics/trackedapp/{app.pk}/change/").content.decode()


def test_the_form_asks_for_it_as_one_types(olivia: Client) -> None:
    page = olivia.get("/admin/metrics/trackedapp/add/").content.decode()
    assert f'hx-post="{PAGE}"' in page
    assert 'hx-trigger="load, input from:closest form delay:400ms"' in page


@pytest.mark.engine
def test_its_queries_do_not_grow_with_images_and_days(olivia: Client, running: None) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            asked(olivia)
        return len(captured)

    few = queries()
    rows = [
        ImageDay(day=TODAY - timedelta(days=n), image=f"id/doom-x{m}", count=1) for n in range(99) for m in range(40)
    ]
    ImageDay.objects.bulk_create(rows)
    ImageCount.objects.bulk_create(ImageCount(image=f"id/doom-x{m}", count=1) for m in range(40))
    assert queries() == few
    assert few <= 15
