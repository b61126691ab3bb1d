"""Rows of the old tracker as rows of ours, without a database: what is wrong with one is left out and counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from fluxtracker.images import image_name
from revenue.importing import OldPayment
from revenue.models import AppType
from snapshots import importer_values as read
from snapshots.importer_file import NotTheOriginal, Row
from snapshots.models import ImageDay

T = TypeVar("T")

TXID = re.compile(r"[0-9a-f]{64}")
UNKNOWN = "unknown"
COUNTED = re.compile(r"(gaming|crypto)_[a-z0-9_]{1,40}")
NODES = ("node_cumulus", "node_nimbus", "node_stratus", "node_total")
CORES = ("total_cpu_cores", "used_cpu_cores")
SIZES = ("total_ram_gb", "used_ram_gb", "total_storage_gb", "used_storage_gb")
APPS = ("total_apps", "watchtower_count", "gitapps_count", "dockerapps_count")
TOTALS = {"gaming": "gaming_apps_total", "crypto": "crypto_nodes_total"}
CATEGORIES = ("gaming", "crypto", "wordpress")
LONGEST_APP, LONGEST_ADDRESS = 128, 64
MOST_MICRO = 10**18  # micro-dollars of all payments, far below what a column holds


@dataclass(frozen=True, slots=True)
class OldDay:
    """A snapshot: columns of ours with what is known of them, and the tracked apps."""

    day: date
    values: Mapping[str, Any]
    counts: Mapping[str, int]


@dataclass(slots=True)
class Read(Generic[T]):
    """What was read of one table, and what was left out or changed, by reason."""

    rows: list[T] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)


def snapshots(rows: Iterable[Row], today: date) -> Read[OldDay]:
    """The days, oldest first. What a failed read wrote as zeros is not known."""
    found = Read[OldDay]()
    for row in rows:
        day = read.day(row.get("snapshot_date"), today)
        if day is None:
            found.left_out["no day"] += 1
            continue
        groups = _groups(row)
        unread = [name for name, values in groups.items() if not any(values.values())]
        found.changed.update(f"{name} all zero: not known" for name in unread)
        known = {key: value for name in groups.keys() - set(unread) for key, value in groups[name].items()}
        found.rows.append(_day(day, row, known, today))
    found.rows.sort(key=lambda old: old.day)
    return found


def _groups(row: Row) -> dict[str, dict[str, Any]]:
    """The columns that one read filled, so that all of them are zero when it failed. GB and not TB."""
    tracked = {key: read.count(row[key]) for key in row if COUNTED.fullmatch(key)}
    return {
        "nodes": {key: read.count(row.get(key)) for key in NODES},
        "cloud": {
            **{key: read.number(row.get(key)) for key in CORES},
            **{key: read.gigabytes(row.get(key)) for key in SIZES},
        },
        "apps": {key: read.count(row.get(key)) for key in APPS},
        **{name: {key: tracked[key] for key in tracked if key.startswith(f"{name}_")} for name in TOTALS},
        "wordpress": {"wordpress_count": read.count(row.get("wordpress_count"))},
    }


def _day(day: date, row: Row, known: Mapping[str, Any], today: date) -> OldDay:
    values = {key: value for key, value in known.items() if value is not None}
    counts = {key: values.pop(key) for key in list(values) if COUNTED.fullmatch(key) and key not in TOTALS.values()}
    price, read_at = read.price(row.get("flux_price_usd")), read.instant(row.get("timestamp"), today)
    if price is not None:
        values["flux_price_usd"] = price
    if read_at is not None:
        values["read_at"] = read_at
    return OldDay(day, values, counts)


def payments(rows: Iterable[Row], today: date) -> Read[OldPayment]:
    found, seen, sat, micro = Read[OldPayment](), set[str](), 0, 0
    for row in rows:
        old = _payment(row, found, today)
        if old is not None and old.txid in seen:
            found.left_out["txid twice"] += 1
        elif old is not None:
            seen.add(old.txid)
            found.rows.append(old)
            sat, micro = sat + old.amount_sat, micro + (old.usd_micro or 0)
            if sat > read.MOST_SAT or micro > MOST_MICRO:
                raise NotTheOriginal("has payments that add up to more than there is")
    return found


def _payment(row: Row, found: Read[OldPayment], today: date) -> OldPayment | None:
    txid = str(row.get("txid") or "").strip().lower()
    address = read.words(row.get("address"), LONGEST_ADDRESS)
    amount, height = read.satoshi(row.get("amount")), read.count(row.get("block_height"))
    paid_at = read.instant(row.get("timestamp"), today)
    wrong = _wrong(bool(TXID.fullmatch(txid)), address, amount, height, paid_at)
    if wrong or address is None or amount is None or height is None or paid_at is None:
        found.left_out[wrong] += 1
        return None
    _note(row, paid_at, found.changed)
    app_type = row.get("app_type")
    return OldPayment(
        txid, address, _sender(row), amount, read.micro_dollars(row.get("amount_usd")), height, paid_at,
        read.words(row.get("app_name"), LONGEST_APP),
        str(app_type) if app_type in (AppType.GIT, AppType.DOCKER) else AppType.UNKNOWN.value,
    )  # fmt: skip


def _wrong(has_txid: bool, address: str | None, amount: int | None, height: int | None, at: datetime | None) -> str:
    """What a row lacks to be a payment; empty: nothing."""
    lacks = {
        "no txid": not has_txid,
        "no address": address is None,
        "no amount": amount is None,
        "not in a block": not height,
        "no time": at is None,
    }
    return next((words for words, lacking in lacks.items() if lacking), "")


def _sender(row: Row) -> str | None:
    found = read.words(row.get("from_address"), LONGEST_ADDRESS)
    return None if found is None or found.lower() == UNKNOWN else found


def _note(row: Row, paid_at: datetime, changed: Counter[str]) -> None:
    if row.get("date") != paid_at.date().isoformat():
        changed["day by the block's time, UTC"] += 1
    if _sender(row) is None:
        changed["sender not known"] += 1


def prices(rows: Iterable[Row], today: date) -> Read[tuple[date, Decimal]]:
    found = Read[tuple[date, Decimal]]()
    for row in rows:
        day, price = read.day(row.get("date"), today), read.price(row.get("price_usd"))
        if day is None or price is None:
            found.left_out["no day" if day is None else "no price"] += 1
        else:
            found.rows.append((day, price))
    return found


def images(rows: Iterable[Row], today: date) -> Read[ImageDay]:
    """One row a day and image; every spelling of a name, with any tag, is one image."""
    found, by_name = Read[ImageDay](), dict[tuple[date, str], ImageDay]()
    for row in rows:
        day, count = read.day(row.get("snapshot_date"), today), read.count(row.get("instance_count"))
        image = image_name(read.words(row.get("image_name"), 500) or "")
        if day is None or count is None or not image:
            found.left_out["no day" if day is None else "no image" if not image else "no count"] += 1
        elif (day, image) in by_name and read.count(by_name[day, image].count + count) is None:
            found.left_out["no count"] += 1
        elif (day, image) in by_name:
            by_name[day, image].count += count
            found.changed["one image under several names"] += 1
        else:
            category = row.get("category") if row.get("category") in CATEGORIES else ""
            by_name[day, image] = ImageDay(day=day, image=image, category=category or "", count=count)
    found.rows = list(by_name.values())
    return found
