"""Read FluxOS: the envelope around its answers, and the registry of app messages (docs/upstream.md#common-traps)."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Collection, Iterator
from typing import Any

import ijson
import orjson
import structlog

from fluxtracker.images import parse_image
from fluxtracker.upstream.http.client import MEDIUM, Http, Upstream
from fluxtracker.upstream.http.errors import BadAnswer, NotFound
from fluxtracker.upstream.http.limits import Body, TooLarge
from fluxtracker.upstream.parsing import (
    FIRST_HALF,
    HALF,
    amount,
    brief,
    count,
    full_address,
    has_ip,
    is_address,
    is_damaged,
    is_hash,
    mend_text,
    or_none,
    whole,
)
from fluxtracker.upstream.records import (
    LAST_IN_BLOCKS,
    AppComponent,
    AppMessage,
    AppSpecification,
    AppSpecifications,
    DeploymentPrice,
    DeploymentTerms,
    Instance,
    Locations,
    read_term,
)

log = structlog.get_logger(__name__)

RPC_NOT_FOUND, RPC_OUT_OF_RANGE = -5, -8
DEPLOYMENT = "/deploymentinformation"
PRICED = ("cpu", "ram", "hdd", "minPrice", "port", "scope", "staticip")
MOST_FLUX = 1_000_000  # per price; more is absurd
LIMITS = (
    "minimumInstances", "maximumInstances", "blocksLasting", "minBlocksAllowance", "maxBlocksAllowance",
    "blocksAllowanceInterval",
)  # fmt: skip
ORBIT = "runonflux/orbit"  # the image of apps deployed from a git repository
MAX_NAME = 128
MOST_VERSIONS = 1_000
MESSAGE_BYTES = 8 << 20
DUMP_BYTES = 512 << 20  # 93 MB in 2026-09, growing
ITEM_BYTES = 8 << 20  # per item of a stream
LONGEST_ESCAPE = 12  # bytes
INDEX_BYTES = 128 << 20  # 16 MB in 2026-09, growing
SPECIFICATIONS_BYTES = 256 << 20
HEAD_BYTES = 4096  # of a stream, kept to read an error envelope
KEYS = {
    "version", "name", "description", "owner", "compose", "instances", "contacts", "geolocation", "expire", "ttl",
    "nodes", "staticip", "enterprise", "datacenter", "hash", "height",
}  # fmt: skip
"""Fields of a specification above its components, as far as they are known."""
MOST_KEYS = 50  # unknown ones to log
is_key = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}").fullmatch
_logged: set[str] = set()


def envelope(answer: object, source: str, where: str) -> Any:
    """Return the data inside. Errors come with HTTP 200, so the inner status counts."""
    if not isinstance(answer, dict):
        raise BadAnswer(source, where, "the answer is not an object")
    data = answer.get("data")
    if answer.get("status") == "success" and data is not None:
        return data
    if answer.get("status") != "error":
        raise BadAnswer(source, where, "neither a success nor an error")
    details = data if isinstance(data, dict) else {}
    message = brief(details.get("message") or (data if isinstance(data, str) else "no message"))
    code = details.get("code")
    if code == RPC_OUT_OF_RANGE or (code == RPC_NOT_FOUND and "no information" in message.lower()):
        raise NotFound(source, where, message)
    raise BadAnswer(source, where, f"status error: {message}")


class AppRegistry(Upstream):
    """Apps known to FluxOS, by the hash of the paid message."""

    def __init__(self, http: Http, base_url: str) -> None:
        super().__init__(http, base_url.rstrip("/") + "/apps")

    def payment_address(self) -> str:
        """Return the address in the deployment terms."""
        address = self._deployment().get("address")
        if not isinstance(address, str) or not is_address(address):
            raise self.bad(DEPLOYMENT, "the terms of deployment name no address")
        return address

    def deployment_terms(self) -> DeploymentTerms:
        """Return the prices of deploying an app."""
        data = self._deployment()
        rows = data.get("price")
        if not isinstance(rows, list):
            raise self.bad(DEPLOYMENT, "no list of prices")
        prices = [price for price in map(_price, rows) if price]
        if not prices:
            raise self.bad(DEPLOYMENT, f"none of {len(rows)} prices is usable")
        limits = {name: limit for name in LIMITS if (limit := or_none(whole, data.get(name), name)) is not None}
        return DeploymentTerms(tuple(sorted(set(prices), key=_by_height)), limits, len(rows) - len(prices))

    def _deployment(self) -> dict[str, Any]:
        data = envelope(self.get(DEPLOYMENT, max_bytes=MEDIUM), self.host, self.where(DEPLOYMENT))
        if not isinstance(data, dict):
            raise self.bad(DEPLOYMENT, "the terms of deployment are no object")
        return data

    def locations(self) -> Locations:
        """Return the running instances, including encrypted apps. 2.4 MB."""
        path = "/locations"
        rows = envelope(self.get(path), self.host, self.where(path))
        if not isinstance(rows, list) or not rows:
            raise self.bad(path, "no list of instances" if rows else "an empty list")
        placed = [place for place in map(_placed, rows) if place]
        places = dict(reversed(placed))  # the first row of each
        if not places:
            raise self.bad(path, f"none of {len(rows)} rows is usable")
        instances = tuple(reversed(places.values()))
        return Locations(instances, len(rows), len(rows) - len(placed), len(placed) - len(instances))

    def message(self, message_hash: str) -> AppMessage | None:
        """Return the message with this hash, None while not known."""
        records = self.message_records(message_hash)
        return next(filter(None, map(_from_message, records)), None)

    def message_records(self, message_hash: str) -> list[dict[str, Any]]:
        """Return every raw record of a message with this hash, none while not known."""
        path = "/permanentmessages"
        answer = self.get(path, {"hash": message_hash}, max_bytes=MESSAGE_BYTES)
        records = envelope(answer, self.host, self.where(path))
        if not isinstance(records, list):
            raise self.bad(path, "no list of messages")
        matching = [record for record in records if isinstance(record, dict) and record.get("hash") == message_hash]
        if records and not matching:
            raise self.bad(path, "messages with other hashes than the one asked for")
        return matching

    def all_message_records(self) -> Iterator[Any]:
        """Yield every raw message record from a stream of 93 MB. UpstreamError if it breaks off."""
        url = f"{self.base}/permanentmessages"
        with self.http.open_stream(url, max_bytes=DUMP_BYTES, endpoint=self.base) as body:
            yield from records_of(body)

    def hashes_with_message(self) -> Iterator[str]:
        """Yield paid hashes with a known message from a stream of 16 MB."""
        url = f"{self.base}/hashes"
        with self.http.open_stream(url, max_bytes=INDEX_BYTES, endpoint=url) as body:
            for row in records_of(body):
                if isinstance(row, dict) and row.get("message") is True:
                    message_hash = row.get("hash")
                    if isinstance(message_hash, str) and is_hash(message_hash):
                        yield message_hash

    def latest_version(self) -> int:
        """Return the newest allowed version of a specification."""
        path = "/latestspecificationversion"
        data = envelope(self.get(path), self.host, self.where(path))
        version = or_none(count, data.get("version") if isinstance(data, dict) else data, "a version", MOST_VERSIONS)
        if not version:
            raise self.bad(path, "no version of specifications")
        return version

    def dump(self, hashes: Collection[str]) -> dict[str, AppMessage]:
        """Return the requested messages out of all. The answer is 93 MB, read as a stream."""
        return self._streamed("permanentmessages", DUMP_BYTES, hashes, _from_message)

    def specifications(self, hashes: Collection[str]) -> dict[str, AppMessage]:
        """Return the requested ones among the newest messages of running apps, from their specifications."""
        return self._streamed("globalappsspecifications", SPECIFICATIONS_BYTES, hashes, _from_specification)

    def specifications_now(self) -> AppSpecifications:
        """Return the public part of every registered app."""
        path = "/globalappsspecifications"
        rows = envelope(self.get(path), self.host, self.where(path))
        if not isinstance(rows, list) or not rows:
            raise self.bad(path, "no list of specifications" if rows else "an empty list")
        _log_unknown_keys(rows)
        apps = tuple(filter(None, map(app_specification, rows)))
        if not apps:
            raise self.bad(path, f"none of {len(rows)} specifications is usable")
        return AppSpecifications(apps, len(rows) - len(apps))

    def _streamed(self, name: str, max_bytes: int, hashes: Collection[str], reader: Any) -> dict[str, AppMessage]:
        messages: dict[str, AppMessage] = {}
        with self.http.open_stream(f"{self.base}/{name}", max_bytes=max_bytes, endpoint=self.base) as body:
            for record in records_of(body):
                known = record.get("hash") if isinstance(record, dict) else None
                if isinstance(known, str) and known in hashes and (message := reader(record)):
                    messages[message.hash] = message
        return messages


def records_of(body: Body) -> Any:
    """Yield the items of `data`. BadAnswer at the end unless the answer was a success with items.

    The status may come after the data, and an overloaded node answers with an empty list.
    """
    statuses, items = ijson.sendable_list(), ijson.sendable_list()
    # use_float in both: without it a number of 5,000 digits ends the whole process (ijson 3.6.0).
    status_parser = ijson.items_coro(statuses, "status", use_float=True)
    item_parser = ijson.items_coro(items, "data.item", use_float=True)
    head, items_read, since = b"", 0, 0
    try:
        for chunk in _mended(body):
            head = head or chunk[:HEAD_BYTES]
            if not statuses:  # usually at the beginning, and each parser takes time
                status_parser.send(chunk)
            item_parser.send(chunk)
            items_read += len(items)
            since = 0 if items else since + len(chunk)
            if since > ITEM_BYTES:
                raise TooLarge(body.source, body.where, "one item of the answer is too large")
            yield from items
            items.clear()
        item_parser.close()
    except ijson.JSONError as error:
        detail = "a web page instead of JSON" if head.lstrip()[:1] == b"<" else f"malformed JSON ({error})"
        raise BadAnswer(body.source, body.where, detail[:200]) from None
    if list(statuses) != ["success"]:
        envelope(_small(head), body.source, body.where)
        raise BadAnswer(body.source, body.where, "the answer does not end as a success")
    if not items_read:
        raise BadAnswer(body.source, body.where, "an empty list")


def _mended(body: Body) -> Iterator[bytes]:
    """Yield the stream's bytes, with DAMAGED for invalid text, without splitting escapes and characters."""
    letters, rest = getincrementaldecoder("utf-8")("replace"), b""
    while chunk := body.read():
        data = rest + letters.decode(chunk).encode()
        cut = data.find(b"\\", max(len(data) - LONGEST_ESCAPE, 0))
        if cut >= HALF and FIRST_HALF.fullmatch(data[cut - HALF : cut]):
            cut -= HALF
        while cut > 0 and data[cut - 1 : cut] == b"\\":
            cut -= 1
        data, rest = (data, b"") if cut < 0 else (data[:cut], data[cut:])
        if data:
            yield mend_text(data)
    if rest:
        yield mend_text(rest)


def _small(head: bytes) -> object:
    """Return the answer if it fits into its head."""
    try:
        return orjson.loads(head)
    except orjson.JSONDecodeError:
        return {}


def _from_message(record: dict[str, Any]) -> AppMessage | None:
    specification = record.get("appSpecifications") or record.get("zelAppSpecifications")
    return _message(record.get("hash"), specification)


def _from_specification(record: dict[str, Any]) -> AppMessage | None:
    return _message(record.get("hash"), record)


def _message(message_hash: object, specification: object) -> AppMessage | None:
    """Return the record of a message, None without an app, as if not known yet."""
    if not isinstance(message_hash, str) or not is_hash(message_hash) or not isinstance(specification, dict):
        return None
    name = clean_name(specification.get("name"))
    return AppMessage(message_hash, name, _is_git(specification)) if name else None


def clean_name(name: object) -> str:
    """Return an untrusted name: printable, of bounded length."""
    if not isinstance(name, str) or is_damaged(name):
        return ""
    return "".join(filter(str.isprintable, name)).strip()[:MAX_NAME]


def _is_git(specification: dict[str, Any]) -> bool:
    components = specification.get("compose")
    parts = [specification, *components] if isinstance(components, list) else [specification]
    tags = [part.get("repotag") for part in parts if isinstance(part, dict)]
    return any(isinstance(tag, str) and ORBIT in tag.lower() for tag in tags)


def app_specification(row: object) -> AppSpecification | None:
    """Return the public part of a specification of any version (docs/upstream.md#apps), None without an app."""
    name = clean_name(row.get("name")) if isinstance(row, dict) else ""
    if not name or not isinstance(row, dict):
        return None
    flat = not isinstance(row.get("compose"), list)
    parts = [row] if flat else row["compose"]
    hash_, height = row.get("hash"), or_none(whole, row.get("height"), "it")
    version = version_of(row)
    return AppSpecification(
        name=name,
        version=version,
        hash=hash_ if isinstance(hash_, str) and is_hash(hash_) else None,
        height=height,
        term=read_term(version, row.get("expire"), row.get("ttl"), height),
        instances=or_none(whole, row.get("instances"), "it"),
        encrypted=bool(row.get("enterprise")),
        flat=flat,
        components=tuple(_component(part) for part in parts if isinstance(part, dict)),
    )


def version_of(row: dict[str, Any]) -> int:
    """Return the version of a specification, 0 if missing."""
    return or_none(whole, row.get("version"), "it") or 0


def _log_unknown_keys(rows: list[Any]) -> None:
    """Log once which unknown keys versions after 8 have: names, never values."""
    later = (row for row in rows if isinstance(row, dict) and version_of(row) > LAST_IN_BLOCKS)
    unknown = sorted({key for row in later for key in row if is_key(key)} - KEYS - _logged)
    if unknown and len(_logged) < MOST_KEYS:
        _logged.update(unknown)
        log.info("specification_keys_unknown", keys=unknown[:MOST_KEYS])


def _component(part: dict[str, Any]) -> AppComponent:
    return AppComponent(clean_name(part.get("name")), parse_image(part.get("repotag")))


def _placed(row: Any) -> tuple[tuple[str, str], Instance] | None:
    """Return an instance and its identity: the app and the node's address, which is not stored."""
    name = clean_name(row.get("name")) if isinstance(row, dict) else ""
    address = row.get("ip") if name else None
    if not name or has_ip(name) or not isinstance(address, str) or not address.strip():
        return None
    hash_ = row.get("hash")
    hash_ = hash_.lower() if isinstance(hash_, str) and is_hash(hash_.lower()) else None
    return (name.lower(), full_address(address.strip())), Instance(name, hash_)


def _price(row: Any) -> DeploymentPrice | None:
    """Return a row of the table, None without a height from -1 on or a price."""
    height = or_none(whole, row.get("height"), "a height", -1) if isinstance(row, dict) else None
    if height is None:
        return None
    prices = [or_none(amount, row.get(name), name, MOST_FLUX) for name in PRICED]
    return None if prices.count(None) == len(prices) else DeploymentPrice(height, *prices)


def _by_height(price: DeploymentPrice) -> tuple[int, str]:
    return price.height, repr(price)
