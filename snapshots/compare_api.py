"""`/api/analytics/comparison`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fluxtracker.api import params
from fluxtracker.api.caching import unless_known
from fluxtracker.api.views import BAD_QUERY, ERRORS, PublicView
from snapshots import compare_wire, warm
from snapshots.compare import Span
from snapshots.compare_answers import ComparisonAnswer

ALLOWED = "expected D, W, M, Q or Y (against a day, a week, a month, a quarter or a year ago)"


class SpanField(serializers.ChoiceField):
    """How far back; small letters are the same."""

    def __init__(self, **kwargs: Any) -> None:
        kinds = ("required", "null", "invalid_choice")
        super().__init__([span.value for span in Span], error_messages=dict.fromkeys(kinds, ALLOWED), **kwargs)

    def to_internal_value(self, data: Any) -> Span:
        return Span(super().to_internal_value(str(data).strip().upper()))


class ComparisonQuery(serializers.Serializer[Any]):
    period = SpanField(help_text="D, W, M, Q or Y: against a day, a week, a month, a quarter or a year ago.")


class ComparisonView(PublicView):
    """The network and its revenue now, against a day, week, month, quarter or year ago.

    Metrics: the latest reading against the snapshot of 1, 7, 30, 90 or 365 days ago. Revenue: the calendar
    period so far against the whole one before, and in `toDate` against that one cut at the same elapsed time.
    """

    name = "Comparison"

    @extend_schema(
        operation_id="analytics_comparison",
        tags=["analytics"],
        parameters=[ComparisonQuery],
        responses={200: ComparisonAnswer, 400: BAD_QUERY, **ERRORS},
    )
    def get(self, request: Request) -> HttpResponseBase:
        span, now = params.read(ComparisonQuery, request)["period"], timezone.now()
        made = warm.find(span, now)
        stamp = (made.stamp, made.made_at, compare_wire.ages(made.answer, now))
        response = unless_known(request, stamp, lambda: Response(compare_wire.with_ages(made.answer, now)))
        response["Age"] = str(_age(made.made_at, now))
        return response


def _age(made_at: datetime, now: datetime) -> int:
    """Whole seconds since it was made."""
    return max(int((now - made_at).total_seconds()), 0)
