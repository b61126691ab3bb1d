"""Write CSV cells: exact amounts, and nothing that a spreadsheet reads as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Iterable, Sequence
from decimal import Decimal

from fluxtracker.timestamps import iso
from revenue.api.serializers import Transaction
from revenue.payments.pagination import Row

# Spreadsheets read cells with these prefixes as formulas; some programs convert wide characters to the others.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
Chunks = Generator[bytes, None, None]
PAYMENT_COLUMNS = (
    "time", "date", "txid", "vout", "app_name", "app_type", "kind", "amount", "amount_sat", "amount_usd", "price_usd",
    "from_address", "address", "block_height", "block_hash", "confirmations", "timestamp", "message_hash", "source",
)  # fmt: skip


def csv_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Return lines of a CSV file (RFC 4180, UTF-8). None is an empty cell."""
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def csv_chunks(columns: Sequence[str], parts: Iterable[Iterable[Sequence[object]]]) -> Chunks:
    """Yield the header together with the first rows, so that errors in reading them are handled normally."""
    head = csv_lines([columns])
    for rows in parts:
        yield head + csv_lines(rows)
        head = b""
    yield head


def cell(value: object) -> object:
    """Return the value, with an apostrophe before text that a spreadsheet would read as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def exact(units: int | None, places: int) -> str | None:
    """Return a number of smallest units as text with `places` decimals, None if not known."""
    return None if units is None else f"{Decimal(units).scaleb(-places):.{places}f}"


def payment_cells(row: Row, columns: Sequence[str] = PAYMENT_COLUMNS) -> list[object]:
    """Return a payment as in the API, but with exact amounts and its time, in the order of the columns."""
    cells = Transaction.write(row) | {
        "time": iso(row["paid_at"]),
        "amount": exact(row["amount_sat"], 8),
        "amount_usd": exact(row["usd_micro"], 6),
        "price_usd": row["price_usd"],
    }
    return [cells[column] for column in columns]
