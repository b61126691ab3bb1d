"""What people call an image (docs/upstream.md#tracked-apps)."""

from __future__ import annotations

import re

from fluxtracker.images import image_name

NAMES = {
    "presearch/node": "Presearch",
    "kaspanet/rusty-kaspad": "Kaspa",
    "itzg/minecraft-server": "Minecraft",
    "itzg/minecraft-bedrock-server": "Minecraft BE",
    "thijsvanloef/palworld-server-docker": "Palworld",
    "jktuned/enshrouded-server": "Enshrouded",
    "sknnr/enshrouded-dedicated-server": "Enshrouded",
    "mbround18/valheim": "Valheim",
    "littlestache/valheim-flux": "Valheim",
    "wolveix/satisfactory-server": "Satisfactory",
    "opentensor/subtensor": "Bittensor",
    "timpiltd/timpi-collector": "Timpi Collector",
    "timpiltd/timpi-geocore": "Timpi Geocore",
    "runonflux/kadena-chainweb-node": "Kadena",
    "touilleio/alephium-standalone": "Alephium",
    "thetrunk/alephium-standalone": "Alephium",
    "streamr/node": "Streamr",
    "streamr/broker-node": "Streamr Broker",
    "dramirezrt/ravencoin-core-server": "Ravencoin",
    "runonflux/wp-nginx": "WordPress",
    "runonflux/fironode": "Firo",
    "firoorg/firod": "Firo",
    "runonflux/neoxa-node": "Neoxa",
    "ethereum/client-go": "Ethereum",
    "ruimarinho/bitcoin-core": "Bitcoin",
    "zquestz/bitcoin-cash-node": "Bitcoin Cash",
    "beldex/beldex-master-node": "Beldex",
    "ghcr.io/girderworks/edge": "Beldex Edge",
    "ghcr.io/girderworks/feather": "Beldex Feather",
    "alephium/explorer": "Alephium Explorer",
    "alephium/explorer-backend": "Alephium Explorer BE",
    "ghcr.io/iron-fish/ironfish": "Iron Fish",
    "runonflux/polkadot-docker": "Polkadot",
    "wanchain/client-go": "Wanchain",
    "mysteriumnetwork/myst": "Mysterium",
    "registry.gitlab.com/thorchain/thornode": "THORChain",
    "thmhoag/arkserver": "ARK Survival",
    "rouhim/arma-reforger-server": "Arma Reforger",
    "kagurazakanyaa/soulmask": "Soulmask",
    "littlestache/abioticfactorserver": "Abiotic Factor",
    "factoriotools/factorio": "Factorio",
    "littlestache/rust-server": "Rust",
    "littlestache/terraria": "Terraria",
}
ENDINGS = re.compile(r"(?<=.)(-(server|node|docker|dedicated|standalone|core|flux))+\Z", re.IGNORECASE)
BREAKS = re.compile(r"[-_]+")


def label(image: str) -> str:
    """Return what an image is called, in any spelling: a known word, else one made of the last part of its path."""
    name = image_name(image)
    if name in NAMES:
        return NAMES[name]
    words = BREAKS.split(ENDINGS.sub("", name.rpartition("/")[2]))
    return " ".join(word[:1].upper() + word[1:] for word in words if word) or image
