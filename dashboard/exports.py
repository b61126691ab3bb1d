"""Stream exports of payments and charts as files, complete at any size.

Rows are read in short transactions by key, so a slow reader holds nothing in the database. A few downloads run at
a time. Cells are safe to open in a spreadsheet.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import date, datetime
from typing import Any, ClassVar

import orjson
import structlog
from django.db import DatabaseError, InterfaceError
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from dashboard.csv_cells import PAYMENT_COLUMNS, Chunks, csv_chunks, csv_lines, exact, payment_cells
from dashboard.panels.economics import AHEAD, ending
from dashboard.panels.payments.filters import OWN
from dashboard.panels.payments.panel import OF_DAYS, share_percent, whole_of_days, whole_revenue
from deployments.accrual import Balance
from deployments.selectors import KINDS, kinds
from deployments.selectors import stamp as messages_stamp
from deployments.splits.breakdown import AT_ONCE, AppSum, AppSums, apps_between, parts_of
from deployments.splits.daily import REST
from fluxtracker import batches, database
from fluxtracker.api.conditional import unless_known
from fluxtracker.api.fields import BucketOf, OneOf, Query, RangeOfDays, Whole, Words, with_range
from fluxtracker.api.negotiation import JSONRenderer
from fluxtracker.api.throttling import Places
from fluxtracker.api.views import BAD_QUERY, ERRORS, PublicView
from fluxtracker.database import database_words, read_snapshot
from fluxtracker.formatting import printable
from fluxtracker.periods import DAY, Bucket, Span, split
from fluxtracker.timestamps import iso
from fluxtracker.web.middleware import give_back_after
from revenue.api.serializers import Transaction
from revenue.models import App, DailyTotal, Payment
from revenue.payments import filters, pagination
from revenue.payments.filters import AppsQuery, TransactionsQuery
from revenue.payments.pagination import Row
from revenue.selectors import Sums, Totals, apps, ledger_stamp
from snapshots.series import selectors
from snapshots.series.selectors import UNKNOWN, Chart
from snapshots.series.views import SeriesQuery, requested

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 3  # over all web processes
LONGEST_S = 600.0  # of one download, however slow its reader is
LEFT_S = 60.0  # after its end a place that was not given back is free all the same
Values = dict[str, Any]
LastLine = Callable[[str], bytes]
places = Places("exports", MOST_AT_ONCE, LONGEST_S + LEFT_S)


class Busy(APIException):
    """Answer 503 with Retry-After."""

    status_code = 503
    default_detail = f"{MOST_AT_ONCE} exports are under way, no more run at once; try again in a minute"
    wait = 60


def download(chunks: Chunks, last_line: LastLine) -> Chunks:
    """Return the chunks, the first of them read at once: what goes wrong by then is an ordinary error."""
    place = places.take()
    if place is None:
        raise Busy
    found = _guarded(chunks, last_line, place)
    next(found)
    return found


def _guarded(chunks: Chunks, last_line: LastLine, place: int) -> Chunks:
    """Yield nothing once the first chunk is read, then all chunks; free the place at the end or when closed.

    A download that breaks off ends with `INCOMPLETE: ...` in the words of `last_line` and a broken connection.
    """
    until, why = time.monotonic() + LONGEST_S, ""
    with ExitStack() as taken:
        taken.callback(places.give_back, place)
        taken.callback(chunks.close)
        chunk = next(chunks, None)
        yield b""
        try:
            while chunk is not None and not why:
                if time.monotonic() > until:
                    log.warning("export_cut_off", error="too slow", seconds=LONGEST_S)
                    why = f"an export may take {LONGEST_S:.0f} s"
                else:
                    yield chunk
                    database.begin()
                    chunk = next(chunks, None)
        except (DatabaseError, InterfaceError) as error:
            log.warning("export_cut_off", error=database_words(error))
            why = "the database did not answer"
    if why:
        yield last_line(f"INCOMPLETE: {why}; ask for fewer days at a time")
        raise BrokenPipeError(errno.EPIPE, "the export was cut off")  # servers take it for an ordinary end


APP_COLUMNS = (
    "app_name", "payments", "revenue", "revenue_sat", "revenue_usd", "payments_without_price", "share_percent",
    "first_payment", "last_payment",
)  # fmt: skip
BATCH = 1_000


class ExportSchema(AutoSchema):
    """Describes a download by what it declares. Pages are left out of the query, as in the file."""

    view: Export  # type: ignore[override]

    def get_operation_id(self) -> str:
        return self.view.operation

    def get_tags(self) -> list[str]:
        return ["export"]

    def get_override_parameters(self) -> list[Any]:
        query = self.view.query
        return [type(f"{query.__name__}Export", (query,), {"page": None, "limit": None})]

    def get_response_serializers(self) -> Any:
        words = "The file. One that is not whole ends with a line `INCOMPLETE: ...` and a broken connection."
        media_type = self.view.content_type.partition(";")[0]
        return {(200, media_type): OpenApiResponse(OpenApiTypes.STR, words), 400: BAD_QUERY, **ERRORS}


class Export(PublicView):
    """A list as a file: the same query keys as its page and its endpoint, without pages."""

    operation: ClassVar[str]
    subject: ClassVar[str]
    suffix: ClassVar[str] = "csv"
    content_type: ClassVar[str] = "text/csv; charset=utf-8; header=present"
    query: ClassVar[type[Query]]
    ignored: ClassVar[Collection[str]] = OWN
    """Further keys that the page's address may have."""
    schema = ExportSchema()

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """Return the renderer of errors: the address decides the format of the file."""
        return JSONRenderer(), JSONRenderer.media_type

    @classmethod
    def known_keys(cls) -> None:
        """Keep none in the cache: a download is made for each reader."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """400 for a key that neither the file nor its page has: a filter with a wrong name would be none."""
        super().initial(request, *args, **kwargs)
        fields = self.query().fields
        if unknown := [key for key in request.query_params if key not in {*fields, *self.ignored, "format"}]:
            words = f"unknown; expected one of {', '.join(fields)}"
            raise ValidationError({printable(key)[:50]: [words] for key in unknown[:3]})

    def etag(self) -> object:
        return ledger_stamp(), timezone.now().date()

    def get(self, request: Request) -> HttpResponseBase:
        return unless_known(request, self.etag(), lambda: self.file(request))

    def file(self, request: Request) -> HttpResponseBase:
        """Return the file; 400 for a wrong filter. A field that was left empty is none; pages are left out."""
        given = {key: value for key, value in request.query_params.items() if value and key not in ("page", "limit")}
        values = self.query.read(given)
        return self.stream(request, self.chunks(values), *self.days(values, timezone.now().date()))

    def chunks(self, values: Values) -> Chunks:
        """Yield the parts of the file."""
        raise NotImplementedError

    def days(self, values: Values, today: date) -> tuple[date, date]:
        """Return the days that the file is about."""
        last = min(values.get("to") or today, today)
        return values.get("from") or self.first_day() or last, last

    def first_day(self) -> date | None:
        """Return where the file begins, unless it is asked for less."""
        return Payment.objects.order_by("paid_at", "id").values_list("day", flat=True).first()

    def stream(self, request: Request, chunks: Chunks, first: date, last: date) -> StreamingHttpResponse:
        """Return the answer that a download is; HEAD reads nothing and takes no place."""
        name = f"fluxtracker-{self.subject}-{first}-to-{last}.{self.suffix}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        if request.method == "HEAD":
            return StreamingHttpResponse((), content_type=self.content_type, headers=headers)
        found = download(chunks, self.last_line)
        give_back_after(request._request, found.close)
        return StreamingHttpResponse(found, content_type=self.content_type, headers=headers)

    def last_line(self, words: str) -> bytes:
        """Return the line that ends a file which is not whole."""
        return csv_lines([[words]])


def payments(values: Values) -> Iterator[list[Row]]:
    """Yield the payments that fit, some at a time."""
    tip = pagination.tip_height()
    for rows in pagination.every_row(filters.select(values)):
        yield pagination.with_confirmations(rows, tip)


class PaymentsCsv(Export):
    """Payments for a spreadsheet: amounts exact, strangers' words harmless."""

    name, subject, query = "Payments as CSV", "payments", TransactionsQuery
    operation = "exportPayments"

    def chunks(self, values: Values) -> Chunks:
        return csv_chunks(PAYMENT_COLUMNS, (map(payment_cells, rows) for rows in payments(values)))


class PaymentsNdjson(Export):
    """Payments as `/api/revenue/transactions` writes them, one JSON object a line."""

    name, subject, query = "Payments as NDJSON", "payments", TransactionsQuery
    operation = "exportPaymentsNdjson"
    suffix, content_type = "ndjson", "application/x-ndjson"

    def chunks(self, values: Values) -> Chunks:
        for rows in payments(values):
            yield b"".join(orjson.dumps(Transaction.write(row)) + b"\n" for row in rows)

    def last_line(self, words: str) -> bytes:
        return orjson.dumps({"error": words}) + b"\n"


class AppsCsv(Export):
    """List what each app paid."""

    name, subject, query = "Apps as CSV", "apps", AppsQuery
    operation = "exportApps"

    def chunks(self, values: Values) -> Chunks:
        parts = _of_days(values, apps_between) if values.keys() & {"from", "to"} else _of_ledger(values)
        return csv_chunks(APP_COLUMNS, parts)


class OwnersCsv(Export):
    """List what each owner paid."""

    name, subject, query = "Owners as CSV", "owners", AppsQuery
    operation = "exportOwners"

    def etag(self) -> object:
        return messages_stamp(timezone.now())

    def chunks(self, values: Values) -> Chunks:
        return csv_chunks(("owner", *APP_COLUMNS[1:]), _of_days(values, OF_DAYS["owners"]))


class PayersCsv(Export):
    """List what each sender paid."""

    name, subject, query = "Senders as CSV", "payers", AppsQuery
    operation = "exportPayers"

    def chunks(self, values: Values) -> Chunks:
        return csv_chunks(("payer", *APP_COLUMNS[1:]), _of_days(values, OF_DAYS["payers"]))


def _of_ledger(values: Values) -> Iterator[Iterable[Sequence[object]]]:
    whole = whole_revenue()
    for some in batches.chunks(
        list(apps(values.get("search", ""), values["sort"]).values_list("id", flat=True)), BATCH
    ):
        there = App.objects.in_bulk(some)
        yield [app_cells(there[key], whole) for key in some if key in there]


def _of_days(values: Values, read: Callable[..., AppSums]) -> Iterator[Iterable[Sequence[object]]]:
    whole = whole_of_days(values)
    found = read(values.get("from"), values.get("to"), values.get("search", ""), values["sort"])
    yield [app_cells(app, whole) for app in found.apps]


def app_cells(app: App | AppSum, whole: int) -> list[object]:
    """In the order of APP_COLUMNS. Dollars are of the priced payments; of some days only the days are known."""
    ends = map(_written, (app.first_paid_at, app.last_paid_at))
    return [
        app.name, app.payments, exact(app.revenue_sat, 8), app.revenue_sat,
        exact(app.usd_micro, 6) if app.priced else None, app.unpriced,
        share_percent(app.revenue_sat, whole), *ends,
    ]  # fmt: skip


def _written(at: date | None) -> str | None:
    """Return an instant or a day as text."""
    return iso(at) if at is None or isinstance(at, datetime) else at.isoformat()


REVENUE_COLUMNS = (
    "start",
    "end",
    "complete",
    "revenue",
    "revenue_sat",
    "revenue_usd",
    "payments",
    "payments_without_price",
)


class RevenueQuery(Query):
    by = OneOf(list(REST), required=False, help_text="A row for each of them; without it one row for each bucket.")
    key = Words(help_text="Only this app, owner, source or category; in any case.")
    bucket = BucketOf(default=Bucket.MONTH)
    range = RangeOfDays()

    def validate(self, attrs: Values) -> Values:
        if attrs.get("key") and "by" not in attrs:
            raise ValidationError({"key": [f"say `by`, too: one of {', '.join(REST)}"]})
        return with_range(attrs, {}, "from", "to")


class RevenueCsv(Export):
    """Revenue by day to year, whole or in parts; the parts of a bucket add up to its row without `by`."""

    name, subject, query = "Revenue as CSV", "revenue", RevenueQuery
    ignored = ()
    operation = "exportRevenue"

    def etag(self) -> object:
        return messages_stamp(timezone.now())

    def chunks(self, values: Values) -> Chunks:
        by = values.get("by")
        columns = [*REVENUE_COLUMNS[:3], *([by] if by else []), *REVENUE_COLUMNS[3:]]
        now = timezone.now()
        return csv_chunks(columns, _revenue(values, *self.days(values, now.date()), now))

    def first_day(self) -> date | None:
        return DailyTotal.objects.first_day()


def _revenue(values: Values, first: date, last: date, now: datetime) -> Iterator[list[list[object]]]:
    totals = Totals.load(first, last)
    only = values.get("key", "").lower()
    for some in batches.chunks(split(first, last, values["bucket"]), AT_ONCE):
        rows: list[list[object]] = []
        for span in some:
            head = [span.first.isoformat(), span.last.isoformat()]
            head.append(str(all(totals.ledger.has_all_of(day, now) for day in span.days())).lower())
            if "by" not in values:
                rows.append([*head, *_sums(totals.of(span.days()))])
                continue
            parts = parts_of(values["by"], span)
            rows += [[*head, key, *_sums(part)] for key, part in parts.items() if not only or key.lower() == only]
        yield rows


def _sums(sums: Sums) -> list[object]:
    """Return the cells of a sum; what is not known is empty."""
    sat = sums.revenue_sat
    missing = None if sat is None else sums.usd_missing
    return [exact(sat, 8), sat, exact(sums.usd_micro, 6), sums.payments, missing]


ENDING = (
    "name", "owner", "end_at", "end_height", "instances", "category", "balance_at", "balance_sat", "balance_usd_micro",
)  # fmt: skip
ENDING_COLUMNS = (
    "app_name", "owner", "end", "end_block", "instances", "category", "unearned", "unearned_sat",
)  # fmt: skip
MOST_AHEAD = 3_660


class EndingQuery(Query):
    days = Whole(default=AHEAD, maximum=MOST_AHEAD, help_text="How many days from today on; today is one more.")


class EndingCsv(Export):
    """List the apps in force that end soon, the next first, with what is paid for them and not yet earned."""

    name, subject, query = "Apps that end as CSV", "ending", EndingQuery
    operation = "exportEnding"

    def etag(self) -> object:
        return messages_stamp(timezone.now()), timezone.now().replace(second=0, microsecond=0)

    def days(self, values: Values, today: date) -> tuple[date, date]:
        return today, today + values["days"] * DAY

    def chunks(self, values: Values) -> Chunks:
        now = timezone.now()
        found = ending(now, values["days"]).values_list(*ENDING)
        return csv_chunks(ENDING_COLUMNS, batches.batched(_ending(found, now), BATCH))


def _ending(rows: Iterable[tuple[Any, ...]], now: datetime) -> Iterator[list[object]]:
    for name, owner, end, height, instances, category, at, sat, usd_micro in rows:
        left = Balance(at, end, sat, usd_micro).left(now)[0] if at else 0
        yield [name, owner, iso(end), height, instances, category, exact(left, 8), left]


class KindsQuery(Query):
    bucket = BucketOf(default=Bucket.MONTH)
    range = RangeOfDays()

    def validate(self, attrs: Values) -> Values:
        return with_range(attrs, {}, "from", "to")


class KindsCsv(Export):
    """Effects of app messages, by day to year: the count of each kind and what was paid for it."""

    name, subject, query = "Kinds of messages as CSV", "kinds", KindsQuery
    operation = "exportKinds"

    def etag(self) -> object:
        return messages_stamp(timezone.now())

    def first_day(self) -> date | None:
        return DailyTotal.objects.first_day()

    def chunks(self, values: Values) -> Chunks:
        now = timezone.now()
        first, last = self.days(values, now.date())
        columns = [f"{kind}_{what}" for kind in KINDS for what in ("count", "sat", "usd")]
        return csv_chunks(("start", "end", *columns), _kinds(first, last, values["bucket"], now))


def _kinds(first: date, last: date, bucket: Bucket, now: datetime) -> Iterator[list[list[object]]]:
    for some in batches.chunks(split(first, last, bucket), AT_ONCE):
        rows = kinds(some[0].first, some[-1].last, bucket, now)["data"]
        yield [_kinds_cells(span, row) for span, row in zip(some, rows, strict=True)]


def _kinds_cells(span: Span, row: dict[str, Any]) -> list[object]:
    """Return the cells of a row; what is not known is empty."""
    parts = (row[kind] for kind in KINDS)
    cells = [cell for part in parts for cell in (part["count"], part["sat"], exact(part["usd_micro"], 6))]
    return [span.first.isoformat(), span.last.isoformat(), *cells]


CHART_BATCH = 500
PARTIAL = "partial"


class ChartCsv(Export):
    """The same query keys as `/api/history/series`. Unknown values are empty cells."""

    name, subject, query = "Chart as CSV", "chart", SeriesQuery
    ignored = ()
    operation = "exportChart"

    def etag(self) -> object:
        return selectors.stamp(timezone.now())

    def file(self, request: Request) -> HttpResponseBase:
        now = timezone.now()
        with read_snapshot():
            series = requested(SeriesQuery.read(request.query_params), now.date())
            chart = selectors.read(request=series, now=now)
        return self.stream(request, csv_chunks(_header(chart), _batches(chart)), series.first, series.last)


def _batches(chart: Chart) -> Iterator[list[list[object]]]:
    return batches.batched(_rows(chart), CHART_BATCH)


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
