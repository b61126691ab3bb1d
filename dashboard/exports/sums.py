"""Export revenue as CSV: by app, owner or sender, and by day to year."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime

from django.utils import timezone
from rest_framework.exceptions import ValidationError

from dashboard.exports.base import Export, KeptExport, Values
from dashboard.exports.csv_cells import Chunks, csv_chunks, exact
from dashboard.panels.payments.panel import OF_DAYS, share_percent, whole_of_days, whole_revenue
from deployments.selectors import stamp as messages_stamp
from deployments.splits.breakdown import AT_ONCE, AppSum, AppSums, apps_between, parts_of
from deployments.splits.daily import REST
from fluxtracker import batches
from fluxtracker.api.fields import BucketOf, OneOf, Query, RangeOfDays, Words, with_range
from fluxtracker.periods import Bucket, split
from fluxtracker.timestamps import iso
from revenue.models import App
from revenue.payments.filters import AppsQuery
from revenue.period_totals import Sums, Totals
from revenue.selectors import apps

APP_COLUMNS = (
    "app_name", "payments", "revenue", "revenue_sat", "revenue_usd", "payments_without_price", "share_percent",
    "first_payment", "last_payment",
)  # fmt: skip


class AppsCsv(KeptExport):
    """Payments by app."""

    name, subject, query = "Apps as CSV", "apps", AppsQuery
    operation = "exportApps"

    def etag(self) -> object:
        """Return a stamp that changes with the splits, too, where the sums are of some days."""
        of_days = self.request.query_params.keys() & {"from", "to", "range"}
        return messages_stamp(timezone.now()) if of_days else super().etag()

    def chunks(self, values: Values) -> Chunks:
        parts = _of_days(values, apps_between) if values.keys() & {"from", "to"} else _of_ledger(values)
        return csv_chunks(APP_COLUMNS, parts)


class OwnersCsv(Export):
    """Payments by owner."""

    name, subject, query = "Owners as CSV", "owners", AppsQuery
    operation = "exportOwners"

    def etag(self) -> object:
        return messages_stamp(timezone.now())

    def chunks(self, values: Values) -> Chunks:
        return csv_chunks(("owner", *APP_COLUMNS[1:]), _of_days(values, OF_DAYS["owners"]))


class PayersCsv(Export):
    """Payments by sender."""

    name, subject, query = "Senders as CSV", "payers", AppsQuery
    operation = "exportPayers"

    def chunks(self, values: Values) -> Chunks:
        return csv_chunks(("payer", *APP_COLUMNS[1:]), _of_days(values, OF_DAYS["payers"]))


def _of_ledger(values: Values) -> Iterator[Iterable[Sequence[object]]]:
    whole = whole_revenue()
    for batch in batches.chunks(
        list(apps(values.get("search", ""), values["sort"]).values_list("id", flat=True)), batches.ROWS
    ):
        there = App.objects.in_bulk(batch)
        yield [app_cells(there[key], whole) for key in batch if key in there]


def _of_days(values: Values, read: Callable[..., AppSums]) -> Iterator[Iterable[Sequence[object]]]:
    whole = whole_of_days(values)
    result = read(values.get("from"), values.get("to"), values.get("search", ""), values["sort"])
    yield [app_cells(app, whole) for app in filter(None, (*result.apps, result.waiting))]


def app_cells(app: App | AppSum, whole: int) -> list[object]:
    """Return the cells of APP_COLUMNS. Dollars cover priced payments; a range knows only days, not times."""
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
    by = OneOf(list(REST), required=False, help_text="One row for each of them; by default one row per bucket.")
    key = Words(help_text="Only this app, owner, source or category, case-insensitive.")
    bucket = BucketOf(default=Bucket.MONTH)
    range = RangeOfDays()

    def validate(self, attrs: Values) -> Values:
        if attrs.get("key") and "by" not in attrs:
            raise ValidationError({"key": [f"`by` is required too: one of {', '.join(REST)}"]})
        return with_range(attrs, {}, "from", "to")


class RevenueCsv(Export):
    """Revenue by day to year, as totals or in parts; a bucket's parts add up to its row without `by`."""

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


def _revenue(values: Values, first: date, last: date, now: datetime) -> Iterator[list[list[object]]]:
    totals = Totals.load(first, last)
    only = values.get("key", "").lower()
    for batch in batches.chunks(split(first, last, values["bucket"]), AT_ONCE):
        rows: list[list[object]] = []
        for span in batch:
            head = [span.first.isoformat(), span.last.isoformat()]
            head.append(str(all(totals.ledger.has_all_of(day, now) for day in span.days())).lower())
            if "by" not in values:
                rows.append([*head, *_sums(totals.of(span.days()))])
                continue
            parts = parts_of(values["by"], span)
            rows += [[*head, key, *_sums(part)] for key, part in parts.items() if not only or key.lower() == only]
        yield rows


def _sums(sums: Sums) -> list[object]:
    """Return the cells of a sum, empty where not known."""
    sat = sums.revenue_sat
    missing = None if sat is None else sums.usd_missing
    return [exact(sat, 8), sat, exact(sums.usd_micro, 6), sums.payments, missing]
