"""The shapes of series, for the OpenAPI description and for readers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from snapshots.buckets import Bucket
from snapshots.choices import Category

MARKED = ["backfilled", "import", "simulated", "live"]


class Mark(serializers.Serializer[Any]):
    source = serializers.ChoiceField(MARKED)  # type: ignore[assignment]  # the wire name
    start = serializers.DateField()
    end = serializers.DateField(help_text="Included.")


class LineAnswer(serializers.Serializer[Any]):
    points = serializers.ListField(
        child=serializers.FloatField(allow_null=True), help_text="One for each of `dates`; null: not known."
    )
    partial = serializers.ListField(  # type: ignore[assignment]  # the wire name
        child=serializers.DateField(),
        help_text="Those of `dates` whose sum lacks something: a day that is not over, not known or not wholly "
        "priced, or a week or month of which the range has only a part.",
    )
    marks = Mark(many=True, help_text="Where values were not read on their day: from the history, made up, or now.")


class LastReading(serializers.Serializer[Any]):
    read_at = serializers.DateTimeField()
    stale = serializers.BooleanField(help_text="The source is late, or failed since.")


class ChoiceAnswer(serializers.Serializer[Any]):
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the wire name
    unit = serializers.CharField(allow_blank=True, help_text="Empty for counts.")
    category = serializers.ChoiceField(list(Category))
    additive = serializers.BooleanField(
        help_text="true: a week's or month's point is the sum of its days; false: the last state that is known."
    )


class SeriesAnswer(ChoiceAnswer, LineAnswer):
    live = LastReading(allow_null=True, help_text="The last point is the last reading.")
    ghost = LineAnswer(allow_null=True, help_text="The same for the days before; `partial` and `marks` in those days.")


class PreviousAnswer(serializers.Serializer[Any]):
    start = serializers.DateField()
    end = serializers.DateField()
    dates = serializers.ListField(child=serializers.DateField())


class ChartAnswer(serializers.Serializer[Any]):
    start = serializers.DateField()
    end = serializers.DateField(help_text="Included.")
    bucket = serializers.ChoiceField(list(Bucket))
    cumulative = serializers.BooleanField()
    count = serializers.IntegerField(help_text="Points of each series.")
    dates = serializers.ListField(child=serializers.DateField(), help_text="First UTC day of each point.")
    ends = serializers.ListField(child=serializers.DateField(), help_text="Last UTC day of each point.")
    previous = PreviousAnswer(allow_null=True)
    completed_at = serializers.DateTimeField(
        allow_null=True, help_text="When a sync last completed; null where no series is of the ledger."
    )
    series = SeriesAnswer(many=True)


class MetricCategory(serializers.Serializer[Any]):
    key = serializers.ChoiceField(list(Category))
    label = serializers.CharField()  # type: ignore[assignment]  # the wire name


class MetricsAnswer(serializers.Serializer[Any]):
    count = serializers.IntegerField(help_text="Metrics in `metrics`.")
    total = serializers.IntegerField(help_text="All that match; more than `count` when there are more images.")
    categories = MetricCategory(many=True)
    metrics = ChoiceAnswer(many=True)
