"""Route /api/: payments and their sums."""

from django.urls import path

from fluxtracker.periods import Bucket
from revenue.api import views

LONGER = (Bucket.WEEK, Bucket.MONTH, Bucket.QUARTER, Bucket.YEAR)

urlpatterns = [
    path("revenue/transactions", views.TransactionsView.as_view(), name="transactions"),
    path("revenue/pending", views.PendingView.as_view(), name="revenue-pending"),
    path("revenue/daily", views.DailyView.as_view(), name="revenue-daily"),
    *(
        path(f"revenue/{bucket.adverb}", views.period_view(bucket), name=f"revenue-{bucket.adverb}")
        for bucket in LONGER
    ),
    path("payers/<str:address>", views.PayerView.as_view(), name="payer"),
    path("admin/revenue-status", views.RevenueStatusView.as_view(), name="revenue-status"),
]
