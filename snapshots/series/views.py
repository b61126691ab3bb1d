"""Serve series, and read their query for the API and the page."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

from rest_framework import serializers
from rest_framework.serializers import CharField, ValidationError

from fluxtracker.api.fields import Answer, Day, OneOf, Query, RangeOfDays, Whole, Words, with_range
from fluxtracker.api.views import ReadView
from fluxtracker.periods import Bucket
from fluxtracker.ranges import EARLIEST, LATEST
from metrics.selectors import metrics_stamp
from snapshots.selectors import snapshot_stamp
from snapshots.series import choices, selectors
from snapshots.series.choices import Category
from snapshots.series.selectors import DRAWN, MOST_DAYS, MOST_METRICS, Chart, Series, SeriesRequest

DEFAULT_DAYS = 30
ALL = "all"
LONGEST_LIST = MOST_METRICS * (len(choices.IMAGE) + choices.LONGEST_IMAGE + 1)
MARKED = ["backfilled", "import", "simulated", "live"]


class Mark(Answer):
    source = serializers.ChoiceField(MARKED)  # type: ignore[assignment]  # the wire name
    start = serializers.DateField(source="first")
    end = serializers.DateField(source="last", help_text="Included.")


class LineAnswer(Answer):
    points = serializers.ListField(
        child=serializers.FloatField(allow_null=True), help_text="One per date in `dates`; null: not known."
    )
    partial = serializers.ListField(  # type: ignore[assignment]  # the wire name
        child=serializers.DateField(),
        source="partial_days",
        help_text="Those of `dates` with an incomplete sum: a day that is not over, not known or not fully "
        "priced, or a week, month or quarter cut by the range.",
    )
    marks = Mark(many=True, help_text="Where values were not read on their day: from the history, made up, or now.")


class LastReading(Answer):
    read_at = serializers.DateTimeField()
    stale = serializers.BooleanField(help_text="The source is late, or has failed since.")


class ChoiceAnswer(Answer):
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the wire name
    unit = serializers.CharField(allow_blank=True, help_text="Empty for counts.")
    category = serializers.ChoiceField(list(Category))
    additive = serializers.BooleanField(
        source="is_sum",
        help_text="true: a week's or month's point is the sum of its days; false: the last known state.",
    )


class BesideLine(Answer):
    live = LastReading(allow_null=True, help_text="The last point is the last reading.")
    ghost = LineAnswer(allow_null=True, help_text="The same for the previous days, with their `partial` and `marks`.")


class SeriesAnswer(ChoiceAnswer, LineAnswer, BesideLine):
    @classmethod
    def write(cls, source: Series) -> dict[str, Any]:
        return ChoiceAnswer.write(source.choice) | LineAnswer.write(source.line) | BesideLine.write(source)


class PreviousAnswer(Answer):
    start = serializers.DateField(source="first")
    end = serializers.DateField(source="last")
    dates = serializers.ListField(child=serializers.DateField())


class ChartAnswer(Answer):
    start = serializers.DateField(source="request.first")
    end = serializers.DateField(source="request.last", help_text="Included.")
    bucket = serializers.ChoiceField(list(DRAWN), source="request.bucket")
    cumulative = serializers.BooleanField(source="request.cumulative")
    count = serializers.IntegerField(help_text="Points of each series.")
    dates = serializers.ListField(child=serializers.DateField(), help_text="First UTC day of each point.")
    ends = serializers.ListField(child=serializers.DateField(), help_text="Last UTC day of each point.")
    previous = PreviousAnswer(allow_null=True)
    completed_at = serializers.DateTimeField(
        allow_null=True, help_text="When a sync last completed; null where no series is of the ledger."
    )
    series = SeriesAnswer(many=True)


class MetricCategory(Answer):
    key = serializers.ChoiceField(list(Category))
    label = serializers.CharField()  # type: ignore[assignment]  # the wire name


class MetricsAnswer(Answer):
    count = serializers.IntegerField(help_text="Metrics in `metrics`.")
    total = serializers.IntegerField(help_text="All that match; more than `count` when there are more images.")
    categories = MetricCategory(many=True)
    metrics = ChoiceAnswer(many=True)


class Days(CharField):
    """A number of days until today, or `all`."""

    def to_internal_value(self, data: Any) -> Any:
        text = str(data).strip()
        if text == ALL:
            return ALL
        if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= MOST_DAYS:
            raise ValidationError(f"expected a whole number from 1 to {MOST_DAYS}, or {ALL}")
        return int(text)


class Choices(CharField):
    """Comma-separated keys of metrics."""

    def to_internal_value(self, data: Any) -> Any:
        keys = list(dict.fromkeys(filter(None, (key.strip() for key in super().to_internal_value(data).split(",")))))
        if not 1 <= len(keys) <= MOST_METRICS:
            raise ValidationError(f"expected 1 to {MOST_METRICS} metrics, separated by commas")
        resolved, unknown = choices.resolve(keys)
        if unknown:
            names = ", ".join(key[:60] for key in unknown)
            raise ValidationError(f"unknown metrics: {names}; /api/history/metrics lists all")
        return tuple(resolved)


class Flag(OneOf):
    """0 or 1."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(["0", "1"], default="0", **kwargs)


class ViewQuery(Query):
    """Days and form of a chart."""

    days = Days(required=False, help_text=f"Number of days until today, or `{ALL}`; {DEFAULT_DAYS} by default.")
    start = Day(required=False, help_text="First UTC day, included; instead of `days`.")
    end = Day(required=False, help_text="Last UTC day, included; today when only `start` is given.")
    range = RangeOfDays("`days`, or `start` and `end`")
    bucket = OneOf(list(DRAWN), default=Bucket.DAY.value, help_text="Span of one point.")
    previous = Flag(help_text="1: also as many days, weeks, months or quarters right before, as `ghost`.")
    cumulative = Flag(help_text="1: revenue and payments add up from the first day on.")
    ends = (("start", "end"),)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = with_range(attrs, self.initial_data, "start", "end")
        if "days" in attrs and ("start" in attrs or "end" in attrs):
            raise ValidationError({"days": ["expected either `days`, or `start` and `end`"]})
        if "end" in attrs and "start" not in attrs:
            raise ValidationError({"start": ["expected a day as YYYY-MM-DD beside `end`"]})
        return super().validate(attrs)


class SeriesQuery(ViewQuery):
    metrics = Choices(
        max_length=LONGEST_LIST,
        help_text=f"1 to {MOST_METRICS} keys of /api/history/metrics with commas between them, "
        "such as revenue_flux,node_total,image:presearch/node.",
    )


class MetricsQuery(Query):
    search = Words(help_text="Words that must all occur in label, key or category.")
    limit = Whole(default=100, cut_to=1000, help_text="Images to list; `total` counts all that match.")


def requested(values: dict[str, Any], today: date) -> SeriesRequest:
    """Return the request of a validated query. ValidationError if its range is too long."""
    first, last = _range(values, today)
    series = SeriesRequest(
        choices=values["metrics"],
        first=first,
        last=last,
        bucket=Bucket(values["bucket"]),
        previous=values["previous"] == "1",
        cumulative=values["cumulative"] == "1",
    )
    if not 1 <= series.length <= MOST_DAYS or first < EARLIEST or last > LATEST:
        expected = f"expected a range of 1 to {MOST_DAYS} days between {EARLIEST} and {LATEST}"
        raise ValidationError({"start": [expected]})
    return series


def _range(values: dict[str, Any], today: date) -> tuple[date, date]:
    if "start" in values:
        return values["start"], values.get("end", today)
    days = values.get("days", DEFAULT_DAYS)
    return selectors.all_days(today) if days == ALL else selectors.last_days(days, today)


class SeriesView(ReadView):
    """Metrics by day, week or month over a range, with gaps as null."""

    name, operation, tag = "Series", "history_series", "history"
    query, answer = SeriesQuery, ChartAnswer

    def etag(self, now: datetime) -> object:
        return selectors.stamp(now)

    def read(self, values: dict[str, Any], now: datetime) -> Chart:
        return selectors.read(request=requested(values, now.date()), now=now)


class MetricsView(ReadView):
    """Available metrics, including images."""

    name, operation, tag = "Metrics of series", "history_metrics", "history"
    query, answer, max_age = MetricsQuery, MetricsAnswer, 60

    def etag(self, now: datetime) -> object:
        return snapshot_stamp(), metrics_stamp()

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        search = values.get("search", "")
        matching = choices.matching(choices.fixed(), search)
        images = choices.matching(map(choices.of_image, choices.images()), search)
        shown = [*matching, *images[: values["limit"]]]
        return {
            "count": len(shown),
            "total": len(matching) + len(images),
            "categories": [{"key": key, "label": label} for key, label in choices.LABELS.items()],
            "metrics": shown,
        }
