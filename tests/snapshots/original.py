"""Files as the replaced tracker left them (original.md): its tables, its defaults, its habits, its bad rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.factories import MAIN, NOON, SENDER, TIP, digest

SNAPSHOTS = """
CREATE TABLE daily_snapshots (
    id INTEGER PRIMARY KEY AUTOINCREMENT, snapshot_date TEXT UNIQUE NOT NULL, timestamp INTEGER NOT NULL,
    daily_revenue REAL NOT NULL DEFAULT 0, flux_price_usd REAL,
    total_cpu_cores INTEGER DEFAULT 0, used_cpu_cores INTEGER DEFAULT 0, cpu_utilization_percent REAL DEFAULT 0,
    total_ram_gb REAL DEFAULT 0, used_ram_gb REAL DEFAULT 0, ram_utilization_percent REAL DEFAULT 0,
    total_storage_gb REAL DEFAULT 0, used_storage_gb REAL DEFAULT 0, storage_utilization_percent REAL DEFAULT 0,
    total_apps INTEGER DEFAULT 0, watchtower_count INTEGER DEFAULT 0, gitapps_count INTEGER DEFAULT 0,
    dockerapps_count INTEGER DEFAULT 0, gitapps_percent REAL DEFAULT 0, dockerapps_percent REAL DEFAULT 0,
    gaming_apps_total INTEGER DEFAULT 0, gaming_palworld INTEGER DEFAULT 0, gaming_enshrouded INTEGER DEFAULT 0,
    gaming_minecraft INTEGER DEFAULT 0, gaming_valheim INTEGER DEFAULT 0, gaming_satisfactory INTEGER DEFAULT 0,
    crypto_presearch INTEGER DEFAULT 0, crypto_streamr INTEGER DEFAULT 0, crypto_ravencoin INTEGER DEFAULT 0,
    crypto_kadena INTEGER DEFAULT 0, crypto_alephium INTEGER DEFAULT 0, crypto_bittensor INTEGER DEFAULT 0,
    crypto_timpi_collector INTEGER DEFAULT 0, crypto_timpi_geocore INTEGER DEFAULT 0, crypto_kaspa INTEGER DEFAULT 0,
    crypto_nodes_total INTEGER DEFAULT 0, wordpress_count INTEGER DEFAULT 0, node_cumulus INTEGER DEFAULT 0,
    node_nimbus INTEGER DEFAULT 0, node_stratus INTEGER DEFAULT 0, node_total INTEGER DEFAULT 0,
    sync_status TEXT DEFAULT 'completed', created_at INTEGER)
"""
OTHERS = """
CREATE TABLE revenue_transactions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, txid TEXT UNIQUE, address TEXT, from_address TEXT DEFAULT 'Unknown',
    amount REAL, amount_usd REAL, block_height INTEGER, timestamp INTEGER, date TEXT, app_name TEXT, app_type TEXT);
CREATE TABLE flux_price_history (date TEXT PRIMARY KEY, price_usd REAL, source TEXT, created_at INTEGER);
CREATE TABLE repo_snapshots (
    id INTEGER PRIMARY KEY AUTOINCREMENT, snapshot_date TEXT, image_name TEXT, instance_count INTEGER,
    category TEXT, created_at INTEGER, UNIQUE (snapshot_date, image_name));
CREATE TABLE current_metrics (id INTEGER PRIMARY KEY, last_update INTEGER, current_revenue REAL);
CREATE TABLE sync_status (sync_type TEXT PRIMARY KEY, last_sync INTEGER, last_sync_block INTEGER, status TEXT);
CREATE TABLE failed_txids (txid TEXT, address TEXT, failure_reason TEXT, attempt_count INTEGER);
"""
Rows = Iterable[Mapping[str, Any]]


def at_five_past(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, 0, 5, tzinfo=UTC).timestamp())


def snapshot(day: date, **values: Any) -> dict[str, Any]:
    """A day as a good read stored it: RAM and storage in TB under `_gb`."""
    return {
        "snapshot_date": day.isoformat(), "timestamp": at_five_past(day), "daily_revenue": 1.25,
        "flux_price_usd": 0.0747, "total_cpu_cores": 54451, "used_cpu_cores": 14612, "total_ram_gb": 182.4567,
        "used_ram_gb": 29.01, "total_storage_gb": 3190.5, "used_storage_gb": 386.0, "total_apps": 12_300,
        "watchtower_count": 6_000, "gitapps_count": 900, "dockerapps_count": 11_400, "gaming_apps_total": 150,
        "gaming_palworld": 30, "gaming_minecraft": 120, "crypto_nodes_total": 700, "crypto_presearch": 500,
        "crypto_kaspa": 200, "wordpress_count": 90, "node_cumulus": 3378, "node_nimbus": 1582, "node_stratus": 1764,
        "node_total": 6724,
    } | values  # fmt: skip


def transaction(number: int = 0, **values: Any) -> dict[str, Any]:
    at = NOON + timedelta(minutes=number)
    return {
        "txid": digest("old", number), "address": MAIN, "from_address": SENDER, "amount": 25.93,
        "amount_usd": 1.936971, "block_height": TIP - 1_000 + number, "timestamp": int(at.timestamp()),
        "date": at.date().isoformat(), "app_name": f"app{number % 3}", "app_type": "docker",
    } | values  # fmt: skip


def price(day: date, usd: Any = 0.0747) -> dict[str, Any]:
    return {"date": day.isoformat(), "price_usd": usd, "source": "cryptocompare", "created_at": 1}


def image(day: date, name: str, count: Any = 5, category: str | None = None) -> dict[str, Any]:
    return {"snapshot_date": day.isoformat(), "image_name": name, "instance_count": count, "category": category}


def write(
    path: Path,
    *,
    snapshots: Rows = (),
    transactions: Rows = (),
    prices: Rows = (),
    images: Rows = (),
    newer_columns: Sequence[str] = (),
) -> Path:
    """A file with these rows, in WAL mode as the old tracker keeps it, closed in good order."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(SNAPSHOTS)
        database.executescript(OTHERS)
        for column in newer_columns:
            database.execute(f"ALTER TABLE daily_snapshots ADD COLUMN {column} INTEGER DEFAULT 0")
        for table, rows in (
            ("daily_snapshots", snapshots), ("revenue_transactions", transactions),
            ("flux_price_history", prices), ("repo_snapshots", images),
        ):  # fmt: skip
            for row in rows:
                insert(database, table, row)
    return path


def insert(database: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    places = ", ".join("?" * len(row))
    database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", list(row.values()))
