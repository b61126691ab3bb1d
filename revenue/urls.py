"""Under /api/: payments and what they add up to."""

from django.urls import path

from fluxtracker.periods import Length
from revenue import api

LONGER = (Length.WEEKLY, Length.MONTHLY, Length.QUARTERLY, Length.YEARLY)

urlpatterns = [
    path("revenue/transactions", api.TransactionsView.as_view(), name="transactions"),
    path("revenue/daily", api.DailyView.as_view(), name="revenue-daily"),
    *(path(f"revenue/{length}", api.period_view(length), name=f"revenue-{length}") for length in LONGER),
    path("analytics/apps", api.AppsView.as_view(), name="analytics-apps"),
    path("admin/revenue-status", api.RevenueStatusView.as_view(), name="revenue-status"),
]
