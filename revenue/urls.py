"""Under /api/: payments and what they add up to."""

from django.urls import path

from fluxtracker.periods import Length
from revenue.api import views

LONGER = (Length.WEEKLY, Length.MONTHLY, Length.QUARTERLY, Length.YEARLY)

urlpatterns = [
    path("revenue/transactions", views.TransactionsView.as_view(), name="transactions"),
    path("revenue/daily", views.DailyView.as_view(), name="revenue-daily"),
    *(path(f"revenue/{length}", views.period_view(length), name=f"revenue-{length}") for length in LONGER),
    path("analytics/apps", views.AppsView.as_view(), name="analytics-apps"),
    path("admin/revenue-status", views.RevenueStatusView.as_view(), name="revenue-status"),
]
