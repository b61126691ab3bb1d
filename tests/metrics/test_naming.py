"""From a container's name to its app and image (docs/upstream.md#statistics)."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.images import image_name
from fluxtracker.upstream.fluxos import app_specification
from metrics.games_and_crypto_nodes import WATCHTOWER, AppIndex
from tests.metrics.network import spec
from tests.upstream.payloads import payload


def index(*rows):
    return AppIndex.of([found for row in rows if (found := app_specification(row))])


REAL = index(*payload("apps_globalappsspecifications")["data"])


@pytest.mark.parametrize(
    ("container", "image"),
    [
        ("fluxFirod", "firoorg/firod:latest"),
        ("/fluxFirod", "firoorg/firod:latest"),
        ("zelFirod", "firoorg/firod:latest"),
        ("fluxfirod", "firoorg/firod:latest"),
        ("fluxps1_131barb1", "packetstream/psclient:latest"),
        ("fluxPS1_131BARB1", "packetstream/psclient:latest"),
        ("zelps1_131barb1", "packetstream/psclient:latest"),
        ("fluxwww_Aave", "smartico/aave:latest"),
        ("fluxAave", "smartico/aave:latest"),  # its only component
        ("flux131barb1", None),  # one of three
        ("fluxother_131barb1", None),
        ("fluxps1_unknown", None),
        ("fluxweb_Fluxtracker", None),  # encrypted
        ("fluxFluxtracker", None),
        ("flux", None),
        ("", None),
        ("_", None),
    ],
)
def test_names_lead_to_images(container, image):
    assert REAL.resolve(container).image == image


def test_an_app_that_is_called_like_component_and_app_is_flat():
    found = index(spec("web_shop", flat="shop/flat:1"), spec("shop", ("web", "shop/web:1")))
    assert found.resolve("fluxweb_shop").image == "shop/flat:1"


def test_the_first_underscore_parts_component_and_app():
    found = index(spec("b_c", ("a", "x/y:1")))
    assert found.resolve("fluxa_b_c").image == "x/y:1"


def test_an_app_in_the_right_case_comes_first():
    found = index(spec("App", flat="one/one:1"), spec("app", flat="two/two:1"))
    assert found.resolve("fluxApp").image == "one/one:1"
    assert found.resolve("fluxapp").image == "two/two:1"


def test_an_encrypted_app_is_told_from_an_unknown_one():
    assert REAL.resolve("fluxweb_Fluxtracker").encrypted
    assert not REAL.resolve("fluxweb_nobody").encrypted


def test_an_unknown_app_keeps_its_name():
    found = REAL.resolve("fluxServer_palworld1790792896573")
    assert (found.app, found.component) == ("palworld1790792896573", "Server")


@pytest.mark.parametrize("name", ["flux_watchtower", "/flux_watchtower", "watchtower"])
def test_watchtower_has_a_name_of_its_own(name):
    assert REAL.resolve(name).image == WATCHTOWER


def test_the_index_survives_its_memory():
    again = AppIndex.load(REAL.dump())
    assert again.dump() == REAL.dump()
    assert again.resolve("fluxps1_131barb1") == REAL.resolve("fluxps1_131barb1")


words = st.text(string.ascii_letters + string.digits, min_size=1, max_size=12)


@given(st.text(max_size=40))
def test_any_name_is_resolved_to_something(name):
    found = REAL.resolve(name)
    assert found.image is None or ":" in found.image or found.image == WATCHTOWER


@given(app=words, component=words, prefix=st.sampled_from(["flux", "zel", "/flux", "/zel"]))
def test_a_registered_component_is_always_found(app, component, prefix):
    found = index(spec(app, (component, "x/y:1"), ("other" + component, "x/z:1")))
    assert found.resolve(f"{prefix}{component}_{app}").image == "x/y:1"
    assert found.resolve(f"{prefix}{component}_{app}".swapcase().replace("FLUX", "flux", 1).replace("ZEL", "zel", 1)
                         ).app.lower() in (app.lower(), f"{component}_{app}".lower())  # fmt: skip


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("itzg/minecraft-server:java21", "itzg/minecraft-server"),
        ("itzg/minecraft-server", "itzg/minecraft-server"),
        ("host:5000/team/tool:1.2", "host:5000/team/tool"),
        ("host:5000/team/tool", "host:5000/team/tool"),
        ("ghcr.io/girderworks/edge:1.4@sha256:abcd", "ghcr.io/girderworks/edge"),
        ("a/b@sha256:abcd", "a/b"),
        ("nginx:latest", "nginx"),
        ("RunOnFlux/Orbit:latest", "runonflux/orbit"),
        ("", ""),
    ],
)
def test_a_tag_ends_an_image_and_a_port_does_not(image, name):
    assert image_name(image) == name


@given(
    host=st.sampled_from(["", "host:5000/", "ghcr.io/"]),
    path=st.lists(words.map(str.lower), min_size=1, max_size=3).map("/".join),
    tag=st.none() | words,
)
def test_with_or_without_a_tag_it_is_the_same_image(host, path, tag):
    image = f"{host}{path}"
    assert image_name(image if tag is None else f"{image}:{tag}") == image
