"""Single rows of the statistics as records (upstream.md 4.1, 4.2, 4.4). Wrong ones raise WRONG_SHAPE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fluxtracker.upstream.wire import amount, is_damaged, is_image

MOST_CORES = 4096  # of one node; more is absurd
MOST_RAM_GB = 65_536
MOST_STORAGE_GB = 1_000_000
MOST_SPEED = 10_000_000  # events/s, MB/s or Mbit/s
MB = 1024  # in one GB, as FluxOS counts (upstream.md 4.3)
LONGEST_NAME = 200

BENCHED = ("cores", "ram", "ssd", "eps", "ddwrite", "download_speed", "upload_speed")


class NotUsed(Exception):
    """A row that is left out although nothing is wrong with it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Resources:
    """Cores, GB of memory and GB of storage."""

    cores: float
    ram_gb: float
    storage_gb: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one node has and what its apps take.

    `capacity` is None while its benchmark runs or after it failed: all numbers are 0 then. Both are None for
    a node that the statistics could not reach.
    """

    collateral: str | None
    """What names a node for good; its address changes. None where the row does not tell it."""
    capacity: Resources | None
    used: Resources | None

    @property
    def unreachable(self) -> bool:
        return self.used is None


@dataclass(frozen=True, slots=True)
class Container:
    """A running container: its name without the leading `/`, its image with the tag, or both."""

    name: str | None
    image: str | None


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What a node's benchmark found."""

    tier: str
    cores: float
    ram_gb: float
    storage_gb: float
    eps: float
    """Events a second over all cores."""
    write_mbs: float
    """MB/s to its disk."""
    download_mbit: float
    upload_mbit: float


def capacity(row: Any) -> Capacity:
    collateral = _collateral(row)
    if is_placeholder(row):
        return Capacity(collateral, None, None)
    resources, bench = row["apps"]["resources"], row["benchmark"]["bench"]
    used = Resources(
        amount(resources["appsCpusLocked"], "cores", MOST_CORES),
        amount(resources["appsRamLocked"], "memory", MOST_RAM_GB * MB) / MB,
        amount(resources["appsHddLocked"], "storage", MOST_STORAGE_GB),
    )
    found = Resources(
        amount(bench["cores"], "cores", MOST_CORES),
        amount(bench["ram"], "memory", MOST_RAM_GB),
        amount(bench["ssd"], "storage", MOST_STORAGE_GB),
    )
    benched = found.cores and found.ram_gb and found.storage_gb
    return Capacity(collateral, found if benched else None, used)


def is_placeholder(row: dict[str, Any]) -> bool:
    """Whether the row stands for a node that nobody reached (upstream.md 0.9).

    A row without the address, unlike one with an empty address, may be a node like any other (samples).
    """
    geolocation = row.get("geolocation")
    return row.get("error") is not None or (isinstance(geolocation, dict) and geolocation.get("ip") == "")


def _collateral(row: dict[str, Any]) -> str | None:
    txid, index = row.get("collateralHash"), row.get("collateralIndex", 0)
    if not isinstance(txid, str) or not 0 < len(txid) <= LONGEST_NAME or not isinstance(index, int | str):
        return None
    return f"{txid}:{index}"[:LONGEST_NAME]


def running(row: Any) -> list[Container | None]:
    """The containers of a node, None for each that tells neither a name nor an image."""
    found = row["apps"]["runningapps"]
    if not isinstance(found, list):
        raise TypeError("no list of containers")
    return [_container(one) for one in found]


def _container(row: Any) -> Container | None:
    if not isinstance(row, dict):
        return None
    names, image = row.get("Names"), row.get("Image")
    name = names[0] if isinstance(names, list) and names else None
    if is_damaged(name) or is_damaged(image):
        return None
    name = name.removeprefix("/") if isinstance(name, str) and len(name) <= LONGEST_NAME else None
    # Docker tells a bare digest where an image has lost its name.
    image = image if isinstance(image, str) and is_image(image) and not image.startswith("sha256:") else None
    return Container(name or None, image) if name or image else None


def benchmark(row: Any) -> Benchmark:
    if is_placeholder(row):
        raise NotUsed("unreachable")
    bench, tier = row["benchmark"]["bench"], row["tier"]
    limits = (MOST_CORES, MOST_RAM_GB, MOST_STORAGE_GB, *[MOST_SPEED] * 4)
    found = [amount(bench[name], name, most) for name, most in zip(BENCHED, limits, strict=True)]
    if not all(found[:3]):
        raise NotUsed("benchmarking")
    if tier not in ("CUMULUS", "NIMBUS", "STRATUS"):
        raise ValueError("an unknown tier")
    return Benchmark(tier, *found)
