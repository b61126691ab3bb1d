"""Write the files of each completed month, and the index of published ones.

A month is a folder written under a temporary name, synced and renamed; the index names the folder to read, and is
replaced atomically. A kill in between keeps the published files, and the next run cleans up.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db.models import Min

from dashboard.exports.csv_cells import csv_lines, exact, payment_cells
from fluxtracker import files
from fluxtracker.batches import batched
from fluxtracker.database import read_snapshot
from fluxtracker.env import make_private
from fluxtracker.periods import Bucket, Period, midnight
from fluxtracker.timestamps import iso
from revenue.models import DailyTotal, LedgerState, Payment
from revenue.payments import pagination
from revenue.period_totals import Totals
from snapshots.models import Snapshot

INDEX, SUMS, DICTIONARY = "index.json", "SHA256SUMS", "datapackage.json"
LICENCE = {
    "name": "CC0-1.0",
    "title": "CC0 1.0 Universal: no rights reserved",
    "path": "https://creativecommons.org/publicdomain/zero/1.0/",
}
CSV, PARQUET = "csv", "parquet"
MEDIA_TYPES = {CSV: "text/csv", PARQUET: "application/vnd.apache.parquet"}
# One thread, so that the same rows give the same bytes. Nothing is downloaded.
DUCKDB: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": "256MB",
    "autoinstall_known_extensions": False,
}


@dataclass(frozen=True, slots=True)
class File:
    """A published file. `rows`: of a table, without its header."""

    name: str
    size: int
    sha256: str
    rows: int | None = None

    @classmethod
    def of(cls, path: Path, rows: int | None = None) -> File:
        with path.open("rb") as content:
            return cls(path.name, path.stat().st_size, hashlib.file_digest(content, "sha256").hexdigest(), rows)


@dataclass(frozen=True, slots=True)
class Month:
    """The files of a month, and the folder that holds them."""

    key: str
    folder: str
    made_at: str
    files: Mapping[str, File]

    def has(self, table: Table, form: str = CSV) -> bool:
        return f"{table.name}.{form}" in self.files


def folder() -> Path:
    return Path(settings.DATA_DIR) / "files"


def published() -> dict[str, Month]:
    """Return the published months by name, newest first."""
    try:
        rows = orjson.loads((folder() / INDEX).read_bytes())
    except FileNotFoundError:
        return {}
    months = (Month(**row | {"files": {file["name"]: File(**file) for file in row["files"]}}) for row in rows)
    return {month.key: month for month in months if (folder() / month.folder).is_dir()}


def completed(now: datetime) -> Iterator[Period]:
    """Yield months that are over and complete, newest first. Four queries."""
    days = [DailyTotal.objects.aggregate(day=Min("day"))["day"], Snapshot.objects.aggregate(day=Min("day"))["day"]]
    first: date | None = min(filter(None, days), default=None)
    ledger, month = LedgerState.known(), Period.containing(Bucket.MONTH, now).previous()
    while first is not None and month.end > midnight(first):
        if all(ledger.has_all_of(day, now) for day in month.days()):
            yield month
        month = month.previous()


def publish(month: Period, known: Month | None, now: datetime) -> Month | None:
    """Write the month's files unless unchanged. Return the month if it is new or changed."""
    part = folder() / f".{month.key}{files.PART}"
    make_private(part)
    try:
        tables = _write_tables(part, month, known, now)
        if known and all(known.files.get(name) == file for name, file in tables.items()) and _has_all(known, tables):
            return None
        for name in tables:
            if known and not (part / name).exists():
                shutil.copyfile(folder() / known.folder / name, part / name)
        return _keep(part, month.key, _with_parquet(part, tables), now)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_tables(part: Path, month: Period, known: Month | None, now: datetime) -> dict[str, File]:
    """Write a CSV file for each table. One with pruned rows stays as published, or is left out."""
    files = {}
    with read_snapshot():
        ledger = LedgerState.known()
        for table in TABLES:
            path = part / f"{table.name}.{CSV}"
            if table.is_known(month, ledger):
                files[path.name] = File.of(path, _write(path, table, month, now))
            elif known and known.has(table):
                files[path.name] = known.files[path.name]
    return files


def _write(path: Path, table: Table, month: Period, now: datetime) -> int:
    """Write the table and return its number of rows."""
    written = 0
    with path.open("xb") as file:
        file.write(csv_lines([[column.name for column in table.columns]]))
        for batch in batched(table.rows(month, now), ROWS_AT_ONCE):
            file.write(csv_lines(batch))
            written += len(batch)
    return written


def _has_all(known: Month, tables: Mapping[str, File]) -> bool:
    """Return whether each table is published in all formats available here."""
    return not has_parquet() or all(f"{Path(name).stem}.{PARQUET}" in known.files for name in tables)


def has_parquet() -> bool:
    """Return whether DuckDB is installed. It is imported only here, as that takes a tenth of a second."""
    try:
        import duckdb  # noqa: F401
    except ImportError:
        return False
    return True


def _with_parquet(part: Path, tables: Mapping[str, File]) -> dict[str, File]:
    """Return the files plus Parquet versions of the CSV files."""
    if not has_parquet():
        return dict(tables)
    import duckdb

    files = dict(tables)
    with duckdb.connect(config=DUCKDB | {"temp_directory": str(part)}) as database:
        for table in TABLES:
            source, target = part / f"{table.name}.{CSV}", part / f"{table.name}.{PARQUET}"
            if source.name in tables:
                database.execute(_copy(table, source, target))
                files[target.name] = File.of(target, tables[source.name].rows)
    return files


def _copy(table: Table, source: Path, target: Path) -> str:
    columns = ", ".join(f"'{column.name}': '{column.kind}'" for column in table.columns)
    form = "header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"', nullstr = ''"
    read = f"read_csv({_quoted(source)}, {form}, columns = {{{columns}}})"
    return f"COPY (FROM {read}) TO {_quoted(target)} (FORMAT parquet, COMPRESSION zstd)"


def _quoted(path: Path) -> str:
    text = str(path).replace("'", "''")
    return f"'{text}'"


def _keep(part: Path, key: str, tables: dict[str, File], now: datetime) -> Month:
    """Sync the folder to disk and rename it to its name in the index."""
    sums = "".join(f"{file.sha256}  {file.name}\n" for file in tables.values()).encode()
    name = f"{key}-{hashlib.sha256(sums).hexdigest()[:12]}"
    files.write(part / SUMS, sums)
    files.write(part / DICTIONARY, orjson.dumps(dictionary(key, tables, now), option=orjson.OPT_INDENT_2))
    further = {file.name: file for file in (File.of(part / SUMS), File.of(part / DICTIONARY))}
    for path in part.iterdir():
        path.chmod(0o600)
        files.sync(path)
    files.sync(part)
    shutil.rmtree(folder() / name, ignore_errors=True)  # from a run killed before it wrote the index
    os.replace(part, folder() / name)
    files.sync(folder())
    return Month(key, name, f"{now:%Y-%m-%dT%H:%M:%SZ}", tables | further)


def dictionary(key: str, tables: Mapping[str, File], now: datetime) -> dict[str, Any]:
    """Describe a month's files as a Data Package: licence, checksums, and the meaning of columns."""
    return {
        "profile": "data-package",
        "name": f"fluxtracker-{key}",
        "title": f"What the Flux network earned and was, {key}",
        "created": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "licenses": [LICENCE],
        "resources": [
            _resource(table, form, tables[f"{table.name}.{form}"])
            for table in TABLES
            for form in (CSV, PARQUET)
            if f"{table.name}.{form}" in tables
        ],
    }


def _resource(table: Table, form: str, file: File) -> dict[str, Any]:
    columns = [{"name": each.name, "type": KINDS[each.kind], "description": each.words} for each in table.columns]
    return {
        "name": f"{table.name}-{form}",
        "title": table.title,
        "path": file.name,
        "format": form,
        "mediatype": MEDIA_TYPES[form],
        "encoding": "utf-8",
        "bytes": file.size,
        "hash": f"sha256:{file.sha256}",
        "rowCount": file.rows,
        "schema": {"fields": columns, "missingValues": [""]},
    }


def write_index(months: Mapping[str, Month]) -> None:
    """Write the index of these months."""
    newest_first = (months[key] for key in sorted(months, reverse=True))
    rows = [asdict(month) | {"files": list(map(asdict, month.files.values()))} for month in newest_first]
    files.replace(folder() / INDEX, orjson.dumps(rows))


def clear_up() -> None:
    """Remove folders that are not in the index: from killed runs, and replaced ones."""
    named = {month.folder for month in published().values()}
    for path in folder().iterdir():
        if path.is_dir() and path.name not in named:
            shutil.rmtree(path, ignore_errors=True)


ROWS_AT_ONCE = 2_000
FLUX, DOLLARS, PRICE = "DECIMAL(18,8)", "DECIMAL(18,6)", "DECIMAL(20,10)"
KINDS = {  # column types in Parquet and in the data dictionary (Data Package)
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
    """One file of a month, in each format. `rows`: of the month at `now`, in a stable order."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Callable[[Period, datetime], Iterable[Cells]]
    is_known: Callable[[Period, LedgerState], bool] = lambda month, ledger: True
    """Whether the database still has all rows."""


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
    Column("source", "VARCHAR", "Source of the payment: blockbook, daemon or import."),
)
DAYS = (
    Column("date", "DATE", "UTC day."),
    Column("revenue", FLUX, "FLUX. Empty: not known."),
    Column("revenue_sat", "BIGINT", "Satoshi. Empty: not known."),
    Column("revenue_usd", DOLLARS, "US dollars of priced payments. Empty: not known."),
    Column("payments", "BIGINT", "Number of payments. Empty: not known."),
    Column("payments_without_price", "BIGINT", "Number of payments without a price."),
)
SOURCE = "taken, backfilled (from the ledger and the history of node counts), import or simulated."
SNAPSHOTS = (
    Column("date", "DATE", "UTC day; read soon after 00:05."),
    Column("source", "VARCHAR", SOURCE),
    Column("read_at", "TIMESTAMP", "The oldest reading of the row, UTC. Empty: not known."),
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
    """Yield payments in chain order, as database ids change when the ledger is read again."""
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
