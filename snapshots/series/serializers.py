"""Describe and write series: one list of days, and a list of values for each metric."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from fluxtracker.api.fields import Answer
from snapshots.series.choices import Category
from snapshots.series.selectors import DRAWN, Series

MARKED = ["backfilled", "import", "simulated", "live"]


class Mark(Answer):
    source = serializers.ChoiceField(MARKED)  # type: ignore[assignment]  # the wire name
    start = serializers.DateField(source="first")
    end = serializers.DateField(source="last", help_text="Included.")


class LineAnswer(Answer):
    points = serializers.ListField(
        child=serializers.FloatField(allow_null=True), help_text="One for each of `dates`; null: not known."
    )
    partial = serializers.ListField(  # type: ignore[assignment]  # the wire name
        child=serializers.DateField(),
        source="partial_days",
        help_text="Those of `dates` whose sum lacks something: a day that is not over, not known or not wholly "
        "priced, or a week, month or quarter of which the range has only a part.",
    )
    marks = Mark(many=True, help_text="Where values were not read on their day: from the history, made up, or now.")


class LastReading(Answer):
    read_at = serializers.DateTimeField()
    stale = serializers.BooleanField(help_text="The source is late, or failed since.")


class ChoiceAnswer(Answer):
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the wire name
    unit = serializers.CharField(allow_blank=True, help_text="Empty for counts.")
    category = serializers.ChoiceField(list(Category))
    additive = serializers.BooleanField(
        source="is_sum",
        help_text="true: a week's or month's point is the sum of its days; false: the last state that is known.",
    )


class BesideLine(Answer):
    live = LastReading(allow_null=True, help_text="The last point is the last reading.")
    ghost = LineAnswer(allow_null=True, help_text="The same for the days before; `partial` and `marks` in those days.")


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
