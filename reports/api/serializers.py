"""Describe the report for the API."""

from __future__ import annotations

from rest_framework import serializers

from fluxtracker.api.fields import Answer, BucketOf, Day, ErrorAnswer, OrNull, Query
from fluxtracker.periods import Bucket
from reports.figures import Group, How


class KpiQuery(Query):
    period = BucketOf(default=Bucket.MONTH, help_text="A UTC day, a week from Monday, or a longer period.")
    date = Day(required=False, help_text="A day in the period; by default the last completed one.")


class ReportPeriod(Answer):
    key = serializers.CharField(help_text="As in the address of the page: 2026-W41, 2026-10, 2026-Q3.")
    title = serializers.CharField()
    start = serializers.DateField(source="first_day")
    end = serializers.DateField(source="last_day", help_text="Included.")


class FigureAnswer(Answer):
    key = serializers.CharField()
    group = serializers.ChoiceField([group.value for group in Group])
    label = serializers.CharField()  # type: ignore[assignment]  # the wire name
    unit = serializers.CharField(help_text="FLUX, USD, count, %, GB, cores and the like.")
    how = serializers.ChoiceField(
        [how.value for how in How],
        help_text="Of the days; ratio: of sums or means; count: different ones in the period.",
    )
    value = serializers.FloatField(allow_null=True)
    previous = serializers.FloatField(allow_null=True)
    difference = serializers.FloatField(allow_null=True, help_text="value - previous.")
    change = serializers.FloatField(allow_null=True, help_text="In `change_unit`.")
    change_unit = serializers.ChoiceField(["percent", "points"], help_text="points for percentages.")
    trend = serializers.ChoiceField(["up", "down", "neutral"], allow_null=True)
    coverage = serializers.FloatField(allow_null=True, help_text="Percent of what the value rests on that is known.")
    previous_coverage = serializers.FloatField(allow_null=True)
    reason = OrNull(allow_null=True, help_text="Why the value is null.")
    previous_reason = OrNull(allow_null=True)


class KpiAnswer(Answer):
    period = serializers.ChoiceField([bucket.value for bucket in Bucket], source="bucket")
    current = ReportPeriod()
    previous = ReportPeriod()
    figures = FigureAnswer(many=True)
    coverage = serializers.DictField(
        child=serializers.FloatField(), help_text="Days of the period, figures, and how many of those are known."
    )
    asOf = serializers.DateTimeField(source="as_of", allow_null=True, help_text="Up to when the chain was read.")
    notes = serializers.DictField(child=serializers.CharField(), help_text="Why a figure is missing, by its key.")


class NotOverAnswer(ErrorAnswer):
    lastCompleted = ReportPeriod(required=False, help_text="Where the period is not over.")
