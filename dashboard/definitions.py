"""What each figure is: what is counted, from which source, how often, what is known to be missing."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from metrics.models import Source


@dataclass(frozen=True, slots=True)
class Definition:
    """In the words of the page. `sources` names those whose age decides how fresh the figures are."""

    key: str
    title: str
    counted: str
    source: str
    often: str
    missing: str
    sources: tuple[str, ...] = ()


EVERY_10 = "Every 10 minutes. A value stays, with its age, when its source fails."


def definitions() -> dict[str, Definition]:
    """Return all of them by the key of their tile, in the order of the page."""
    return {one.key: one for one in (_revenue(), NODES, CLOUD, APPS, GAMING, CRYPTO)}


def _revenue() -> Definition:
    return Definition(
        "revenue",
        "Revenue",
        "Confirmed FLUX payments to the addresses that Flux accepts for apps, each output once. Change, mining "
        "rewards and the 0.02 FLUX of free specification changes are not counted. A payment counts from "
        f"{settings.MIN_CONFIRMATIONS} confirmations on. Days are UTC, weeks begin on Monday. “So far” is held "
        "against the same length of the period before.",
        "The Flux chain, read through Blockbook and, where that fails, the Flux daemon. US dollars: each payment at "
        "the closing FLUX price of its UTC day (CoinGecko, Binance, CryptoCompare).",
        "Every 5 minutes; a block is made about every 30 seconds.",
        "USD totals exclude payments not yet priced; we show how many. Transactions with an unknown sender are not "
        "counted until it is known.",
    )


NODES = Definition(
    "nodes",
    "Nodes",
    "FluxNodes that the chain lists as confirmed, by tier. The total is the sum of the tiers; a share is that of the "
    "total.",
    "The Flux daemon (getfluxnodecount).",
    EVERY_10,
    "Nodes that have just started or are offline are not on the chain's list.",
    (Source.Name.NODES,),
)
CLOUD = Definition(
    "cloud",
    "Cloud",
    "CPU cores, memory and SSD of all nodes by their last benchmark, and how much of it installed apps have locked. "
    "Apps that are stopped count; each component takes 12 GB of storage on top of what it asks for. Changes of use "
    "are in percentage points (pp).",
    "stats.runonflux.io, which asks every node.",
    f"{EVERY_10} A round of stats takes about 15 minutes.",
    "Nodes that stats could not reach. For a node in the middle of a benchmark the last known size stands in, for a "
    "day at most.",
    (Source.Name.CLOUD,),
)
APPS = Definition(
    "apps",
    "Apps",
    "Running containers. One app runs a container for each of its components on each of its nodes. Git: containers "
    "on an Orbit image. Docker: all others. Watchtower is counted apart and is not in the total.",
    "stats.runonflux.io; the image of a container comes from the app's specification (FluxOS).",
    EVERY_10,
    "About a fifth of the containers belong to encrypted apps without a public image: they are in the total, and "
    "count as Docker. Nodes that stats could not reach are not in it.",
    (Source.Name.APPS, Source.Name.SPECS),
)
GAMING = Definition(
    "gaming",
    "Games",
    "Containers of game servers, by their image or, where that is not public, by the name of their app. The total "
    "also has games that are not listed by themselves.",
    "Same source as Apps.",
    EVERY_10,
    "Encrypted apps under a name that says nothing. Databases and websites beside a game are left out.",
    (Source.Name.APPS, Source.Name.SPECS),
)
CRYPTO = Definition(
    "crypto",
    "Crypto nodes",
    "Containers of nodes of other blockchains and networks, by their image or the name of their app. The total also "
    "has those that are not listed by themselves.",
    "Same source as Apps.",
    EVERY_10,
    "Encrypted apps under a name that says nothing.",
    (Source.Name.APPS, Source.Name.SPECS),
)
