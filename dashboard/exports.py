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
from datetime import date, datetime
from itertools import islice
from typing import Any, ClassVar

import orjson
import structlog
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from dashboard.panels.payments.apps import share_percent, whole_revenue
from fluxtracker import database
from fluxtracker.api import fields
from fluxtracker.api.conditional import conditional
from fluxtracker.api.negotiation import JSONRenderer
from fluxtracker.api.throttling import Places
from fluxtracker.api.views import PublicView
from fluxtracker.database import database_words, one_moment
from fluxtracker.timestamps import iso
from fluxtracker.web.middleware import give_back_after
from revenue.api import serializers as api_serializers
from revenue.models import App, LedgerState, Payment
from revenue.payments import filters, pagination
from revenue.payments.filters import AppsQuery, TransactionsQuery, wanted
from revenue.selectors import apps, ledger_stamp
from snapshots.series import selectors
from snapshots.series.selectors import UNKNOWN, Chart, Line
from snapshots.series.views import SeriesQuery
from snapshots.series.views import wanted as views_wanted

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


def stream(
    request: HttpRequest, chunks: Generator[bytes, None, None], *, name: str, kind: str, last_line: LastLine
) -> StreamingHttpResponse:
    """Return the answer that a download is; HEAD reads nothing and takes no place."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if request.method == "HEAD":
        return StreamingHttpResponse((), content_type=kind, headers=headers)
    download = Download(chunks, last_line)
    give_back_after(request, download.close)
    return StreamingHttpResponse(download, content_type=kind, headers=headers)


def csv_last_line(words: str) -> bytes:
    return csv_lines([[words]])


def csv_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Lines of a CSV file (RFC 4180, UTF-8). None is an empty cell."""
    text = io.StringIO()
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def cell(value: object) -> object:
    """Return the value, so that no spreadsheet reads strangers' text as a formula: an apostrophe makes it text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def exact(units: int | None, places: int) -> str | None:
    """Return a whole number of the smallest units, written out with `places` decimals."""
    if units is None:
        return None
    whole, part = divmod(abs(units), 10**places)
    return f"{'-' if units < 0 else ''}{whole}.{part:0{places}d}"


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
        """Return the renderer of errors: the address decides the format of the file."""
        return JSONRenderer(), JSONRenderer.media_type

    @extend_schema(exclude=True)  # a part of the page: the API has the same rows in pages
    @conditional(lambda request: ledger_stamp())
    def get(self, request: Request) -> HttpResponseBase:
        values = read(self.query, request)
        name = f"fluxtracker-{self.subject}-{_range(values, timezone.now())}.{self.suffix}"
        kind = self.content_type
        return stream(request._request, self.chunks(values), name=name, kind=kind, last_line=self.last_line)

    def last_line(self, words: str) -> bytes:
        """Return the line that ends a file which is not whole."""
        return csv_last_line(words)


def read(query: type[serializers.Serializer[Any]], request: Request) -> Values:
    """Return the filters, checked; 400 for a wrong one.

    A field that was left empty is none; pages are not asked for.
    """
    given = {key: value for key, value in request.query_params.items() if value and key not in ("page", "limit")}
    form = query(data=given)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)


def _range(values: Values, now: datetime) -> str:
    """Return the days that the file is about."""
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
        for rows in pagination.every_row(filters.select(wanted(values))):
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
        for rows in pagination.every_row(filters.select(wanted(values))):
            yield b"".join(orjson.dumps(api_serializers.transaction(row, tip)) + b"\n" for row in rows)

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


def payment_cells(row: pagination.Row, tip: int | None) -> list[object]:
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


CHART_BATCH = 500
PARTIAL = "partial"


class ChartCsv(PublicView):
    """The same query keys as `/api/history/series`. Unknown values are empty cells."""

    name = "Chart as CSV"

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """Return the renderer of errors: the address decides the format of the file."""
        return JSONRenderer(), JSONRenderer.media_type

    @extend_schema(exclude=True)
    @conditional(lambda request: selectors.stamp(timezone.now()))
    def get(self, request: Request) -> HttpResponseBase:
        now = timezone.now()
        with one_moment():
            asked = views_wanted(fields.read(SeriesQuery, request), now.date())
            chart = selectors.read(wanted=asked, now=now)
        name = f"fluxtracker-chart-{asked.first}-to-{asked.last}.csv"
        kind = "text/csv; charset=utf-8; header=present"
        return stream(request._request, _chunks(chart), name=name, kind=kind, last_line=csv_last_line)


def _chunks(chart: Chart) -> Generator[bytes, None, None]:
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
            row += [_number(drawn.line, index), _note(drawn.line, index, index in lacking)]
        if chart.before:
            row += [chart.before[index].first.isoformat()]
            row += [drawn.ghost and _number(drawn.ghost, index) for drawn in chart.series]
        yield row


def _number(line: Line, index: int) -> object:
    return line.points[index]


def _note(line: Line, index: int, lacking: bool) -> str:
    source = line.sources[index]
    return f"{source}, {PARTIAL}" if lacking and source != UNKNOWN else source
