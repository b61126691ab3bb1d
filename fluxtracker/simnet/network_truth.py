"""What a collection of metrics should find, worked out from what the nodes are and what was put on them.

Nothing here is shared with the production code: what an image counts as is written in `templates.COUNTS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fluxtracker.simnet.network import FluxNode
from fluxtracker.simnet.placement import TOWER, Container
from fluxtracker.simnet.templates import COUNTS, ORBIT, SPELLINGS, TRACKED

if TYPE_CHECKING:
    from fluxtracker.simnet.world import World

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
    """What a collection finds now; the rows of the nodes `without` are no good."""
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
    """Stopped containers hold what they asked for, too."""
    machines = [node.machine for node in measured]
    parts = [c.part for node in reachable for c in node.containers if c is not TOWER]
    return {
        "total_cpu_cores": sum(machine.cores for machine in machines),
        "used_cpu_cores": round(sum(part.cpu for part in parts), 1),
        "total_ram_gb": round(sum(machine.ram for machine in machines), 1),
        "used_ram_gb": sum(part.ram for part in parts) / MB,
        "total_storage_gb": round(sum(machine.ssd for machine in machines), 2),
        "used_storage_gb": sum(part.hdd + OVERHEAD_GB for part in parts),
    }


class Counted:
    """Running containers, each by what it is known to be."""

    def __init__(self, world: World, seen: list[tuple[FluxNode, Container]]) -> None:
        self.images: Counter[str] = Counter()
        self.keys: Counter[str] = Counter()
        self.how = Counter(resolved=0, hidden=0, unresolved=0)
        for node, container in seen:
            image = container.told_image or world.network.told_image(node.machine.number, container)
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
