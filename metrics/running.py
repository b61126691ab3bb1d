"""How many containers run, and of what (docs/contract.md#snapshots-and-instances, "Running instances")."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from fluxtracker.images import image_name
from fluxtracker.upstream.stats import Containers
from fluxtracker.upstream.stats_rows import Container
from metrics.catalogue import COUNTED, percent
from metrics.classify import Classifier, Kind
from metrics.models import Category, TrackedApp
from metrics.naming import AppIndex
from metrics.readout import Readout, Refused
from ops.health import iso


@dataclass(frozen=True, slots=True)
class ImageRow:
    """Containers of one image; its category is the one that most of them are in."""

    image: str
    category: str
    count: int


@dataclass(frozen=True, slots=True)
class AppsReadout(Readout):
    images: tuple[ImageRow, ...]


@dataclass(slots=True)
class Tally:
    """The counts in the making."""

    kinds: Counter[Kind] = field(default_factory=Counter)
    images: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    resolved: int = 0
    encrypted: int = 0
    unknown: int = 0

    def add(self, kind: Kind, image: str | None, many: int) -> None:
        self.kinds[kind] += many
        if image and not kind.is_system:
            self.images[image_name(image)][kind.category] += many

    def sum(self, *, category: str = "", tracked: tuple[str, str] | None = None) -> int:
        """Containers of a category or of a tracked app; what belongs to the system is in neither."""
        wanted = (
            many
            for kind, many in self.kinds.items()
            if not kind.is_system and (tracked in kind.tracked if tracked else kind.category == category)
        )
        return sum(wanted)


def count_running(
    found: Containers, index: AppIndex | None, index_at: datetime | None, classifier: Classifier
) -> AppsReadout:
    """Counts by image and app. Refused where names have to be looked up and no specifications are known."""
    if index is None and any(container.image is None for container in found.containers):
        raise Refused("containers tell only their names, and no app specifications of the last 24 hours are known")
    tally = Tally()
    for container, many in Counter(found.containers).items():
        _add(tally, container, many, index or AppIndex([]), classifier)
    containers = len(found.containers)
    coverage = {
        "rows": found.rows,
        "repeated": found.repeated,
        "nodes": found.nodes,
        "containers": containers,
        "resolved": tally.resolved,
        "resolvedPercent": percent(tally.resolved, containers),
        "encrypted": tally.encrypted,
        "unknown": tally.unknown,
        "rowsLeftOut": found.rows - found.repeated - found.nodes,
        "containersLeftOut": found.left_out,
        "notRunning": found.stopped,
        "specificationsOf": iso(index_at),
    }
    return AppsReadout(_values(tally, classifier), coverage, found.nodes, tuple(_image_rows(tally)))


def _add(tally: Tally, container: Container, many: int, index: AppIndex, classifier: Classifier) -> None:
    """Count `many` containers that are alike."""
    if container.image:
        tally.resolved += many
        tally.add(classifier.by_image(container.image), container.image, many)
        return
    told = index.resolve(container.name or "")
    if told.image:
        tally.resolved += many
        tally.add(classifier.by_image(told.image), told.image, many)
        return
    if told.encrypted:
        tally.encrypted += many
    else:
        tally.unknown += many
    tally.add(classifier.by_name(told.app, told.component), None, many)


def _values(tally: Tally, classifier: Classifier) -> dict[str, int]:
    everything = tally.kinds.total()
    system = sum(many for kind, many in tally.kinds.items() if kind.is_system)
    git = sum(many for kind, many in tally.kinds.items() if kind.is_git and not kind.is_system)
    wordpress = [
        many
        for kind, many in tally.kinds.items()
        if not kind.is_system and any(of == TrackedApp.Category.WORDPRESS for of, _ in kind.tracked)
    ]
    fixed = {
        "total_apps": everything - system,
        "watchtower_count": sum(many for kind, many in tally.kinds.items() if kind.is_watchtower),
        "gitapps_count": git,
        "dockerapps_count": everything - system - git,
        "gaming_apps_total": tally.sum(category=Category.Key.GAMING),
        "crypto_nodes_total": tally.sum(category=Category.Key.CRYPTO),
        "wordpress_count": sum(wordpress),
    }
    tracked = [pair for pair in classifier.counted if pair[0] in COUNTED]
    return fixed | {f"{of}_{key}": tally.sum(tracked=(of, key)) for of, key in tracked}


def _image_rows(tally: Tally) -> Iterator[ImageRow]:
    for image, categories in tally.images.items():
        yield ImageRow(image, categories.most_common(1)[0][0], categories.total())
