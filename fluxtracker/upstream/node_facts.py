"""Read a node's place, provider and versions from its row of the statistics (docs/upstream.md#statistics)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from fluxtracker.upstream.parsing import amount, count, has_ip, is_address, is_damaged, or_none
from fluxtracker.upstream.records import TIERS
from fluxtracker.upstream.stats_parsing import MOST_CORES, Fullness, collateral, inner, is_placeholder

PLACE = ("continentCode", "countryCode", "asn", "org")
FLUXOS = ("version", "zelid", "arcaneVersion")
PROJECTION = ",".join(
    [
        "tier",
        *(f"geolocation.{name}" for name in PLACE),
        *(f"flux.{name}" for name in FLUXOS),
        "daemon.info.version",
        "benchmark.info.version",
        "benchmark.bench.cores",
    ]
)
LARGEST_AS = 2**32 - 1
LONGEST_WORDS = 80

is_code = re.compile(r"[A-Z]{2}").fullmatch
is_version = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,31}").fullmatch
as_text = re.compile(r"\s*AS\s*([0-9]{1,10})\b[\s:,-]*(.*)", re.IGNORECASE | re.DOTALL).match


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Facts that a node reports about itself. None for each missing one; an unreachable node reports none."""

    collateral: str | None
    tier: str
    reached: bool
    country: str | None = None
    """Two letters, as the continent."""
    continent: str | None = None
    provider: int | None = None
    """The number of its autonomous system (AS)."""
    provider_names: tuple[str, ...] = ()
    cores: float | None = None
    """None while its benchmark runs, and after one that failed."""
    zelid: str | None = None
    fluxos: str | None = None
    daemon: str | None = None
    benchmark: str | None = None
    arcane: bool | None = None
    """Whether it runs ArcaneOS; None where it tells nothing of its system."""

    @property
    def fullness(self) -> Fullness:
        reported = (self.country, self.provider, self.cores, self.zelid, self.fluxos, self.daemon, self.benchmark)
        return self.reached, sum(fact is not None for fact in reported)


def node_facts(row: Any) -> NodeFacts:
    """Return the facts of a row. ValueError for an unknown tier."""
    tier = row["tier"]
    if tier not in TIERS:
        raise ValueError("an unknown tier")
    if is_placeholder(row):
        return NodeFacts(collateral(row), tier, reached=False)
    place, flux = inner(row, "geolocation"), inner(row, "flux")
    provider, names = _provider(place.get("asn"), place.get("org"))
    fluxos, arcane = _version(flux.get("version")), _version(flux.get("arcaneVersion"))
    zelid = flux.get("zelid")
    return NodeFacts(
        collateral=collateral(row),
        tier=tier,
        reached=True,
        country=_code(place.get("countryCode")),
        continent=_code(place.get("continentCode")),
        provider=provider,
        provider_names=names,
        cores=or_none(amount, inner(row, "benchmark", "bench").get("cores"), "cores", MOST_CORES) or None,
        zelid=zelid if isinstance(zelid, str) and is_address(zelid) else None,
        fluxos=fluxos,
        daemon=_version(inner(row, "daemon", "info").get("version")),
        benchmark=_version(inner(row, "benchmark", "info").get("version")),
        arcane=arcane is not None if fluxos or arcane else None,
    )


def _code(value: Any) -> str | None:
    code = value.strip().upper() if isinstance(value, str) else ""
    return code if is_code(code) else None


def _provider(asn: Any, org: Any) -> tuple[int | None, tuple[str, ...]]:
    """Return the number in `AS197540 netcup GmbH`, and the provider's names."""
    match = as_text(asn) if isinstance(asn, str) else None
    number = or_none(count, match[1] if match else asn, "an AS", LARGEST_AS)
    if not number:
        return None, ()
    names = (_words(match[2] if match else ""), _words(org))
    return number, tuple(dict.fromkeys(filter(None, names)))


def _words(value: Any) -> str:
    """Return untrusted text: printable, short, and without anything like an address."""
    if not isinstance(value, str) or is_damaged(value) or has_ip(value):
        return ""
    return " ".join("".join(filter(str.isprintable, value)).split())[:LONGEST_WORDS].strip()


def _version(value: Any) -> str | None:
    """Return a version as text; 0 and anything like an address count as missing."""
    text = str(value).strip() if isinstance(value, str) or type(value) is int else ""
    return text if is_version(text) and text != "0" and not has_ip(text) else None
