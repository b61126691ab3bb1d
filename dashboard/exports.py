"""Stream exports of payments and charts as files, complete at any size.

Rows are read in short transactions by key, so a slow reader holds nothing in the database. A few downloads run at
a time per process. Cells are safe to open in a spreadsheet.
"""

from __future__ import annotations

import csv
import errno
import io
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import islice
from operator import itemgetter
from typing import Any, ClassVar

import orjson
import structlog
from django.db import DatabaseError, InterfaceError
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from dashboard.panels.payments.apps import share_percent, whole_revenue
from fluxtracker import database
from fluxtracker.api.conditional import unless_known
from fluxtracker.api.fields import Query
from fluxtracker.api.negotiation import JSONRenderer
from fluxtracker.api.throttling import Places
from fluxtracker.api.views import PublicView
from fluxtracker.database import database_words, read_snapshot
from fluxtracker.timestamps import iso
from fluxtracker.web.middleware import give_back_after
from revenue.api.serializers import Transaction
from revenue.models import App, Payment
from revenue.payments import filters, pagination
from revenue.payments.filters import AppsQuery, TransactionsQuery
from revenue.selectors import apps, ledger_stamp
from snapshots.series import selectors
from snapshots.series.selectors import UNKNOWN, Chart
from snapshots.series.views import SeriesQuery, requested

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 3  # of the process's threads (fluxtracker/web/server.py)
LONGEST_S = 600.0  # of one download, however slow its reader is
LEFT_S = 60.0  # after its end a place that nobody gave back is free all the same
# A spreadsheet takes a cell that begins so for a formula; the wide ones are what some programs make of the others.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
LastLine = Callable[[str], bytes]
places = Places(MOST_AT_ONCE, LONGEST_S + LEFT_S)


class Busy(APIException):
    """Told as 503 with Retry-After."""

    status_code = 503
    default_detail = f"{MOST_AT_ONCE} exports are under way, no more run at once; try again in a minute"
    wait = 60


class Download:
    """The chunks of a download, the first of them read at once: what goes wrong by then is an ordinary error.

    It holds a place until it is through, closed, forgotten, or over its time. Where it breaks off, its last line is
    `INCOMPLETE: ...` in the words of `last_line`, and the connection breaks instead of ending.
    """

    _place: object | None = None

    def __init__(self, chunks: Generator[bytes, None, None], last_line: LastLine) -> None:
        self._chunks, self._last_line, self._is_cut = chunks, last_line, False
        self._place = places.take()
        if self._place is None:
            raise Busy
        self._until = time.monotonic() + LONGEST_S
        try:
            self._first: bytes | None = next(chunks, None)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Download:
        return self

    def __next__(self) -> bytes:
        if self._is_cut:
            raise BrokenPipeError(errno.EPIPE, "the export was cut off")  # servers take it for an ordinary end
        try:
            return self._next()
        except (DatabaseError, InterfaceError) as error:
            log.warning("export_cut_off", error=database_words(error))
            return self._cut("the database did not answer")
        except BaseException:
            self.close()
            raise

    def _next(self) -> bytes:
        if time.monotonic() > self._until:
            log.warning("export_cut_off", error="too slow", seconds=LONGEST_S)
            return self._cut(f"an export may take {LONGEST_S:.0f} s")
        if self._first is not None:
            first, self._first = self._first, None
            return first
        database.begin()
        return next(self._chunks)

    def _cut(self, why: str) -> bytes:
        self.close()
        self._is_cut = True
        return self._last_line(f"INCOMPLETE: {why}; ask for fewer days at a time")

    def close(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            try:
                self._chunks.close()
            finally:
                places.give_back(place)

    __del__ = close


def csv_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Lines of a CSV file (RFC 4180, UTF-8). None is an empty cell."""
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def cell(value: object) -> object:
    """Return the value, so that no spreadsheet reads strangers' text as a formula: an apostrophe makes it text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


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


def exact(units: int, places: int) -> str:
    """Return a whole number of the smallest units, written out with `places` decimals."""
    return f"{Decimal(units).scaleb(-places):.{places}f}"


class Exact(serializers.CharField):
    def __init__(self, places: int, **kwargs: Any) -> None:
        self.places = places
        super().__init__(**kwargs)

    def write(self, value: int) -> str:
        return exact(value, self.places)


class PaymentCells(Transaction):
    """A payment with exact amounts."""

    time = serializers.DateTimeField(source="paid_at")
    amount = Exact(8, source="amount_sat")  # type: ignore[assignment]
    amount_usd = Exact(6, source="usd_micro")  # type: ignore[assignment]
    price_usd = serializers.CharField()  # type: ignore[assignment]


class Export(PublicView):
    """A list as a file: the same query keys as its page and its endpoint, without pages."""

    subject: ClassVar[str]
    suffix: ClassVar[str] = "csv"
    content_type: ClassVar[str] = "text/csv; charset=utf-8; header=present"
    query: ClassVar[type[Query]]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """Return the renderer of errors: the address decides the format of the file."""
        return JSONRenderer(), JSONRenderer.media_type

    def etag(self) -> object:
        return ledger_stamp()

    @extend_schema(exclude=True)  # a part of the page: the API has the same rows in pages
    def get(self, request: Request) -> HttpResponseBase:
        return unless_known(request, self.etag(), lambda: self.file(request))

    def file(self, request: Request) -> HttpResponseBase:
        """Return the file; 400 for a wrong filter. A field that was left empty is none; pages are not asked for."""
        given = {key: value for key, value in request.query_params.items() if value and key not in ("page", "limit")}
        values = self.query.read(given)
        return self.stream(request, self.chunks(values), *_range(values, timezone.now().date()))

    def chunks(self, values: Values) -> Chunks:
        """Yield the parts of the file."""
        raise NotImplementedError

    def stream(self, request: Request, chunks: Chunks, first: date, last: date) -> StreamingHttpResponse:
        """Return the answer that a download is; HEAD reads nothing and takes no place."""
        name = f"fluxtracker-{self.subject}-{first}-to-{last}.{self.suffix}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        if request.method == "HEAD":
            return StreamingHttpResponse((), content_type=self.content_type, headers=headers)
        download = Download(chunks, self.last_line)
        give_back_after(request._request, download.close)
        return StreamingHttpResponse(download, content_type=self.content_type, headers=headers)

    def last_line(self, words: str) -> bytes:
        """Return the line that ends a file which is not whole."""
        return csv_lines([[words]])


def _range(values: Values, today: date) -> tuple[date, date]:
    """Return the days that the file is about."""
    last = min(values.get("to") or today, today)
    first = values.get("from") or Payment.objects.order_by("paid_at", "id").values_list("day", flat=True).first()
    return first or last, last


class PaymentsCsv(Export):
    """Payments for a spreadsheet: amounts exact, strangers' words harmless."""

    name, subject, query = "Payments as CSV", "payments", TransactionsQuery

    def chunks(self, values: Values) -> Chunks:
        tip, head, cells = pagination.tip_height(), csv_lines([PAYMENT_COLUMNS]), itemgetter(*PAYMENT_COLUMNS)
        for rows in pagination.every_row(filters.select(values)):
            found = pagination.with_confirmations(rows, tip)
            yield head + csv_lines(cells(PaymentCells.write(row)) for row in found)
            head = b""
        yield head


class PaymentsNdjson(Export):
    """Payments as `/api/revenue/transactions` writes them, one JSON object a line."""

    name, subject, query = "Payments as NDJSON", "payments", TransactionsQuery
    suffix, content_type = "ndjson", "application/x-ndjson"

    def chunks(self, values: Values) -> Chunks:
        tip = pagination.tip_height()
        for rows in pagination.every_row(filters.select(values)):
            found = pagination.with_confirmations(rows, tip)
            yield b"".join(orjson.dumps(Transaction.write(row)) + b"\n" for row in found)

    def last_line(self, words: str) -> bytes:
        return orjson.dumps({"error": words}) + b"\n"


class AppsCsv(Export):
    """What each app paid."""

    name, subject, query = "Apps as CSV", "apps", AppsQuery

    def chunks(self, values: Values) -> Chunks:
        whole, head = whole_revenue(), csv_lines([APP_COLUMNS])
        ids = list(apps(values.get("search", ""), values["sort"]).values_list("id", flat=True))
        for start in range(0, len(ids), BATCH):
            found = App.objects.in_bulk(ids[start : start + BATCH])
            there = [found[key] for key in ids[start : start + BATCH] if key in found]
            yield head + csv_lines([app_cells(app, whole) for app in there])
            head = b""
        yield head


def app_cells(app: App, whole: int) -> list[object]:
    """In the order of APP_COLUMNS. Dollars are of the priced payments."""
    return [
        app.name, app.payments, exact(app.revenue_sat, 8), app.revenue_sat,
        exact(app.usd_micro, 6) if app.priced else None, app.unpriced,
        share_percent(app.revenue_sat, whole), iso(app.first_paid_at), iso(app.last_paid_at),
    ]  # fmt: skip


CHART_BATCH = 500
PARTIAL = "partial"


class ChartCsv(Export):
    """The same query keys as `/api/history/series`. Unknown values are empty cells."""

    name, subject, query = "Chart as CSV", "chart", SeriesQuery

    def etag(self) -> object:
        return selectors.stamp(timezone.now())

    def file(self, request: Request) -> HttpResponseBase:
        now = timezone.now()
        with read_snapshot():
            wanted = requested(SeriesQuery.read(request.query_params), now.date())
            chart = selectors.read(wanted=wanted, now=now)
        return self.stream(request, _chunks(chart), wanted.first, wanted.last)


def _chunks(chart: Chart) -> Chunks:
    yield csv_lines([_header(chart)])
    rows = _rows(chart)
    while batch := list(islice(rows, CHART_BATCH)):
        yield csv_lines(batch)


def _header(chart: Chart) -> list[str]:
    """Return a column for each metric and one that says where its value comes from and whether all of it is in."""
    keys = [drawn.choice.key for drawn in chart.series]
    columns = [column for key in keys for column in (key, f"{key} note")]
    before = ["previous_start", *(f"{key} previous" for key in keys)] if chart.before else []
    return ["start", "end", *columns, *before]


def _rows(chart: Chart) -> Iterator[list[object]]:
    """Oldest first."""
    partial = [frozenset(drawn.line.partial) for drawn in chart.series]
    for index, span in enumerate(chart.spans):
        row: list[object] = [span.first.isoformat(), span.last.isoformat()]
        for drawn, lacking in zip(chart.series, partial, strict=True):
            source = drawn.line.sources[index]
            note = f"{source}, {PARTIAL}" if index in lacking and source != UNKNOWN else source
            row += [drawn.line.points[index], note]
        if chart.before:
            row += [chart.before[index].first.isoformat()]
            row += [drawn.ghost and drawn.ghost.points[index] for drawn in chart.series]
        yield row
