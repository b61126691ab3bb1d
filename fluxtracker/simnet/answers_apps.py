"""The app registry through FluxOS (docs/upstream.md#apps)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import orjson

from fluxtracker.simnet import network
from fluxtracker.simnet.addresses import MAIN
from fluxtracker.simnet.answers import Answer, failure, success
from fluxtracker.simnet.records import Message
from fluxtracker.simnet.registry import specification
from fluxtracker.simnet.world import World

PRICES = {"height": 1_597_156, "cpu": 0.03, "ram": 0.01, "hdd": 0.004, "minPrice": 0.01, "port": 0.4}
LIMITS = {"portMin": 1, "portMax": 65_535, "minimumInstances": 3, "maximumInstances": 100}


def answer(world: World, path: str, query: Mapping[str, str]) -> Answer:
    name, _, rest = path.partition("/")
    if name == "permanentmessages":
        return _messages(world, query)
    if name == "globalappsspecifications":
        return _specifications(world, query)
    if name == "locations":
        return success(list(network.locations(world)))
    if name == "location":
        return success(list(network.locations(world, rest.lower())))
    if name == "temporarymessages":
        return success([])
    if name == "hashes":
        return Answer(_envelope(_hashes(world)))
    if name == "deploymentinformation":
        prices = [PRICES | {"scope": 0.8, "staticip": 0.4}]
        return success({"price": prices, "address": MAIN} | LIMITS)
    return failure(f"Unknown path {name}")


def _messages(world: World, query: Mapping[str, str]) -> Answer:
    """Filters combine and an unknown one gives an empty list; without any, all there is in chunks."""
    if not query.keys() & {"hash", "owner", "appname"}:
        return Answer(_envelope(world.registry.dump()))
    records = [world.registry.record(message) for message in _filtered(world, query)]
    return Answer(b"".join(_envelope(iter([b",".join(records)]))))


def _filtered(world: World, query: Mapping[str, str]) -> list[Message]:
    registry = world.registry
    if "hash" not in query:
        return [message for message in registry.known() if _matches(message, query)]
    message = registry.find(query["hash"])
    return [message] if message and _matches(message, query) else []


def _matches(message: Message, query: Mapping[str, str]) -> bool:
    app, tx = message
    has = {"appname": app.name, "owner": app.owner, "hash": tx.message_hash}
    return all(query.get(name, value) == value for name, value in has.items())


def _specifications(world: World, query: Mapping[str, str]) -> Answer:
    current = world.registry.current().values()
    return success([specification(message) for message in current if _matches(message, query)])


def _hashes(world: World) -> Iterator[bytes]:
    """Payment and hash of every message, whether the message is known or not."""
    rows = []
    for message_hash, (_, tx) in list(world.registry.by_hash.items()):
        known = world.registry.knows(tx)
        row = {"txid": tx.txid, "height": tx.height, "hash": message_hash, "value": tx.outputs[0].sat}
        rows.append(orjson.dumps(row | {"message": known, "messageNotFound": not known}))
    yield b",".join(rows)


def _envelope(rows: Iterator[bytes]) -> Iterator[bytes]:
    yield b'{"status":"success","data":['
    yield from rows
    yield b"]}"
