"""Export payments: CSV for spreadsheets, NDJSON as in the API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import orjson

from dashboard.exports.base import KeptExport, Values
from dashboard.exports.csv_cells import PAYMENT_COLUMNS, Chunks, csv_chunks, payment_cells
from revenue.api.serializers import Transaction
from revenue.payments import filters, pagination
from revenue.payments.filters import TransactionsQuery
from revenue.payments.pagination import Row


def payments(values: Values) -> Iterator[list[Row]]:
    """Yield batches of matching payments."""
    tip = pagination.tip_height()
    for rows in pagination.every_row(filters.select(values)):
        yield pagination.with_confirmations(rows, tip)


class PaymentsExport(KeptExport):
    """Payments that are not pruned, on any days."""

    query = TransactionsQuery

    def days(self, values: Values, today: date) -> tuple[date, date]:
        first, last = super().days({**values, "from": None}, today)
        return min(max(first, values.get("from") or first), last), last


class PaymentsCsv(PaymentsExport):
    """Payments for a spreadsheet, with exact amounts and no formulas."""

    name, subject = "Payments as CSV", "payments"
    operation = "exportPayments"

    def chunks(self, values: Values) -> Chunks:
        return csv_chunks(PAYMENT_COLUMNS, (map(payment_cells, rows) for rows in payments(values)))


class PaymentsNdjson(PaymentsExport):
    """Payments as in `/api/revenue/transactions`, one JSON object per line."""

    name, subject = "Payments as NDJSON", "payments"
    operation = "exportPaymentsNdjson"
    suffix, content_type = "ndjson", "application/x-ndjson"

    def chunks(self, values: Values) -> Chunks:
        for rows in payments(values):
            yield b"".join(orjson.dumps(Transaction.write(row)) + b"\n" for row in rows)

    def last_line(self, words: str) -> bytes:
        return orjson.dumps({"error": words}) + b"\n"
