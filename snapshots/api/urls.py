"""Route the endpoints under /api/."""

from django.urls import path

from snapshots.api import views
from snapshots.series import views as series_views

urlpatterns = [
    path("analytics/comparison", views.ComparisonView.as_view(), name="analytics-comparison"),
    path("history/snapshots", views.SnapshotsView.as_view(), name="history-snapshots"),
    path("history/snapshots/full", views.FullView.as_view(), name="history-snapshots-full"),
    path("history/snapshot/<str:date>", views.SnapshotView.as_view(), name="history-snapshot"),
    path("history/range", views.RangeView.as_view(), name="history-range"),
    path("history/images", views.ImagesView.as_view(), name="history-images"),
    path("history/category/<str:category>", views.CategoryView.as_view(), name="history-category"),
    path("history/series", series_views.SeriesView.as_view(), name="history-series"),
    path("history/metrics", series_views.MetricsView.as_view(), name="history-metrics"),
    path("metrics/category/<str:category>/top", views.TopView.as_view(), name="metrics-category-top"),
    path("stats", views.StatsView.as_view(), name="stats"),
    path("admin/snapshot-status", views.SnapshotStatusView.as_view(), name="snapshot-status"),
]
