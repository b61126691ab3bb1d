"""Export economics as CSV: apps that end soon, and kinds of messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any

from django.utils import timezone

from dashboard.exports.base import Export, Values
from dashboard.exports.csv_cells import Chunks, csv_chunks, exact
from dashboard.panels.economics import AHEAD, ending
from deployments.accrual import Balance
from deployments.selectors import KINDS, kinds
from deployments.selectors import stamp as messages_stamp
from deployments.splits.breakdown import AT_ONCE
from fluxtracker import batches
from fluxtracker.api.fields import BucketOf, Query, RangeOfDays, Whole, with_range
from fluxtracker.periods import DAY, Bucket, Span, split
from fluxtracker.timestamps import iso

ENDING = (
    "name", "owner", "end_at", "end_height", "instances", "category", "balance_at", "balance_sat", "balance_usd_micro",
)  # fmt: skip
ENDING_COLUMNS = (
    "app_name", "owner", "end", "end_block", "instances", "category", "unearned", "unearned_sat",
)  # fmt: skip
MOST_AHEAD = 3_660


class EndingQuery(Query):
    days = Whole(default=AHEAD, maximum=MOST_AHEAD, help_text="Number of days after today; today is included.")


class EndingCsv(Export):
    """Apps in force that end soon, the next first, with their balance not yet earned."""

    name, subject, query = "Apps that end as CSV", "ending", EndingQuery
    operation = "exportEnding"

    def etag(self) -> object:
        return messages_stamp(timezone.now()), timezone.now().replace(second=0, microsecond=0)

    def days(self, values: Values, today: date) -> tuple[date, date]:
        return today, today + values["days"] * DAY

    def chunks(self, values: Values) -> Chunks:
        now = timezone.now()
        rows = ending(now, values["days"]).values_list(*ENDING)
        return csv_chunks(ENDING_COLUMNS, batches.batched(_ending(rows, now)))


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
    """Effects of app messages, by day to year: count and payments of each kind."""

    name, subject, query = "Kinds of messages as CSV", "kinds", KindsQuery
    operation = "exportKinds"

    def etag(self) -> object:
        return messages_stamp(timezone.now())

    def chunks(self, values: Values) -> Chunks:
        now = timezone.now()
        first, last = self.days(values, now.date())
        columns = [f"{kind}_{what}" for kind in KINDS for what in ("count", "sat", "usd")]
        return csv_chunks(("start", "end", *columns), _kinds(first, last, values["bucket"], now))


def _kinds(first: date, last: date, bucket: Bucket, now: datetime) -> Iterator[list[list[object]]]:
    for batch in batches.chunks(split(first, last, bucket), AT_ONCE):
        rows = kinds(batch[0].first, batch[-1].last, bucket, now)["data"]
        yield [_kinds_cells(span, row) for span, row in zip(batch, rows, strict=True)]


def _kinds_cells(span: Span, row: dict[str, Any]) -> list[object]:
    """Return the cells of a row, empty where not known."""
    parts = (row[kind] for kind in KINDS)
    cells = [cell for part in parts for cell in (part["count"], part["sat"], exact(part["usd_micro"], 6))]
    return [span.first.isoformat(), span.last.isoformat(), *cells]
