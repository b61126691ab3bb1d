"""A past for the numbers of today: smooth, growing, the same for one seed. For the demo only. No Django here."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import pi, sin

from metrics.catalogue import Number, Values, with_ratios

YEAR, MONTH = 365.0, 30.0  # days
WAVES = (400.0, 131.0, 37.0, 11.0, 3.1, 1.0)  # days; the last one is the course of a day
MOST_USED = 0.95  # of a capacity
NEWCOMERS = 3  # tracked games that came in the last months
TIERS = ("node_cumulus", "node_nimbus", "node_stratus")
CAPACITY = {  # total: use, decimals
    "total_cpu_cores": ("used_cpu_cores", 1),
    "total_ram_gb": ("used_ram_gb", 2),
    "total_storage_gb": ("used_storage_gb", 2),
}
CATEGORIES = {"gaming_": "gaming_apps_total", "crypto_": "crypto_nodes_total"}


@dataclass(frozen=True, slots=True)
class Curve:
    """How much of its value of today something had. `month`, `year`: the share of it so long ago."""

    month: float
    year: float
    waves: tuple[tuple[float, float, float], ...]
    """Days, phase, share of the value."""
    born: float | None = None
    """Days ago; before, it did not exist."""

    def at(self, age: float) -> float | None:
        """The share of today's value `age` days ago; None when there was nothing yet."""
        if self.born is not None and age >= self.born:
            return None
        grown = 1.0 if self.born is None else max(0.03, 1 - age / self.born) ** 1.5
        return grown * self._trend(age) * max(0.1, 1 + self._wave(age) - self._wave(0.0))

    def _trend(self, age: float) -> float:
        if age <= MONTH:
            return 1 - (1 - self.month) * age / MONTH
        return self.month * math.pow(self.year / self.month, (age - MONTH) / (YEAR - MONTH))

    def _wave(self, age: float) -> float:
        return sum(height * sin(2 * pi * age / days + phase) for days, phase, height in self.waves)


def curve(
    seed: int, name: str, year: float, wobble: float, month: float | None = None, born: float | None = None
) -> Curve:
    """A curve of its own for each name. `wobble` is about the greatest part that the waves add or take."""
    rng = random.Random(f"{seed}:{name}")
    sizes = [wobble * size * rng.uniform(0.5, 1.0) for size in (0.4, 0.3, 0.25, 0.2, 0.1, 0.08)]
    waves = tuple((days, rng.uniform(0, 2 * pi), size) for days, size in zip(WAVES, sizes, strict=True))
    return Curve(year ** (MONTH / YEAR) if month is None else month, year, waves, born)


class Past:
    """The past of the metrics whose present values are given. What is not known today was not known then."""

    def __init__(self, present: Values, tracked: Iterable[str], seed: int, days: int) -> None:
        self.present, self.seed = present, seed
        self.tracked = [key for key in tracked if present.get(key) is not None]
        # 4 % fewer nodes a month ago: what the simulated network tells of its last 30 days.
        self.nodes = curve(seed, "nodes", year=0.82, wobble=0.004, month=0.96)
        self.containers = curve(seed, "containers", year=0.6, wobble=0.03)
        self.git = curve(seed, "git", year=0.3, wobble=0.05)
        self.wordpress = curve(seed, "wordpress", year=0.7, wobble=0.04)
        self.price = curve(seed, "price", year=1.3, wobble=0.12)
        self.machines = {total: curve(seed, total, year=0.98, wobble=0.002) for total in CAPACITY}
        self.use = {total: curve(seed, f"use of {total}", year=0.85, wobble=0.05) for total in CAPACITY}
        born = self._newcomers(days)
        self.apps = {key: self._app(key, born.get(key)) for key in self.tracked}

    def _newcomers(self, days: int) -> Mapping[str, float]:
        rng = random.Random(f"{self.seed}:newcomers")
        games = [key for key in self.tracked if key.startswith("gaming_") and self.present[key]]
        names = rng.sample(games, min(NEWCOMERS, len(games) // 2))
        return {key: days * rng.uniform(0.12, 0.4) for key in names}

    def _app(self, key: str, born: float | None) -> Curve:
        year = random.Random(f"{self.seed}:growth of {key}").uniform(0.35, 0.95)
        return curve(self.seed, key, year, wobble=0.06, born=born)

    def at(self, age: float) -> dict[str, Number | None]:
        """Every metric `age` days ago, percentages included; a tracked app that did not exist has no key."""
        found = self._nodes(age) | self._cloud(age) | self._apps(age)
        price = self._times("flux_price_usd", self.price, age)
        return with_ratios(found | {"flux_price_usd": None if price is None else round(price, 10)})

    def _times(self, key: str, by: Curve, age: float) -> float | None:
        value, share = self.present.get(key), by.at(age)
        return None if value is None or share is None else value * share

    def _count(self, key: str, by: Curve, age: float) -> int | None:
        value = self._times(key, by, age)
        return None if value is None else round(value)

    def _nodes(self, age: float) -> dict[str, Number | None]:
        tiers = {key: self._count(key, self.nodes, age) for key in TIERS}
        return {**tiers, "node_total": None if None in tiers.values() else sum(n for n in tiers.values() if n)}

    def _cloud(self, age: float) -> dict[str, Number | None]:
        """A capacity follows the nodes; what is used of it, its own course."""
        found: dict[str, Number | None] = {}
        for total, (used, places) in CAPACITY.items():
            whole = self._times(total, self.nodes, age)
            whole = None if whole is None else round(whole * (self.machines[total].at(age) or 0), places)
            found[total], found[used] = whole, self._used(total, used, whole, age, places)
        return found

    def _used(self, total: str, used: str, whole: float | None, age: float, places: int) -> float | None:
        now, share = self.present.get(used), self.use[total].at(age)
        all_now = self.present.get(total)
        if whole is None or now is None or share is None or not all_now:
            return None
        return round(whole * min(MOST_USED, now / all_now * share), places)

    def _apps(self, age: float) -> dict[str, Number | None]:
        total = self._count("total_apps", self.containers, age)
        git = self._count("gitapps_count", self.git, age)
        found: dict[str, Number | None] = {"total_apps": total, "gitapps_count": git}
        found["dockerapps_count"] = None if total is None or git is None else total - git
        found["watchtower_count"] = self._count("watchtower_count", self.containers, age)
        found["wordpress_count"] = self._count("wordpress_count", self.wordpress, age)
        counts = {key: self._count(key, by, age) for key, by in self.apps.items()}
        known = {
            key: max(1, count) if self.present[key] else count for key, count in counts.items() if count is not None
        }
        return found | known | {key: self._category(prefix, key, known, age) for prefix, key in CATEGORIES.items()}

    def _category(self, prefix: str, key: str, known: Mapping[str, int], age: float) -> int | None:
        """The tracked ones of then, and the others that the total counts besides."""
        now = self.present.get(key)
        if now is None:
            return None
        others = max(0.0, now - sum(self.present[name] or 0 for name in self.tracked if name.startswith(prefix)))
        named = sum(count for name, count in known.items() if name.startswith(prefix))
        return named + round(others * (self.containers.at(age) or 0))
