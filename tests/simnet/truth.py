"""What is true of a simulated network: what the ledger, the names, the metrics and the prices should be.

Nothing here is shared with the production code, which is held against it: what an image counts as is written here by
hand, and what is revenue is worked out from the chain and the contract alone.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, NamedTuple, cast

from fluxtracker.simnet import history
from fluxtracker.simnet import records as a
from fluxtracker.simnet.catalogue import App
from fluxtracker.simnet.chain import Chain
from fluxtracker.simnet.history import Plan, transactions
from fluxtracker.simnet.network import Container, FluxNode
from fluxtracker.simnet.records import Tx
from tests.simnet.oddities import Maker
from tests.simnet.peculiar import SPELLINGS, TOWER, Registry

HASH = re.compile(rb"[0-9a-fA-F]{64}")
GAMES = "gaming"
NODES = "crypto"
COUNTS = {  # image without its tag, in small letters: the key of what it counts as, or a category alone
    "thijsvanloef/palworld-server-docker": "gaming_palworld",
    "runonflux/palworld-server-flux": "gaming_palworld",
    "sknnr/enshrouded-dedicated-server": "gaming_enshrouded",
    "itzg/minecraft-server": "gaming_minecraft",
    "itzg/minecraft-bedrock-server": "gaming_minecraft",
    "lloesche/valheim-server": "gaming_valheim",
    "mbround18/valheim": "gaming_valheim",
    "wolveix/satisfactory-server": "gaming_satisfactory",
    "factoriotools/factorio": "gaming_factorio",
    "pfeiffermax/rust-game-server": "gaming_rust",
    "littlestache/terraria": "gaming_terraria",
    "thmhoag/arkserver": "gaming_ark",
    "indifferentbroccoli/windrose-server-docker": "gaming_windrose",
    "presearch/node": "crypto_presearch",
    "kaspanet/rusty-kaspad": "crypto_kaspa",
    "streamr/node": "crypto_streamr",
    "dramirezrt/ravencoin-core-server": "crypto_ravencoin",
    "runonflux/kadena-chainweb-node": "crypto_kadena",
    "touilleio/alephium-standalone": "crypto_alephium",
    "opentensor/subtensor": "crypto_bittensor",
    "timpiltd/timpi-collector": "crypto_timpi_collector",
    "timpiltd/timpi-geocore": "crypto_timpi_geocore",
    "ghcr.io/girderworks/edge": NODES,
    "ghcr.io/girderworks/feather": NODES,
    "runonflux/wp-nginx": "wordpress",
}
TRACKED = sorted(
    {key for key in COUNTS.values() if "_" in key} | {"gaming_dragonwilds", "gaming_fivem", "gaming_project_zomboid"}
)
ORBIT = "runonflux/orbit"


class TruthRow(NamedTuple):
    """One output that is revenue, by the meanings of the contract."""

    txid: str
    vout: int
    address: str
    amount_sat: int
    height: int
    from_address: str | None
    message_hash: str


def sender(tx: Tx) -> str | None:
    """The owner of the first input. None where it has none, or there is no input."""
    return tx.inputs[0].address if tx.inputs else None


def is_sender_known(tx: Tx) -> bool:
    """Whether the sources tell the owner of the first input, or the transaction that it spends."""
    return not tx.inputs or tx.inputs[0].found or (tx.inputs[0].named and tx.inputs[0].address is not None)


def message_hash(tx: Tx) -> str:
    """The 64 hex characters of the last output with a script, where that is an OP_RETURN; else nothing."""
    last = next((o for o in reversed(tx.outputs) if o.script != ""), None)
    data = last.data if last and last.data is not None and 1 <= tx.version <= 4 else b""
    return data.decode().lower() if HASH.fullmatch(data) else ""


def rows_of(tx: Tx, tracked: Mapping[str, int]) -> Iterator[TruthRow]:
    """The outputs of one transaction that count as revenue."""
    if any(i.coinbase for i in tx.inputs):
        return
    payer = sender(tx)
    if payer in tracked or not is_sender_known(tx):
        return
    for number, output in enumerate(tx.outputs):
        first = tracked.get(output.address or "")
        if first is None or tx.height < first or output.address is None:
            continue
        if payer == a.DEVELOPMENT and output.sat == a.FREE_FEE_SAT:
            continue
        yield TruthRow(tx.txid, number, output.address, output.sat, tx.height, payer, message_hash(tx))


def rows(txs: Iterable[Tx], tracked: Mapping[str, int], *, tip: int, min_confirmations: int) -> list[TruthRow]:
    """What the ledger should hold, by height, transaction and output."""
    found = [row for tx in txs if tip - tx.height + 1 >= min_confirmations > 0 for row in rows_of(tx, tracked)]
    return sorted(found, key=lambda row: (row.height, row.txid, row.vout))


def stream(plan: Plan, tracked: Mapping[str, int] = a.TRACKED) -> Iterator[TruthRow]:
    """The rows of a past that is never kept in memory: for benchmarks with a million of them."""
    for tx in transactions(plan, Maker):
        yield from rows_of(tx, tracked)


if TYPE_CHECKING:
    from tests.simnet.world import World

OVERHEAD_GB = 12  # for each component beyond what it asks for (docs/upstream.md#statistics)
MB = 1024  # in a GB


@dataclass(frozen=True, slots=True)
class ExpectedMetrics:
    """Metrics by key. RAM and storage are GB."""

    nodes: dict[str, int]
    """Nodes by tier and in total, as the daemon counts them."""
    rows: dict[str, int]
    """Rows of the statistics: `all`, `reachable`, and `good` ones with the numbers of a benchmark."""
    cloud: dict[str, float]
    """Capacity of the good rows, use of all reachable ones."""
    cloud_all: dict[str, float]
    """Capacity and use of all reachable nodes, as if no benchmark ran and none had failed."""
    apps: dict[str, int]
    tracked: dict[str, int]
    """Games and crypto nodes by key, also those that run nowhere."""
    images: dict[str, int]
    """Containers whose image is known, by the one name that all its spellings mean; no Watchtower."""
    containers: dict[str, int]
    """`all` without Watchtower; `resolved` to an image, `hidden` (of an encrypted app), `unresolved`."""


def metrics(world: World, without: Collection[int] = ()) -> ExpectedMetrics:
    """What a collection finds now; the rows of the nodes `without` are invalid."""
    nodes = [node for node in world.network.nodes() if node.is_reachable and node.machine.number not in without]
    good = [node for node in nodes if node.is_good]
    counts = world.network.counts()
    tiers = {"node_total": sum(counts.values())} | {f"node_{name}": count for name, count in counts.items()}
    rows = {"all": world.nodes, "reachable": len(nodes), "good": len(good)}
    seen = [(node, c) for node in nodes for c in node.containers if c.running]
    towers = sum(c is TOWER for _, c in seen)
    found = Counted(world, [(node, c) for node, c in seen if c is not TOWER])
    return ExpectedMetrics(
        nodes=tiers,
        rows=rows,
        cloud=_cloud(good, nodes),
        cloud_all=_cloud(nodes, nodes),
        apps=found.apps() | {"watchtower_count": towers},
        tracked={key: found.keys[key] for key in TRACKED},
        images=dict(found.images),
        containers=dict(found.how) | {"all": found.how.total()},
    )


def _cloud(measured: Iterable[FluxNode], reachable: Iterable[FluxNode]) -> dict[str, float]:
    """Stopped containers hold what they asked for, too, and all of a node no more than it does not keep for itself."""
    machines = [node.machine for node in measured]
    used = [(node.machine, [c.part for c in node.containers if c is not TOWER]) for node in reachable]
    return {
        "total_cpu_cores": sum(machine.cores for machine in machines),
        "used_cpu_cores": round(sum(min(sum(p.cpu for p in parts), one.cores - 1) for one, parts in used), 1),
        "total_ram_gb": round(sum(machine.ram for machine in machines), 1),
        "used_ram_gb": sum(min(sum(p.ram for p in parts), int(one.ram * MB) - 2000) for one, parts in used) / MB,
        "total_storage_gb": round(sum(machine.ssd for machine in machines), 2),
        "used_storage_gb": sum(min(sum(p.hdd + OVERHEAD_GB for p in parts), int(one.ssd) - 80) for one, parts in used),
    }


def public_image(container: Container) -> str | None:
    """The image that the app's specification names."""
    app = container.app
    return container.part.repotag if app and container.listed and not app.encrypted else None


def is_git(app: App) -> bool:
    """Whether the public specification names an Orbit image."""
    return not app.encrypted and any(ORBIT in part.repotag.lower() for part in app.components)


class Counted:
    """Running containers, each by what it is known to be."""

    def __init__(self, world: World, seen: list[tuple[FluxNode, Container]]) -> None:
        self.images: Counter[str] = Counter()
        self.keys: Counter[str] = Counter()
        self.how = Counter(resolved=0, hidden=0, unresolved=0)
        for node, container in seen:
            image = public_image(container) or world.network.told_image(node.machine.number, container)
            if image:
                spelled = image.removesuffix(f":{_tag(image)}")
                self._by_image(SPELLINGS.get(spelled) or spelled.lower())
            elif container.app and container.listed:
                self._by_name(container)
            else:
                self.how["unresolved"] += 1

    def _by_image(self, image: str) -> None:
        self.how["resolved"] += 1
        self.images[image] += 1
        self.keys[COUNTS.get(image, "")] += 1

    def _by_name(self, container: Container) -> None:
        """Of an encrypted app, one component counts, when the name says what it is."""
        self.how["hidden"] += 1
        template = container.app.template if container.app else None
        if template and container.part.name == (template.counted or template.components[0][0]):
            self.keys[template.by_name] += 1

    def apps(self) -> dict[str, int]:
        total = self.how.total()
        git = self.images[ORBIT]
        return {
            "total_apps": total,
            "gitapps_count": git,
            "dockerapps_count": total - git,
            "gaming_apps_total": self._category("gaming"),
            "crypto_nodes_total": self._category("crypto"),
            "wordpress_count": self._category("wordpress"),
        }

    def _category(self, name: str) -> int:
        return sum(count for key, count in self.keys.items() if key.partition("_")[0] == name)


def _tag(image: str) -> str:
    """Behind the last part's colon; one before it belongs to a registry's port."""
    return image.rpartition("/")[2].partition(":")[2]


def expiring(world: World) -> list[tuple[str, int]]:
    current = world.registry.current().values()
    ends = [(m.app.name, world.registry.end_of(m)) for m in current if world.registry.has_time_left(m)]
    return sorted(((name, end) for name, end in ends if end is not None), key=lambda row: (row[1], row[0]))


def deployed(world: World, hours: float) -> list[str]:
    since = world.now() - hours * 3600
    found = [m for m in world.registry.current().values() if world.chain.time(m.tx.height) >= since]
    return [m.app.name for m in sorted(found, key=lambda m: (-m.tx.height, m.app.name))]


if TYPE_CHECKING:
    from tests.simnet.world import World


class TellsTruth:
    """The part of a world that knows the right results."""

    seed: int
    lock: threading.RLock
    chain: Chain
    registry: Registry
    tracked: dict[str, int]

    @property
    def _world(self) -> World:
        return cast("World", self)

    def truth(self, min_confirmations: int = 8, tip: int | None = None) -> list[TruthRow]:
        """The revenue rows that a ledger should hold once it has read up to the tip."""
        with self.lock:
            tip = self.chain.tip if tip is None else tip
            return rows(self.chain, self.tracked, tip=tip, min_confirmations=min_confirmations)

    def expected_daily(self, min_confirmations: int = 8) -> dict[tuple[date, str], tuple[int, int]]:
        """Satoshi and number of payments by UTC day and address."""
        found: dict[tuple[date, str], tuple[int, int]] = {}
        for row in self.truth(min_confirmations):
            key = (a.day_of(self.chain.time(row.height)), row.address)
            sat, count = found.get(key, (0, 0))
            found[key] = (sat + row.amount_sat, count + 1)
        return found

    def expected_names(self) -> dict[str, tuple[str, bool]]:
        """App name and whether it is a git deploy, by the hash of each message that is known now."""
        return {tx.message_hash: (app.name, is_git(app)) for app, tx in self.registry.known()}

    def expected_metrics(self, without: Collection[int] = ()) -> ExpectedMetrics:
        """What a collection should find now, when the rows of some nodes (by number) are invalid."""
        with self.lock:
            return metrics(self._world, without)

    def expected_expiring(self, limit: int) -> list[tuple[str, int]]:
        """The apps that end next, with the height at which they do."""
        with self.lock:
            return expiring(self._world)[:limit]

    def expected_deployed(self, hours: float = 24) -> list[str]:
        """Names of the apps whose current specification is of the last hours, newest first."""
        with self.lock:
            return deployed(self._world, hours)

    def day_price(self, day: date) -> float:
        """The close of a UTC day: CoinGecko's point at the next midnight."""
        return history.close_on(self.seed, day)
