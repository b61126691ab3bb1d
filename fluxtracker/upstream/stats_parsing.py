"""Parse single rows of the statistics (docs/upstream.md#statistics). Wrong ones raise WRONG_SHAPE."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fluxtracker.images import parse_image
from fluxtracker.upstream.parsing import amount, count, full_address, is_damaged, or_none
from fluxtracker.upstream.records import TIERS

MOST_CORES = 4096  # per node; more is absurd
MOST_RAM_GB = 65_536
MOST_STORAGE_GB = 1_000_000
MOST_SPEED = 10_000_000  # events/s, MB/s or Mbit/s
MB = 1024  # in one GB, as FluxOS counts (docs/upstream.md#statistics)
LONGEST_NAME = 200

LAST_MS = 4_102_444_800_000  # the year 2100

CAPACITY = (("cores", MOST_CORES), ("ram", MOST_RAM_GB), ("ssd", MOST_STORAGE_GB))
LOCKED = (("appsCpusLocked", MOST_CORES), ("appsRamLocked", MOST_RAM_GB * MB), ("appsHddLocked", MOST_STORAGE_GB))
BENCHED = dict(CAPACITY) | dict.fromkeys(("eps", "ddwrite", "download_speed", "upload_speed"), MOST_SPEED)

UP = "running"
STATES = {UP, "created", "restarting", "removing", "paused", "exited", "dead"}
STATUSES = {"exited": "exited", "created": "created", "restarting": "restarting", "dead": "dead", "removal": "removing"}
"""Start of Docker's sentence for a container that does not run, and its word for that state."""

Fullness = tuple[bool, int]
"""Whether a record tells what it is asked for, and how much: the fuller of two records of one node counts."""


class NotUsed(Exception):
    """A valid row that is left out."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Resources:
    """Cores, GB of memory and GB of storage, None for each missing one."""

    cores: float | None
    ram_gb: float | None
    storage_gb: float | None
    unusable: bool = False
    """Whether a number is missing, negative, absurd or none at all."""

    @property
    def numbers(self) -> tuple[float | None, float | None, float | None]:
        return self.cores, self.ram_gb, self.storage_gb

    @property
    def is_whole(self) -> bool:
        return None not in self.numbers

    @property
    def is_empty(self) -> bool:
        return self.numbers == (None, None, None)

    @property
    def is_garbage(self) -> bool:
        """Return whether the value is not a number, unlike the zeros of a running benchmark."""
        return self.unusable and self.is_empty

    def completed(self, other: Resources) -> Resources:
        """Return the same, with missing numbers from the other one."""
        if self.is_whole:
            return self
        pairs = zip(self.numbers, other.numbers, strict=True)
        cores, ram_gb, storage_gb = (theirs if mine is None else mine for mine, theirs in pairs)
        return Resources(cores, ram_gb, storage_gb, self.unusable)

    def only(self, selected: Iterable[bool]) -> Resources:
        """Return the same with only the selected numbers."""
        pairs = zip(self.numbers, selected, strict=True)
        cores, ram_gb, storage_gb = (number if is_wanted else None for number, is_wanted in pairs)
        return Resources(cores, ram_gb, storage_gb, self.unusable)


UNKNOWN = Resources(None, None, None)


@dataclass(frozen=True, slots=True)
class Capacity:
    """Resources of one node and those used by its apps, each number separately.

    While a benchmark runs or after it failed, the numbers of the capacity are 0: not known.
    """

    collateral: str | None
    """Permanent name of a node; its address changes. None where the row leaves it out."""
    capacity: Resources
    used: Resources
    unreachable: bool = False

    @property
    def fullness(self) -> Fullness:
        known = [number for half in (self.capacity, self.used) for number in half.numbers if number is not None]
        return not self.capacity.is_empty, len(known)


@dataclass(frozen=True, slots=True)
class Container:
    """A running container: its name without the leading `/`, its image with the tag, or both."""

    name: str | None
    image: str | None


@dataclass(frozen=True, slots=True)
class Running:
    """The containers of one node."""

    containers: tuple[Container, ...]
    left_out: int
    """Those that tell neither a name nor an image."""
    stopped: tuple[str, ...]
    """The states of those that do not run."""

    @property
    def fullness(self) -> Fullness:
        return True, len(self.containers)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Results of a node's benchmark; None for each missing number."""

    tier: str
    cores: float | None
    ram_gb: float | None
    storage_gb: float | None
    eps: float | None
    """Events a second over all cores."""
    write_mbs: float | None
    """MB/s to its disk."""
    download_mbit: float | None
    upload_mbit: float | None

    @property
    def fullness(self) -> Fullness:
        numbers = (getattr(self, attribute) for attribute in self.__slots__ if attribute != "tier")
        return True, sum(number is not None for number in numbers)


def capacity(row: Any) -> Capacity:
    if is_placeholder(row):
        return Capacity(collateral(row), UNKNOWN, UNKNOWN, unreachable=True)
    bench, locked = inner(row, "benchmark", "bench"), inner(row, "apps", "resources")
    cores, ram_gb, storage_gb = (or_none(amount, bench.get(name), name, most) for name, most in CAPACITY)
    has = Resources(cores or None, ram_gb or None, storage_gb or None, None in (cores, ram_gb, storage_gb))
    cores, ram_mb, storage_gb = (or_none(amount, locked.get(name), name, most) for name, most in LOCKED)
    takes = (cores, None if ram_mb is None else ram_mb / MB, storage_gb)
    return Capacity(collateral(row), has, Resources(*takes, None in takes))


def inner(row: Any, *path: str) -> dict[str, Any]:
    """Return the object at the end of the path, an empty one if missing."""
    for key in path:
        row = row.get(key) if isinstance(row, dict) else None
    return row if isinstance(row, dict) else {}


def is_placeholder(row: dict[str, Any]) -> bool:
    """Return whether the row stands for a node that could not be reached (docs/upstream.md#common-traps).

    A row without the address key, unlike one with an empty address, may be a normal node (samples).
    """
    geolocation = row.get("geolocation")
    return row.get("error") is not None or (isinstance(geolocation, dict) and geolocation.get("ip") == "")


def collateral(row: Any) -> str | None:
    """Return a node's collateral output as `txid:index`."""
    txid = row.get("collateralHash")
    if not isinstance(txid, str) or not 0 < len(txid) <= LONGEST_NAME:
        return None
    index = or_none(count, row.get("collateralIndex", 0), "an output")
    return None if index is None else f"{txid.lower()}:{index}"


def node_key(row: Any) -> str | None:
    """Return a node's identity: its collateral, else its address with port. Never stored."""
    if not isinstance(row, dict):
        return None
    if outpoint := collateral(row):
        return outpoint
    address = row.get("ip")
    if not isinstance(address, str) or not address:
        return None
    return full_address(address)


def collected_at(row: Any) -> int:
    """Return when the row was made in unix milliseconds, 0 if missing."""
    times = (or_none(count, row.get(name), name, LAST_MS) for name in ("dataCollectedAt", "roundTime"))
    return next((time for time in times if time is not None), 0)


def running(row: Any) -> Running:
    if is_placeholder(row):
        raise NotUsed("unreachable")
    listed = row["apps"]["runningapps"]
    if not isinstance(listed, list):
        raise TypeError("no list of containers")
    states = [_state(one) for one in listed]
    up = [_container(one) for one, state in zip(listed, states, strict=True) if state == UP]
    containers = tuple(one for one in up if one is not None)
    return Running(containers, len(up) - len(containers), tuple(state for state in states if state != UP))


def _state(row: Any) -> str:
    """Return Docker's state. A container without one is running, as only those used to be listed."""
    if not isinstance(row, dict):
        return UP
    state, status = (_word(row.get(key)) for key in ("State", "Status"))
    if state:
        return state if state in STATES else "other"
    if status.endswith("(paused)"):
        return "paused"
    return next((word for start, word in STATUSES.items() if status.startswith(start)), UP)


def _word(value: Any) -> str:
    return value.strip().lower() if isinstance(value, str) else ""


def _container(row: Any) -> Container | None:
    if not isinstance(row, dict):
        return None
    names, image = row.get("Names"), parse_image(row.get("Image"))
    name = names[0] if isinstance(names, list) and names else None
    if is_damaged(name) or is_damaged(image):
        return None
    name = name.removeprefix("/") if isinstance(name, str) and len(name) <= LONGEST_NAME else None
    return Container(name or None, image) if name or image else None


def benchmark(row: Any) -> Benchmark:
    if is_placeholder(row):
        raise NotUsed("unreachable")
    bench, tier = inner(row, "benchmark", "bench"), row["tier"]
    numbers = [or_none(amount, bench.get(name), name, most) for name, most in BENCHED.items()]
    if all(number is None for number in numbers):
        raise ValueError("no number")
    if not any(numbers):
        raise NotUsed("benchmarking")
    if tier not in TIERS:
        raise ValueError("an unknown tier")
    return Benchmark(tier, *numbers)
