"""The rows that a new installation begins with. What operators change later stays."""

from django.db import migrations

# name, key, category, image patterns, name patterns
TRACKED: tuple[tuple[str, str, str, list[str], list[str]], ...] = (
    ("Palworld", "palworld", "gaming",
     ["thijsvanloef/palworld-server-docker", "runonflux/palworld-server-flux"],
     ["palworld"]),
    ("Enshrouded", "enshrouded", "gaming",
     ["jktuned/enshrouded-server", "sknnr/enshrouded-dedicated-server"],
     ["enshrouded"]),
    ("Minecraft", "minecraft", "gaming", ["itzg/minecraft-server", "itzg/minecraft-bedrock-server"],
     ["minecraftj", "minecraftb", "minecraftserver", "minecraftbedrockserver"]),
    ("Valheim", "valheim", "gaming",
     ["mbround18/valheim", "littlestache/valheim-flux", "lloesche/valheim-server"],
     ["valheim"]),
    ("Satisfactory", "satisfactory", "gaming", ["wolveix/satisfactory-server"], []),
    ("Rust", "rust", "gaming",
     ["littlestache/rust-server", "pfeiffermax/rust-game-server"],
     ["rustserver", "rustserveroxide"]),
    ("Terraria", "terraria", "gaming", ["littlestache/terraria"], ["terraria"]),
    ("ARK Survival", "ark", "gaming", ["thmhoag/arkserver"], []),
    ("Windrose", "windrose", "gaming", ["indifferentbroccoli/windrose-server-docker"], ["windrose"]),
    ("RuneScape: Dragonwilds", "dragonwilds", "gaming", [], ["dragonwilds"]),
    ("FiveM", "fivem", "gaming", [], ["fivem"]),
    ("Project Zomboid", "project_zomboid", "gaming", [], ["projectzomboid"]),
    ("Factorio", "factorio", "gaming", ["factorio"], []),
    ("Presearch", "presearch", "crypto", ["presearch/node"], ["presearchnode*"]),
    ("Streamr", "streamr", "crypto", ["streamr/node"], ["streamrnode*"]),
    ("Ravencoin", "ravencoin", "crypto", ["dramirezrt/ravencoin-core-server"], []),
    ("Kadena", "kadena", "crypto", ["runonflux/kadena-chainweb-node"], []),
    ("Alephium", "alephium", "crypto", ["touilleio/alephium-standalone"], []),
    ("Bittensor", "bittensor", "crypto", ["opentensor/subtensor"], []),
    ("Timpi Collector", "timpi_collector", "crypto", ["timpiltd/timpi-collector"], []),
    ("Timpi Geocore", "timpi_geocore", "crypto", ["timpiltd/timpi-geocore"], []),
    ("Kaspa", "kaspa", "crypto", ["kaspanet/rusty-kaspad"], ["kaspanode*"]),
    ("WordPress", "wordpress", "wordpress", ["runonflux/wp-nginx"], ["wordpress"]),
    ("Orbit", "orbit", "git", ["runonflux/orbit"], []),
    ("Watchtower", "watchtower", "system", ["containrrr/watchtower"], []),
)  # fmt: skip

# key, order, image keywords, name patterns
CATEGORIES: tuple[tuple[str, int, list[str], list[str]], ...] = (
    ("excluded", 0, ["-server-website", "flux-dns-fdm"], []),
    ("gaming", 1,
     ["minecraft", "palworld", "enshrouded", "valheim", "satisfactory", "ark-survival", "arkserver", "rust-server",
      "terraria", "factorio", "7daystodie", "vrising", "projectzomboid", "conan-exiles", "game-server",
      "arma-reforger", "soulmask", "abioticfactor", "windrose", "unturned", "garrysmod"],
     ["palworld", "minecraftj", "minecraftb", "minecraftserver", "minecraftbedrockserver", "projectzomboid", "windrose",
      "enshrouded", "rustserver", "rustserveroxide", "fivem", "valheim", "terraria", "dragonwilds"]),
    ("crypto", 2,
     ["presearch/node", "streamr/node", "streamr/broker-node", "ravencoin", "kadena-chainweb", "bitcoin-core",
      "bitcoin-cash-node", "litecoin", "dogecoin", "zcash", "monero", "fironode", "firod", "neoxa-node", "iron-fish",
      "ironfish", "rusty-kaspad", "alephium-standalone", "alephium/explorer", "bittensor", "subtensor",
      "client-go:stable", "polkadot-docker", "wanchain/client-go", "thornode", "thorchain", "timpi-collector",
      "timpi-geocore", "beldex", "mysteriumnetwork/myst", "girderworks/", "blockbook", "runonflux/explorer",
      "zelcash/dibi-fetch", "brise-node", "fusenet/node", "raven-insight", "dash-insight", "runonflux/fusionbalances",
      "authsteem"],
     ["presearchnode*", "streamrnode*", "kaspanode*", "blockbook*"]),
    ("wordpress", 3, ["wordpress", "wp-nginx"], ["wordpress"]),
)  # fmt: skip



def seed(apps, schema_editor):
    tracked, category = apps.get_model("metrics", "TrackedApp"), apps.get_model("metrics", "Category")
    for name, key, kind, images, names in TRACKED:
        tracked.objects.get_or_create(
            category=kind, key=key, defaults={"name": name, "image_patterns": images, "name_patterns": names}
        )
    for key, order, images, names in CATEGORIES:
        category.objects.get_or_create(
            key=key, defaults={"order": order, "image_keywords": images, "name_patterns": names}
        )


class Migration(migrations.Migration):
    dependencies = [("metrics", "0001_initial")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
