"""Choose operator, place and programs of a simulated node, deterministic by node."""

from __future__ import annotations

import random
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from fluxtracker.simnet.base58 import made_up, zel_id

OPERATORS = 300
AT_HOME = 0.75  # share of an operator's nodes that are with its usual provider
ARCANE = 0.94  # share of the nodes that run ArcaneOS
COLLATERAL = {"CUMULUS": 1_000, "NIMBUS": 12_500, "STRATUS": 40_000}  # FLUX


class Country(NamedTuple):
    name: str
    code: str
    continent: str
    continent_code: str
    region: str
    city: str
    lat: float
    lon: float
    timezone: str


COUNTRIES = {
    country.code: country
    for country in (
        Country("Germany", "DE", "Europe", "EU", "HE", "Hesse", 50.1109, 8.68213, "Europe/Berlin"),
        Country("Finland", "FI", "Europe", "EU", "18", "Uusimaa", 60.1719, 24.9347, "Europe/Helsinki"),
        Country("France", "FR", "Europe", "EU", "IDF", "Île-de-France", 48.8575, 2.35138, "Europe/Paris"),
        Country("Poland", "PL", "Europe", "EU", "14", "Mazovia", 52.2297, 21.0122, "Europe/Warsaw"),
        Country("Austria", "AT", "Europe", "EU", "9", "Vienna", 48.2049, 16.3662, "Europe/Berlin"),
        Country("United States", "US", "North America", "NA", "VA", "Virginia", 39.0438, -77.4874, "America/New_York"),
        Country("Canada", "CA", "North America", "NA", "QC", "Quebec", 45.3151, -73.8779, "America/Toronto"),
        Country("Mexico", "MX", "North America", "NA", "CMX", "Mexico City", 19.4047, -99.1539, "America/Mexico_City"),
        Country("Brazil", "BR", "South America", "SA", "SP", "Sao Paulo", -23.5505, -46.6333, "America/Sao_Paulo"),
        Country("Singapore", "SG", "Asia", "AS", "03", "North West", 1.35208, 103.82, "Asia/Singapore"),
        Country("Japan", "JP", "Asia", "AS", "13", "Tokyo", 35.6895, 139.692, "Asia/Tokyo"),
        Country("Australia", "AU", "Oceania", "OC", "NSW", "New South Wales", -33.8688, 151.209, "Australia/Sydney"),
        Country("South Africa", "ZA", "Africa", "AF", "GP", "Gauteng", -26.2041, 28.0473, "Africa/Johannesburg"),
    )
}


class Provider(NamedTuple):
    """One autonomous system. `orgs`: its names; `flagged`: flagged as a data centre."""

    asn: str
    orgs: tuple[str, ...]
    countries: tuple[str, ...]
    weight: int
    flagged: bool = True


PROVIDERS = (
    Provider("AS24940 Hetzner Online GmbH", ("Hetzner Online GmbH", "Hetzner"), ("FI", "DE"), 28),
    Provider("AS16276 OVH SAS", ("OVH SAS", "OVH Ltd", "OVH Hosting Inc"), ("FR", "CA", "SG", "AU", "PL"), 14),
    Provider("AS51167 Contabo GmbH", ("Contabo GmbH",), ("DE", "US"), 10),
    Provider("AS201814 MEVSPACE sp. z o.o.", ("DataVex", "MEVSPACE"), ("PL",), 8, False),
    Provider("AS197540 netcup GmbH", ("ANX", "netcup GmbH"), ("AT", "DE"), 7, False),
    Provider("AS8560 IONOS SE", ("Fr Nbz Ionos Cloud Nbz", "IONOS SE"), ("FR", "DE", "US"), 5),
    Provider("AS14061 DigitalOcean, LLC", ("DigitalOcean, LLC",), ("US", "SG"), 4),
    Provider("AS3320 Deutsche Telekom AG", ("Deutsche Telekom AG",), ("DE",), 4, False),
    Provider("AS7922 Comcast Cable Communications, LLC", ("Comcast Cable", ""), ("US",), 4, False),
    Provider("AS8151 Uninet S.A. de C.V.", ("",), ("MX",), 2, False),
    Provider("AS4713 NTT Communications Corporation", ("Open Computer Network",), ("JP",), 2, False),
    Provider("AS28573 Claro NXT Telecomunicacoes Ltda", ("Claro",), ("BR",), 1, False),
    Provider("AS37457 Telkom SA Ltd.", ("Telkom",), ("ZA",), 1, False),
)
WEIGHTS = [provider.weight for provider in PROVIDERS]


class Facts(NamedTuple):
    """Operator and programs of a node, from its list and statistics. `arcane` is empty without ArcaneOS."""

    payment_address: str
    zelid: str
    pubkey: str
    provider: Provider
    org: str
    country: Country
    fluxos: str
    daemon: int
    benchmark: str
    arcane: tuple[str, str] | tuple[()]


@lru_cache(maxsize=20_000)
def facts(seed: int, collateral: str) -> Facts:
    """Return the facts of the node with this collateral: operators are of very unequal size."""
    rng = random.Random(f"{seed}:operator of:{collateral}")
    number = int(OPERATORS * rng.random() ** 2)
    usual = random.Random(f"{seed}:operator:{number}").choices(PROVIDERS, WEIGHTS)[0]
    provider = usual if rng.random() < AT_HOME else rng.choices(PROVIDERS, WEIGHTS)[0]
    addresses, keys = (3 if number % 5 == 0 else 1), 1 + number % 3
    name = f"{seed} operator {number}"
    key = sha256(f"{name} key {rng.randrange(keys)}".encode()).hexdigest()
    old = rng.random()
    return Facts(
        made_up(f"{name} {rng.randrange(addresses)}"),
        zel_id(name),
        f"0{2 + int(key[0], 16) % 2}{key}",
        provider,
        rng.choice(provider.orgs),
        COUNTRIES[rng.choice(provider.countries)],
        "8.20.0" if old < 0.86 else "8.19.2" if old < 0.97 else "8.17.0",
        9_010_050 if old < 0.95 else 9_000_650,
        "6.3.1" if old < 0.9 else "6.2.0",
        ()
        if rng.random() >= ARCANE
        else ("1775071308", "jolly wombat")
        if old < 0.8
        else ("1767812345", "brave otter"),
    )


def geolocation(found: Facts, host: str) -> dict[str, Any]:
    """Return a node's place as in the statistics."""
    place, flagged = found.country, found.provider.flagged
    return {
        "ip": host,
        "continent": place.continent,
        "continentCode": place.continent_code,
        "country": place.name,
        "countryCode": place.code,
        "region": place.region,
        "regionName": place.city,
        "lat": place.lat,
        "lon": place.lon,
        "org": found.org,
        "isp": found.provider.asn.partition(" ")[2],
        "asn": found.provider.asn,
        "mobile": False,
        "proxy": False,
        "hosting": flagged,
        "static": flagged,
        "dataCenter": flagged,
    }


NOWHERE = dict.fromkeys(("ip", "continent", "continentCode", "country", "countryCode", "region", "regionName"), "")
"""The place of a node that could not be reached, with `lat` and `lon` of 0."""


def programs(found: Facts, address: str) -> dict[str, Any]:
    """Return a node's `flux` subtree."""
    told: dict[str, Any] = {
        "version": found.fluxos,
        "ip": address,
        "zelid": found.zelid,
        "timezone": found.country.timezone,
        "dos": {"dosState": 0, "dosMessage": None},
    }
    return told | (
        dict(zip(("arcaneVersion", "arcaneHumanVersion"), found.arcane, strict=True)) if found.arcane else {}
    )
