"""What people call an image (docs/upstream.md#tracked-apps)."""

import pytest

from carousel.lists import label


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("presearch/node", "Presearch"),
        ("itzg/minecraft-bedrock-server", "Minecraft BE"),
        ("RunOnFlux/wp-nginx", "WordPress"),
        ("timpiltd/timpi-geocore", "Timpi Geocore"),
        ("ghcr.io/girderworks/edge", "Beldex Edge"),
        ("docker.io/streamr/node", "Streamr"),
        ("alephium/explorer-backend", "Alephium Explorer BE"),
    ],
)
def test_known_images_have_their_name(image, name):
    assert label(image) == name


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "Nginx"),
        ("somebody/great-game-server", "Great Game"),
        ("somebody/great_game-dedicated-server", "Great Game"),
        ("registry.example.org:5000/team/tool-docker", "Tool"),
        ("somebody/server", "Server"),
        ("somebody/node-red", "Node Red"),
        ("somebody/observer", "Observer"),
        ("somebody/bitcoin-CORE", "Bitcoin"),
        ("-", "-"),
    ],
)
def test_others_are_called_by_the_last_part_without_its_ending(image, name):
    assert label(image) == name
