"""One image, one name: in what is counted, in patterns, in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.images import image_name, image_part, image_reference, merged_counts, parse_image
from metrics.models import Category, ImageCount, TrackedApp
from tests.admin.conftest import olivia
from tests.metrics.network import spec

__all__ = ["olivia"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static_files")]

DOOM = {"name": "Doom", "key": "doom", "category": "gaming", "active": "on"}
PRESEARCH = (
    "presearch/node",
    "docker.io/presearch/node:latest",
    "index.docker.io/presearch/node@sha256:0123abcd",
    "registry-1.docker.io/presearch/node:v1",
    "registry.hub.docker.com/presearch/node",
    "Docker.IO/Presearch/Node:V1",
    "https://docker.io/presearch/node:1",
)
NGINX = (
    "nginx:latest",
    "library/nginx:1.27",
    "docker.io/nginx",
    "docker.io/library/nginx:1.27@sha256:0123abcd",
    "INDEX.docker.io/library/NGINX",
    "docker.io/library/nginx/",
    "docker://library/nginx",
)


@pytest.mark.parametrize("image", [*PRESEARCH, " presearch/node ", "//docker.io//presearch/node"])
def test_every_spelling_of_an_image_is_one_name(image):
    assert image_name(image) == "presearch/node"


@pytest.mark.parametrize("image", NGINX)
def test_the_images_of_docker_itself_have_no_library(image):
    assert image_name(image) == "nginx"


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("GHCR.io/Girderworks/Edge:1.4", "ghcr.io/girderworks/edge"),
        ("ghcr.io/library/nginx", "ghcr.io/library/nginx"),
        ("localhost/library/nginx", "localhost/library/nginx"),
        ("localhost:5000/nginx:1", "localhost:5000/nginx"),
        ("mirror.docker.io.example.org/nginx", "mirror.docker.io.example.org/nginx"),
        ("mydocker.io/nginx", "mydocker.io/nginx"),
        ("docker.io:5000/nginx", "docker.io:5000/nginx"),
        ("library/team/nginx", "library/team/nginx"),
        ("library", "library"),
        ("docker.io", "docker.io"),
    ],
)
def test_another_registry_keeps_its_host(image, name):
    assert image_name(image) == name


@pytest.mark.parametrize("text", ["", " ", "/", "docker.io/", "https://", ":1", "@sha256:ab", "docker.io/:latest"])
def test_what_names_nothing_is_no_image(text):
    assert image_name(text) == ""
    assert parse_image(text) is None


def test_a_tag_keeps_its_capitals():
    assert image_reference("Docker.io/Library/Nginx:Alpine@sha256:AB") == "nginx:Alpine@sha256:AB"


@pytest.mark.parametrize("lost", ["sha256:0123abcd", "0123456789abcdef" * 4])
def test_an_image_that_has_lost_its_name_is_none(lost):
    assert parse_image(lost) is None


PARTS = ("docker.io", "index.docker.io", "library", "Nginx", "a.b", "x:1", "", "https:", "@c", "localhost")


@given(st.lists(st.sampled_from(PARTS), max_size=6).map("/".join))
def test_a_name_is_the_name_of_itself(text):
    name, reference = image_name(text), image_reference(text)
    assert image_name(name) == image_name(reference) == name
    assert image_reference(reference) == reference


@given(st.lists(st.tuples(st.sampled_from([*PRESEARCH, *NGINX]), st.sampled_from(["", "crypto"]), st.integers(0, 99))))
def test_merging_loses_no_container_and_is_done_once(counts):
    merged = merged_counts(counts)
    assert sum(count for _, count in merged.values()) == sum(count for *_, count in counts)
    assert merged_counts((name, *rest) for name, rest in merged.items()) == merged


def test_the_category_is_that_of_most_containers():
    counts = [("nginx", "gaming", 2), ("docker.io/nginx", "", 3), ("library/nginx", "gaming", 2)]
    assert merged_counts(counts) == {"nginx": ("gaming", 7)}


# Counts


def told(client: Client, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/metrics/category/crypto/top", query)
    assert answer.status_code == 200
    return {row["image"]: row["count"] for row in answer.json()["data"]}


def test_the_spellings_of_an_image_are_counted_together(counted, client):
    values = counted(*PRESEARCH, *NGINX)
    assert dict(ImageCount.objects.values_list("image", "count")) == {"presearch/node": 7, "nginx": 7}
    assert (values["crypto_presearch"], values["crypto_nodes_total"], values["total_apps"]) == (7, 7, 14)
    assert told(client) == {"presearch/node": 7}


def test_the_spellings_in_specifications_are_counted_together(network, counted):
    network.specs = [spec(f"app{number}", ("web", image)) for number, image in enumerate(NGINX)]
    counted(*(f"fluxweb_app{number}" for number in range(len(NGINX))))
    assert dict(ImageCount.objects.values_list("image", "count")) == {"nginx": 7}


@pytest.mark.parametrize(
    "image", [" RunOnFlux/Orbit:latest", "docker.io/runonflux/orbit", "Index.Docker.io/RunOnFlux/ORBIT"]
)
def test_a_git_app_is_known_in_every_spelling(counted, image):
    assert counted(image, "nginx:1")["gitapps_count"] == 1


def test_watchtower_is_known_in_every_spelling(counted):
    values = counted("docker.io/containrrr/watchtower:latest", "Registry-1.docker.io/Containrrr/Watchtower", "nginx:1")
    assert (values["watchtower_count"], values["total_apps"]) == (2, 1)


# Patterns


@pytest.mark.parametrize(
    "pattern",
    [
        "id/doom",
        "docker.io/id/doom",
        "Index.Docker.io/ID/Doom",
        "registry-1.docker.io/id/doom",
        "https://docker.io/id/doom",
    ],
)
def test_a_pattern_fits_in_every_spelling(counted, pattern):
    TrackedApp.objects.create(name="Doom", key="doom", category="gaming", image_patterns=[pattern])
    values = counted("id/doom:1", "docker.io/id/doom", "Registry-1.Docker.io/Id/Doom:2", "nginx:1")
    assert (values["gaming_doom"], values["gaming_apps_total"]) == (3, 3)


@pytest.mark.parametrize("pattern", ["library/doom", "docker.io/doom", "docker.io/library/doom", "Library/Doom"])
def test_a_pattern_of_docker_hub_fits_nothing_of_another_registry(counted, pattern):
    TrackedApp.objects.create(name="Doom", key="doom", category="gaming", image_patterns=[pattern])
    assert counted("doom:1", "library/doom", "docker.io/library/doom", "ghcr.io/id/doom", "id/doom")["gaming_doom"] == 3


def test_a_pattern_of_another_registry_keeps_its_host(counted):
    TrackedApp.objects.create(name="Doom", key="doom", category="gaming", image_patterns=["GHCR.io/id/doom"])
    assert counted("ghcr.io/ID/Doom:1", "docker.io/id/doom", "id/doom")["gaming_doom"] == 1


def test_the_keywords_of_a_category_fit_in_every_spelling(counted):
    Category.objects.filter(key="gaming").update(image_keywords=["docker.io/library/doom"])
    assert counted("doom:1", "docker.io/library/doom:2", "nginx:1")["gaming_apps_total"] == 2


def test_a_pattern_with_a_tag_fits_that_tag_in_every_spelling(counted):
    TrackedApp.objects.create(name="Doom", key="doom", category="gaming", image_patterns=["docker.io/library/doom:2"])
    assert counted("doom:1", "doom:2", "docker.io/library/doom:2")["gaming_doom"] == 2


@pytest.mark.parametrize(
    "pattern", ["docker.io/", "Docker.io", "library/", "docker.io/ab", "https://", "docker.io/library/"]
)
def test_a_pattern_that_names_no_image_is_refused(olivia, pattern):
    body = olivia.post("/admin/metrics/trackedapp/add/", DOOM | {"image_patterns": pattern, "name_patterns": ""})
    assert "3 letters or more" in body.content.decode()
    assert not TrackedApp.objects.filter(key="doom").exists()


def test_a_stored_pattern_that_names_no_image_fits_none(counted):
    TrackedApp.objects.create(name="Doom", key="doom", category="gaming", image_patterns=["docker.io/"])
    assert counted("id/doom", "nginx:1")["gaming_doom"] == 0


@pytest.mark.parametrize(
    ("pattern", "containers"), [("docker.io/id/doom", 40), ("Index.Docker.io/Id/Doom", 40), ("library/nginx", 300)]
)
def test_the_preview_fits_in_every_spelling(olivia, pattern, containers):
    for image, count in (("id/doom", 40), ("ghcr.io/id/doom", 5), ("nginx", 300), ("team/nginx", 1)):
        ImageCount.objects.create(image=image, count=count)
    given_ = DOOM | {"image_patterns": pattern}
    answer = olivia.post("/admin/metrics/trackedapp/preview/", given_, headers={"HX-Request": "true"})
    assert f"<strong>{containers}</strong> containers of 1 public image" in " ".join(answer.content.decode().split())


def test_a_registrys_port_is_no_tag_in_the_preview(olivia):
    for pattern, noted in (("host:5000/id/doom", False), ("https://docker.io/id/doom", False), ("id/doom:2", True)):
        given_ = DOOM | {"image_patterns": pattern}
        answer = olivia.post("/admin/metrics/trackedapp/preview/", given_, headers={"HX-Request": "true"})
        assert ("kept without tags" in " ".join(answer.content.decode().split())) is noted, pattern


@pytest.mark.parametrize("search", ["docker.io/id/doom", "Index.docker.io/ID/do", "id/doom"])
def test_the_admins_search_finds_in_every_spelling(olivia, search):
    ImageCount.objects.create(image="id/doom", count=4)
    assert "id/doom" in olivia.get("/admin/metrics/imagecount/", {"q": search}).content.decode().split("<tbody", 1)[1]


@pytest.mark.parametrize(
    ("text", "part"), [("docker.io/ab", ("ab", True)), ("/node", ("/node", False)), ("x/", ("x/", False))]
)
def test_a_part_begins_where_docker_hub_was_named(text, part):
    assert image_part(text) == part
