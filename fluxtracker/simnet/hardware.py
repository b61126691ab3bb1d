"""What the machines of the network are: the same for one seed, whatever runs on them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from zlib import crc32

TIERS = {"CUMULUS": (4, 7.7, 220, 1000), "NIMBUS": (8, 30.6, 440, 12_500), "STRATUS": (16, 61.9, 880, 40_000)}
"""Cores, GB of memory, GB of storage, collateral in FLUX: the least that a tier asks for."""
SHARES = (3378, 1582, 1764)
UNREACHABLE, ARCANE, FAILED = 0.022, 0.94, 0.004


@dataclass(frozen=True, slots=True)
class Machine:
    """One node's machine. `ram` and `ssd` are GB, speeds as a benchmark tells them."""

    number: int
    tier: str
    ip: str
    reachable: bool
    arcane: bool
    cores: int
    ram: float
    ssd: float
    ddwrite: float
    eps: float
    download: float
    upload: float


def machine(seed: int, number: int) -> Machine:
    rng = random.Random(f"{seed}:node:{number}")
    tier = rng.choices(tuple(TIERS), SHARES)[0]
    reachable = rng.random() >= UNREACHABLE
    port = rng.choice(("", ":16137", ":16147", ":16167"))
    ip = f"{rng.randrange(11, 220)}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}{port}"
    arcane = rng.random() < ARCANE
    least = TIERS[tier]
    cores = least[0] * rng.choice((1, 1, 1, 2))
    ram = round(least[1] + rng.choice((0, 0.1, 1.4, 1.9)), 1)
    ssd = least[2] + rng.choice((0.0, 0.0, 6.94, 36.0))
    write, eps, down, up = (round(rng.uniform(0.6, 2.0) * usual, 2) for usual in (700, 320 * cores, 900, 850))
    return Machine(number, tier, ip, reachable, arcane, cores, ram, ssd, write, eps, down, up)


def state(seed: int, one: Machine, began: int, benchmarking: float) -> str:
    """ "online", "running" (its benchmark), "failed" or "unreachable", in the round that began then."""
    if not one.reachable:
        return "unreachable"
    draw = crc32(f"{seed}:state:{one.number}:{began}".encode()) / 2**32
    return "running" if draw < benchmarking else "failed" if draw < benchmarking + FAILED else "online"
