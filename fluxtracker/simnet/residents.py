"""Apps that are on the network without a payment on the chain: one of every peculiarity, and a crowd.

Their messages are as old as those of the dump: the payments behind them are not among those of the world.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fluxtracker.simnet.addresses import MAIN
from fluxtracker.simnet.catalogue import App, Catalogue, Component, crowd_app, make_app
from fluxtracker.simnet.history import FLUX, digest
from fluxtracker.simnet.records import Output, Tx
from fluxtracker.simnet.registry import Registry
from fluxtracker.simnet.templates import RARE, SPELLINGS, TEMPLATES

PECULIAR_FROM = 3_000_000  # their numbers in the catalogue
CANCELLED_AGO = 4_000  # blocks; an owner who cancels sets `expire` to 100
YOUNG = 60_000  # blocks within which the crowd was deployed: three weeks
LONG = 264_000
BY_NAME = tuple(template for template in TEMPLATES if template.by_name and not template.site)
PART = (Component("web", "nginx:1.27", 0.5, 500, 5),)
OLD = (
    ("fluxfrontier", 2, False),  # begins with the prefix of container names
    ("ZelBridge", 3, False),  # and with the old one
    ("Bitgert", 3, True),
    ("Koda", 4, True),
)
"""Name, version, and whether the containers are still called `/zel...`."""
TIMED: tuple[tuple[str, Any, Any, int], ...] = (
    ("Andromeda", 604_800, None, 20_000),
    ("Borealis", None, 604_800, 19_000),
    ("Cassini", 88_000, 88_000, 1_500),  # its owner still thinks in blocks
    ("Draco", 100, None, 1_000),  # and this one wanted to cancel
    ("Eris", 604_800, 2_592_000, 1_200),
    ("Fornax", None, "604800", 1_400),
    ("Gemini", None, None, 1_600),
)
"""Apps of version 9: name, `expire` and `ttl` in seconds, and how many blocks ago. The last four make no sense."""
WANDERERS = ("/fluxworker_Vanished1700000000001", "/fluxwanderer", "/fluxtool_v2_Vanished")
"""Containers that belong to no app."""


def settle(seed: int, registry: Registry, containers: int) -> None:
    """Let the peculiar apps in, then apps of the crowd until about so many containers run."""
    for app, height in peculiar(seed, registry.chain.tip):
        registry.add(_message(seed, app, height))
    registry.lingering.add("Lingering")
    registry.leftover.append("Leftover")
    running = sum(_size(message.app) for message in registry.current().values())
    number = 0
    while running < containers:
        app = crowd_app(seed, number)
        height = registry.chain.tip - random.Random(f"{seed}:age:{number}").randrange(YOUNG)
        registry.add(_message(seed, app, height))
        registry.crowd.add(app.name)
        running, number = running + _size(app), number + 1


def _size(app: App) -> int:
    return app.instances * len(app.components)


def peculiar(seed: int, tip: int) -> Iterator[tuple[App, int]]:
    """Each app with the height of its message."""
    for number, template in enumerate(RARE + BY_NAME):
        rng = random.Random(f"{seed}:peculiar:{number}")
        app = make_app(rng, PECULIAR_FROM + number, (template,))
        if template.site or template.by_name:
            app = replace(app, version=8, encrypted=True, components=_all(app))
        else:
            app = replace(app, version=max(app.version, 4), encrypted=False, components=_all(app))
        yield replace(app, instances=3, expire=LONG), tip - 3_000 - number * 700
    owner = Catalogue(seed)[0].owner
    for number, (name, version, zel) in enumerate(OLD):
        yield App(name, version, owner, PART, 3, 88_000, zel=zel), tip - 10_000 - number
    for name, expire, ttl, ago in TIMED:
        yield App(name, 9, owner, PART, 3, expire, ttl=ttl), tip - ago
    for number, image in enumerate(SPELLINGS):
        part = Component("web", f"{image}:1.{number}", 0.5, 500, 5)
        yield App(f"Spelled{number}", 8, owner, (part,), 3, LONG), tip - 2_000 - number
    for name in ("Lingering", "Leftover"):
        yield App(name, 7, owner, PART, 3, 100), tip - CANCELLED_AGO


def _all(app: App) -> tuple[Component, ...]:
    """Every component of the template, also when a flat specification was drawn."""
    parts = app.template.components if app.template else ()
    known = {part.name: part for part in app.components}
    return tuple(known.get(name) or Component(name, tag, 0.5, 700, 5) for name, tag in parts)


def _message(seed: int, app: App, height: int) -> Tx:
    txid = digest(seed, "resident", app.name)
    tx = Tx(txid, (), (Output(MAIN, 10 * FLUX),), height=max(1, height), app=app)
    tx.message_hash = digest(seed, "resident message", app.name)
    return tx
