"""Everything that a list's filters let through, as a file: streamed, complete whatever its size.

It is read in short transactions by key, so that no slow reader holds anything of the database: rows that do not
change meanwhile are in the file exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import date, datetime
from typing import Any, ClassVar

import orjson
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from dashboard.export_stream import csv_last_line, csv_lines, exact, stream
from dashboard.share import share_percent, whole_revenue
from fluxtracker.api.caching import conditional
from fluxtracker.api.rendering import JSONRenderer
from fluxtracker.api.views import PublicView
from ops.health import iso
from revenue import listing, pages, wire
from revenue.apps_listing import apps
from revenue.models import App, LedgerState, Payment
from revenue.queries import AppsQuery, TransactionsQuery, wanted
from revenue.stamp import ledger_stamp

PAYMENT_COLUMNS = (
    "time", "date", "txid", "vout", "app_name", "app_type", "kind", "amount", "amount_sat", "amount_usd", "price_usd",
    "from_address", "address", "block_height", "block_hash", "confirmations", "timestamp", "message_hash", "source",
)  # fmt: skip
APP_COLUMNS = (
    "app_name", "payments", "revenue", "revenue_sat", "revenue_usd", "payments_without_price", "share_percent",
    "first_payment", "last_payment",
)  # fmt: skip
BATCH = 1_000

Values = dict[str, Any]
Chunks = Generator[bytes, None, None]


class Export(PublicView):
    """A list as a file: the same query keys as its page and its endpoint, without pages."""

    subject: ClassVar[str]
    suffix: ClassVar[str]
    content_type: ClassVar[str]
    query: ClassVar[type[serializers.Serializer[Any]]]
    chunks: Callable[..., Chunks]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """The address says what comes; only errors are rendered, in words."""
        return JSONRenderer(), JSONRenderer.media_type

    @extend_schema(exclude=True)  # a part of the page: the API has the same rows in pages
    @conditional(lambda request: ledger_stamp())
    def get(self, request: Request) -> HttpResponseBase:
        values = read(self.query, request)
        name = f"fluxtracker-{self.subject}-{_range(values, timezone.now())}.{self.suffix}"
        kind = self.content_type
        return stream(request._request, self.chunks(values), name=name, kind=kind, last_line=self.last_line)

    def last_line(self, words: str) -> bytes:
        """The line that ends a file which is not whole."""
        return csv_last_line(words)


def read(query: type[serializers.Serializer[Any]], request: Request) -> Values:
    """The filters, checked; 400 for a wrong one. A field that was left empty is none; pages are not asked for."""
    given = {key: value for key, value in request.query_params.items() if value and key not in ("page", "limit")}
    form = query(data=given)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)


def _range(values: Values, now: datetime) -> str:
    """The days that the file is about."""
    first: date | None = values.get("from")
    last: date = min(values.get("to") or now.date(), now.date())
    if first is None:
        oldest = Payment.objects.order_by("paid_at", "id").values_list("day", flat=True)
        first = oldest.first() or last
    return f"{first}-to-{last}"


class PaymentsCsv(Export):
    """Payments for a spreadsheet: amounts exact, strangers' words harmless."""

    name = "Payments as CSV"
    subject, suffix, content_type = "payments", "csv", "text/csv; charset=utf-8; header=present"
    query = TransactionsQuery

    def chunks(self, values: Values) -> Chunks:
        tip, head = _tip(), csv_lines([PAYMENT_COLUMNS])
        for rows in pages.every_row(listing.select(wanted(values))):
            yield head + csv_lines([payment_cells(row, tip) for row in rows])
            head = b""
        yield head


class PaymentsNdjson(Export):
    """Payments as `/api/revenue/transactions` writes them, one JSON object a line."""

    name = "Payments as NDJSON"
    subject, suffix, content_type = "payments", "ndjson", "application/x-ndjson"
    query = TransactionsQuery

    def chunks(self, values: Values) -> Chunks:
        tip = _tip()
        for rows in pages.every_row(listing.select(wanted(values))):
            yield b"".join(orjson.dumps(wire.transaction(row, tip)) + b"\n" for row in rows)

    def last_line(self, words: str) -> bytes:
        return orjson.dumps({"error": words}) + b"\n"


class AppsCsv(Export):
    """What each app paid."""

    name = "Apps as CSV"
    subject, suffix, content_type = "apps", "csv", "text/csv; charset=utf-8; header=present"
    query = AppsQuery

    def chunks(self, values: Values) -> Chunks:
        whole, head = whole_revenue(), csv_lines([APP_COLUMNS])
        ids = list(apps(values.get("search", ""), values["sort"]).values_list("id", flat=True))
        for start in range(0, len(ids), BATCH):
            found = App.objects.in_bulk(ids[start : start + BATCH])
            there = [found[key] for key in ids[start : start + BATCH] if key in found]
            yield head + csv_lines([app_cells(app, whole) for app in there])
            head = b""
        yield head


def payment_cells(row: pages.Row, tip: int | None) -> list[object]:
    """In the order of PAYMENT_COLUMNS; what is not known is None."""
    (_, txid, vout, address, sender, amount_sat, usd_micro, height, paid_at, day,
     app, app_type, source, kind, message_hash, price, block_hash) = row  # fmt: skip
    return [
        iso(paid_at), day.isoformat(), txid, vout, app, app_type, kind, exact(amount_sat, 8), amount_sat,
        exact(usd_micro, 6), None if price is None else f"{price:.10f}", sender, address, height, block_hash,
        None if tip is None else max(tip - height + 1, 0), int(paid_at.timestamp()), message_hash, source,
    ]  # fmt: skip


def app_cells(app: App, whole: int) -> list[object]:
    """In the order of APP_COLUMNS. Dollars are of the priced payments."""
    return [
        app.name, app.payments, exact(app.revenue_sat, 8), app.revenue_sat,
        exact(app.usd_micro, 6) if app.priced else None, app.payments - app.priced,
        share_percent(app.revenue_sat, whole), iso(app.first_paid_at), iso(app.last_paid_at),
    ]  # fmt: skip


def _tip() -> int | None:
    return LedgerState.objects.values_list("tip_height", flat=True).first()
