"""Read the previous tracker's SQLite file in one transaction, convert its rows, and count invalid ones."""

from __future__ import annotations

import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from fluxtracker import money
from fluxtracker.images import image_name
from fluxtracker.timestamps import parse_day
from fluxtracker.upstream.parsing import or_none
from revenue.imported_payments import OldPayment
from revenue.models import AppType
from snapshots.models import ImageDay

FIRST_DAY = date(2018, 1, 31)  # of the chain
MILLISECONDS = 100_000_000_000  # from here on a time is in milliseconds
MOST_SAT = 560_000_000 * money.SAT  # more than there will ever be
MOST_COUNT = 2**31 - 1
MOST = 10**16  # more than any of its USD amounts
TB = 1_000  # GB
MOST_TB = 10**9  # higher is absurd
MOST_USD = 10**12


def read_number(value: Any) -> float | None:
    """Return a number that is neither negative, absurd nor NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST:
        return None
    return value


def read_count(value: Any) -> int | None:
    """Return a whole number, not negative, that fits a column."""
    number = read_number(value)
    return int(number) if number is not None and number == int(number) <= MOST_COUNT else None


def read_gigabytes(value: Any) -> float | None:
    """Convert TB, which columns ending in `_gb` hold (docs/upstream.md#statistics)."""
    number = read_number(value)
    return None if number is None or number > MOST_TB else float(Decimal(str(number)) * TB)


def read_satoshi(value: Any) -> int | None:
    """Convert FLUX, a float, to satoshi; 0 is no payment."""
    number = read_number(value)
    return None if number is None or number > MOST_SAT / money.SAT else _whole(number, money.SAT) or None


def read_micro_dollars(value: Any) -> int | None:
    """Convert US dollars; the old tracker wrote 0 without a price."""
    number = read_number(value)
    return _whole(number, money.MICRO) if number and number <= MOST_USD else None


def _whole(number: float, unit: int) -> int:
    return int((Decimal(str(number)) * unit).quantize(Decimal(1), ROUND_HALF_EVEN))


def read_price(value: Any) -> Decimal | None:
    return or_none(money.price, value)


def read_day(value: Any, today: date) -> date | None:
    """Return a UTC day from the chain's first to today."""
    day = parse_day(value) if isinstance(value, str) else None
    return day if day and FIRST_DAY <= day <= today else None


def read_instant(value: Any, today: date) -> datetime | None:
    """Return a time given in seconds, or in milliseconds as in some old rows, to the second."""
    number = read_number(value)
    if not number:
        return None
    seconds = number / 1000 if number >= MILLISECONDS else number
    try:
        moment = datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return moment if FIRST_DAY <= moment.date() <= today + timedelta(days=1) else None


def read_words(value: Any, longest: int) -> str | None:
    """Return text that is not blank."""
    if not isinstance(value, str) or not value.strip() or len(value.strip()) > longest or "\x00" in value:
        return None
    return value.strip()


MAGIC = b"SQLite format 3\x00"
WAL = 2  # the version in bytes 18 and 19 of a file with a write-ahead log
NEEDED = {"daily_snapshots": "snapshot_date", "revenue_transactions": "txid"}
MOST_ROWS = 5_000_000  # of a table; the old tracker has at most 2,000 images per day
LONGEST_S = 300.0  # for reading the whole file
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 1_000_000,  # bytes per row
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 300,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 50,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 50,
}
HARMLESS = (
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_TRANSACTION,
)  # fmt: skip
WAIT_S = 10.0  # for the old tracker to finish a write

Row = dict[str, Any]


class NotTheOriginal(Exception):
    """The file is not from the previous tracker, or cannot be read."""


@dataclass(frozen=True, slots=True)
class OldFile:
    """An open file. Tables missing in older versions are empty."""

    connection: sqlite3.Connection

    def rows(self, table: str) -> Iterator[Row]:
        """Yield every row by column, unchanged."""
        if not self._columns(table):
            return
        cursor = self.connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608  our own names
        cursor.row_factory = sqlite3.Row
        for number, row in enumerate(cursor):
            if number >= MOST_ROWS:
                raise NotTheOriginal(f"has more than {MOST_ROWS:,} rows in {table}")
            yield dict(row)

    def check(self) -> None:
        for table, column in NEEDED.items():
            if column not in self._columns(table):
                raise NotTheOriginal(f"is not a database of the previous tracker: no {table}.{column} in it")
        verdict = self.connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise NotTheOriginal(f"is damaged: {' '.join(str(verdict).split())[:200]}")

    def _columns(self, table: str) -> set[str]:
        """Return the columns of a plain table, empty if it does not exist."""
        kinds = self.connection.execute(
            "SELECT type, sql FROM sqlite_master WHERE name = ? COLLATE NOCASE AND type <> 'index'", [table]
        ).fetchall()
        if not kinds:
            return set()
        columns = self.connection.execute(f'PRAGMA table_xinfo("{table}")').fetchall()
        virtual = any("VIRTUAL" in str(sql).upper().split("(")[0].split() for _, sql in kinds)
        if len(kinds) > 1 or kinds[0][0] != "table" or virtual or any(column[6] for column in columns):
            raise NotTheOriginal(f"is not a database of the previous tracker: {table} is not a plain table")
        return {column[1] for column in columns}


@contextmanager
def opened(path: Path) -> Iterator[OldFile]:
    """Open and check the file in one transaction. NotTheOriginal, or OSError from the system."""
    try:
        with closing(_connect(path)) as connection:
            connection.execute("PRAGMA query_only = 1")
            connection.execute("BEGIN")
            file = OldFile(connection)
            file.check()
            yield file
    except sqlite3.Error as error:
        raise NotTheOriginal(f"cannot be read: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise NotTheOriginal("is not a file")  # opening a pipe would block
    with path.open("rb") as file:
        head = file.read(20)
    if len(head) < 20 or not head.startswith(MAGIC):
        raise NotTheOriginal("is not a SQLite file")
    # Without a log next to it the file is complete; opened this way, SQLite creates no other files either.
    alone = head[18] == WAL and not path.with_name(f"{path.name}-wal").exists()
    if any(path.with_name(f"{path.name}{ending}").is_symlink() for ending in ("-wal", "-shm", "-journal")):
        raise NotTheOriginal("has links beside it that SQLite would follow")
    address = f"file:{quote(str(path.absolute()))}?mode=ro{'&immutable=1' if alone else ''}"
    connection = sqlite3.connect(address, uri=True, timeout=WAIT_S, isolation_level=None)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    _confine(connection)
    return connection


def _confine(connection: sqlite3.Connection) -> None:
    """Limit what an untrusted schema can do when it is read: only tables, for a limited time and size."""
    for limit, most in LIMITS.items():
        connection.setlimit(limit, most)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA ignore_check_constraints = ON")  # a LIKE in the schema may never end
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")
    until = time.monotonic() + LONGEST_S
    connection.set_progress_handler(lambda: time.monotonic() > until, 100_000)
    connection.set_authorizer(_authorized)


def _authorized(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_OK if action in HARMLESS else sqlite3.SQLITE_DENY


T = TypeVar("T")

TXID = re.compile(r"[0-9a-f]{64}")
UNKNOWN = "unknown"
COUNTED = re.compile(r"(gaming|crypto)_[a-z0-9_]{1,40}")
NODES = ("node_cumulus", "node_nimbus", "node_stratus", "node_total")
CORES = ("total_cpu_cores", "used_cpu_cores")
SIZES = ("total_ram_gb", "used_ram_gb", "total_storage_gb", "used_storage_gb")
APPS = ("total_apps", "watchtower_count", "gitapps_count", "dockerapps_count")
TOTALS = {"gaming": "gaming_apps_total", "crypto": "crypto_nodes_total"}
TOTAL_OF = {"nodes": "node_total", "cloud": "total_cpu_cores", "apps": "total_apps", **TOTALS}
CATEGORIES = ("gaming", "crypto", "wordpress")
LONGEST_APP, LONGEST_ADDRESS = 128, 64
MOST_MICRO = 10**18  # micro-dollars of all payments, far below a column's limit


@dataclass(frozen=True, slots=True)
class OldDay:
    """A snapshot: known values of our columns, and the tracked apps."""

    day: date
    values: Mapping[str, Any]
    counts: Mapping[str, int]


@dataclass(slots=True)
class Read(Generic[T]):
    """Rows read from one table, and those left out or changed, by reason."""

    rows: list[T] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)


def snapshots(rows: Iterable[Row], today: date) -> Read[OldDay]:
    """Return the days, oldest first. Zeros written by a failed read are not known."""
    read = Read[OldDay]()
    for row in rows:
        day = read_day(row.get("snapshot_date"), today)
        if day is None:
            read.left_out["no day"] += 1
            continue
        groups = _groups(row)
        unread = [name for name, values in groups.items() if not any(values.values())]
        read.changed.update(f"{name} all zero: not known" for name in unread)
        known = {key: value for name in groups.keys() - set(unread) for key, value in groups[name].items()}
        wrong = [total for total in TOTAL_OF.values() if known.get(total) == 0]
        read.changed.update(f"{total} zero, its parts are not: not known" for total in wrong)
        known.update(dict.fromkeys(wrong))
        read.rows.append(_day(day, row, known, today))
    read.rows.sort(key=lambda old: old.day)
    return read


def _groups(row: Row) -> dict[str, dict[str, Any]]:
    """Return groups of columns filled by one read, all zero if it failed. GB, not TB."""
    tracked = {key: read_count(row[key]) for key in row if COUNTED.fullmatch(key)}
    return {
        "nodes": {key: read_count(row.get(key)) for key in NODES},
        "cloud": {
            **{key: read_number(row.get(key)) for key in CORES},
            **{key: read_gigabytes(row.get(key)) for key in SIZES},
        },
        "apps": {key: read_count(row.get(key)) for key in APPS},
        **{name: {key: tracked[key] for key in tracked if key.startswith(f"{name}_")} for name in TOTALS},
        "wordpress": {"wordpress_count": read_count(row.get("wordpress_count"))},
    }


def _day(day: date, row: Row, known: Mapping[str, Any], today: date) -> OldDay:
    values = {key: value for key, value in known.items() if value is not None}
    counts = {key: values.pop(key) for key in list(values) if COUNTED.fullmatch(key) and key not in TOTALS.values()}
    price, read_at = read_price(row.get("flux_price_usd")), read_instant(row.get("timestamp"), today)
    if price is not None:
        values["flux_price_usd"] = price
    if read_at is not None:
        values["read_at"] = read_at
    return OldDay(day, values, counts)


def payments(rows: Iterable[Row], today: date) -> Read[OldPayment]:
    read, seen, sat, micro = Read[OldPayment](), set[str](), 0, 0
    for old in filter(None, (_payment(row, read, today) for row in rows)):
        if old.txid in seen:
            read.left_out["txid twice"] += 1
        else:
            seen.add(old.txid)
            read.rows.append(old)
            sat, micro = sat + old.amount_sat, micro + (old.usd_micro or 0)
            if sat > MOST_SAT or micro > MOST_MICRO:
                raise NotTheOriginal("has payments that add up to more than there is")
    return read


def _payment(row: Row, read: Read[OldPayment], today: date) -> OldPayment | None:
    txid = str(row.get("txid") or "").strip().lower()
    address = read_words(row.get("address"), LONGEST_ADDRESS)
    amount, height = read_satoshi(row.get("amount")), read_count(row.get("block_height"))
    paid_at = read_instant(row.get("timestamp"), today)
    has_txid = TXID.fullmatch(txid)
    if not (has_txid and address and amount and height and paid_at):
        needed = {
            "no txid": has_txid, "no address": address, "no amount": amount, "not in a block": height,
            "no time": paid_at,
        }  # fmt: skip
        read.left_out[next(words for words, value in needed.items() if not value)] += 1
        return None
    sender = read_words(row.get("from_address"), LONGEST_ADDRESS)
    sender = None if sender is None or sender.lower() == UNKNOWN else sender
    read.changed["day by the block's time, UTC"] += row.get("date") != paid_at.date().isoformat()
    read.changed["sender not known"] += sender is None
    app_type = row.get("app_type")
    return OldPayment(
        txid, address, sender, amount, read_micro_dollars(row.get("amount_usd")), height, paid_at,
        read_words(row.get("app_name"), LONGEST_APP),
        str(app_type) if app_type in (AppType.GIT, AppType.DOCKER) else AppType.UNKNOWN.value,
    )  # fmt: skip


def prices(rows: Iterable[Row], today: date) -> Read[tuple[date, Decimal]]:
    read = Read[tuple[date, Decimal]]()
    for row in rows:
        day, price = read_day(row.get("date"), today), read_price(row.get("price_usd"))
        if day is None or price is None:
            read.left_out["no day" if day is None else "no price"] += 1
        else:
            read.rows.append((day, price))
    return read


def images(rows: Iterable[Row], today: date) -> Read[ImageDay]:
    """Return one row per day and image; all spellings and tags of a name are one image."""
    read, by_name = Read[ImageDay](), dict[tuple[date, str], ImageDay]()
    for row in rows:
        day, count = read_day(row.get("snapshot_date"), today), read_count(row.get("instance_count"))
        image = image_name(read_words(row.get("image_name"), 500) or "")
        if day is None or count is None or not image:
            read.left_out["no day" if day is None else "no image" if not image else "no count"] += 1
        elif (day, image) in by_name and read_count(by_name[day, image].count + count) is None:
            read.left_out["no count"] += 1
        elif (day, image) in by_name:
            by_name[day, image].count += count
            read.changed["one image under several names"] += 1
        else:
            category = row.get("category") if row.get("category") in CATEGORIES else ""
            by_name[day, image] = ImageDay(day=day, image=image, category=category or "", count=count)
    read.rows = list(by_name.values())
    return read
