"""Define the tables of a month's files: columns with their types and words, and the rows of the month."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import orjson

from dashboard.csv_cells import exact, payment_cells
from fluxtracker.periods import Period
from fluxtracker.timestamps import iso
from revenue.models import LedgerState, Payment
from revenue.payments import pagination
from revenue.selectors import Totals
from snapshots.models import Snapshot

ROWS_AT_ONCE = 2_000
FLUX, DOLLARS, PRICE = "DECIMAL(18,8)", "DECIMAL(18,6)", "DECIMAL(20,10)"
KINDS = {  # of a column in Parquet, and in the data dictionary (Data Package)
    "VARCHAR": "string", "BIGINT": "integer", "DOUBLE": "number", "DATE": "date", "TIMESTAMP": "datetime",
    FLUX: "number", DOLLARS: "number", PRICE: "number",
}  # fmt: skip
Cells = list[object]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: str
    """In Parquet."""
    words: str


@dataclass(frozen=True, slots=True)
class Table:
    """One file of a month, in each format. `rows`: of the month at `now`, in an order that does not change."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Callable[[Period, datetime], Iterable[Cells]]
    is_known: Callable[[Period, LedgerState], bool] = lambda month, ledger: True
    """Whether the database still has every row."""


PAYMENTS = (
    Column("time", "TIMESTAMP", "Time of the block, UTC."),
    Column("date", "DATE", "UTC day of the block."),
    Column("txid", "VARCHAR", "Transaction."),
    Column("vout", "BIGINT", "Number of the output. Empty: imported, one row per transaction."),
    Column("address", "VARCHAR", "Tracked address that was paid."),
    Column("from_address", "VARCHAR", "Owner of the first input. Empty: there is none."),
    Column("amount", FLUX, "FLUX."),
    Column("amount_sat", "BIGINT", "Satoshi: 100,000,000 are one FLUX."),
    Column("price_usd", PRICE, "US dollars for one FLUX on that day. Empty: not known."),
    Column("amount_usd", DOLLARS, "US dollars at that price. Empty: not known."),
    Column("app_name", "VARCHAR", "App that was paid for. Empty: not known, or none."),
    Column("app_type", "VARCHAR", "git, docker or unknown."),
    Column("kind", "VARCHAR", "app, fluxdrive or plain, by the transaction's OP_RETURN."),
    Column("message_hash", "VARCHAR", "Hash of the app message. Empty: none."),
    Column("block_height", "BIGINT", "Height of the block."),
    Column("block_hash", "VARCHAR", "Hash of the block. Empty: not known."),
    Column("source", "VARCHAR", "Who told of the payment: blockbook, daemon or import."),
)
DAYS = (
    Column("date", "DATE", "UTC day."),
    Column("revenue", FLUX, "FLUX. Empty: not known."),
    Column("revenue_sat", "BIGINT", "Satoshi. Empty: not known."),
    Column("revenue_usd", DOLLARS, "US dollars of the payments that have a price. Empty: not known."),
    Column("payments", "BIGINT", "Number of payments. Empty: not known."),
    Column("payments_without_price", "BIGINT", "How many of them have no price."),
)
SOURCE = "taken, backfilled (from the ledger and the history of node counts), import or simulated."
SNAPSHOTS = (
    Column("date", "DATE", "UTC day; read soon after 00:05."),
    Column("source", "VARCHAR", SOURCE),
    Column("read_at", "TIMESTAMP", "The oldest reading behind the row, UTC. Empty: not known."),
    Column("flux_price_usd", PRICE, "US dollars for one FLUX. Empty: not known, here and below."),
    *(Column(f"node_{tier}", "BIGINT", f"Nodes: {tier}.") for tier in ("cumulus", "nimbus", "stratus", "total")),
    *(
        Column(f"{what}_{name}", "DOUBLE", f"{words} {of}.")
        for name, of in (("cpu_cores", "CPU cores"), ("ram_gb", "GB of RAM"), ("storage_gb", "GB of storage"))
        for what, words in (("total", "All"), ("used", "Used"))
    ),
    Column("total_apps", "BIGINT", "Running containers."),
    Column("watchtower_count", "BIGINT", "Containers that run watchtower."),
    Column("gitapps_count", "BIGINT", "Containers deployed from git."),
    Column("dockerapps_count", "BIGINT", "Containers deployed from images."),
    Column("gaming_apps_total", "BIGINT", "Containers of tracked games."),
    Column("crypto_nodes_total", "BIGINT", "Containers of tracked crypto nodes."),
    Column("wordpress_count", "BIGINT", "Containers of WordPress."),
    Column("counts", "VARCHAR", "Containers of each tracked app, as a JSON object."),
)


def _payments(month: Period, now: datetime) -> Iterator[Cells]:
    """Yield payments in the order of the chain: the database's keys are others once the ledger was read again."""
    names = [column.name for column in PAYMENTS]
    rows = Payment.objects.filter(day__range=(month.first_day, month.last_day)).order_by("height", "txid", "vout")
    for row in rows.values(*pagination.COLUMNS).iterator(ROWS_AT_ONCE):
        yield payment_cells(row | {"confirmations": None}, names)


def _days(month: Period, now: datetime) -> Iterator[Cells]:
    totals = Totals.load(month.first_day, month.last_day)
    for day in month.days():
        sums = totals.day(day, now).sums
        sat, usd = sums.revenue_sat, exact(sums.usd_micro, 6)
        yield [day.isoformat(), exact(sat, 8), sat, usd, sums.payments, sums.usd_missing]


def _snapshots(month: Period, now: datetime) -> Iterator[Cells]:
    names = [column.name for column in SNAPSHOTS[3:-1]]
    for row in Snapshot.objects.between(month.first_day, month.last_day).order_by("day"):
        values = (getattr(row, name) for name in names)
        counts = orjson.dumps(row.counts, option=orjson.OPT_SORT_KEYS).decode()
        yield [row.day.isoformat(), row.source, iso(row.read_at), *values, counts]


TABLES = (
    Table("payments", "Payments to the tracked addresses", PAYMENTS, _payments,
          lambda month, ledger: not ledger.is_closed(month.first_day)),
    Table("daily", "Revenue by UTC day", DAYS, _days),
    Table("snapshots", "The network once a day", SNAPSHOTS, _snapshots),
)  # fmt: skip
