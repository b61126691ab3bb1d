"""Describe and write series: one list of days, and a list of values for each metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from rest_framework import serializers

from fluxtracker.periods import Bucket, Span
from fluxtracker.timestamps import iso
from snapshots.series.choices import Category, Choice, Kind
from snapshots.series.selectors import LEDGER, TAKEN, UNKNOWN, Chart, Line, Series

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


PLAIN = (LEDGER, TAKEN, UNKNOWN)


def chart(found: Chart) -> dict[str, Any]:
    wanted = found.wanted
    return {
        "start": wanted.first.isoformat(),
        "end": wanted.last.isoformat(),
        "bucket": wanted.bucket.value,
        "cumulative": wanted.cumulative,
        "count": len(found.spans),
        "dates": _starts(found.spans),
        "ends": [span.last.isoformat() for span in found.spans],
        "previous": found.before
        and {
            "start": found.before[0].first.isoformat(),
            "end": found.before[-1].last.isoformat(),
            "dates": _starts(found.before),
        },
        "completed_at": iso(found.completed_at),
        "series": [_series(series, found) for series in found.series],
    }


def choice(metric: Choice) -> dict[str, Any]:
    return {
        "key": metric.key,
        "label": metric.label,
        "unit": metric.unit,
        "category": metric.category.value,
        "additive": metric.kind == Kind.SUM,
    }


def marks(line: Line, spans: Sequence[Span]) -> Iterator[tuple[str, Span, Span]]:
    """Where values come from that are neither taken on their day nor the ledger's: runs of spans."""
    for source, run in groupby(range(len(spans)), key=line.sources.__getitem__):
        numbers = list(run)
        if source not in PLAIN:
            yield source, spans[numbers[0]], spans[numbers[-1]]


def _series(series: Series, found: Chart) -> dict[str, Any]:
    live = series.live
    return (
        choice(series.choice)
        | _line(series.line, found.spans)
        | {
            "live": live and {"read_at": iso(live.read_at), "stale": live.stale},
            "ghost": _line(series.ghost, found.before) if series.ghost and found.before else None,
        }
    )


def _line(line: Line, spans: Sequence[Span]) -> dict[str, Any]:
    return {
        "points": line.points,
        "partial": [spans[number].first.isoformat() for number in line.partial],
        "marks": [
            {"source": source, "start": first.first.isoformat(), "end": last.last.isoformat()}
            for source, first, last in marks(line, spans)
        ],
    }


def _starts(spans: Sequence[Span]) -> list[str]:
    return [span.first.isoformat() for span in spans]
