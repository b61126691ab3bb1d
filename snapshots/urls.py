"""Under /api/: the endpoints of this room."""

from django.urls import path

from snapshots import compare_api

urlpatterns = [
    path("analytics/comparison", compare_api.ComparisonView.as_view(), name="analytics-comparison"),
]
