"""Under /api/: the endpoints of this room."""

from django.urls import path

from snapshots import api, compare_api, images_api, series_api, status_api

urlpatterns = [
    path("analytics/comparison", compare_api.ComparisonView.as_view(), name="analytics-comparison"),
    path("history/snapshots", api.SnapshotsView.as_view(), name="history-snapshots"),
    path("history/snapshots/full", api.FullView.as_view(), name="history-snapshots-full"),
    path("history/snapshot/<str:date>", api.SnapshotView.as_view(), name="history-snapshot"),
    path("history/range", api.RangeView.as_view(), name="history-range"),
    path("history/images", images_api.ImagesView.as_view(), name="history-images"),
    path("history/category/<str:category>", images_api.CategoryView.as_view(), name="history-category"),
    path("history/series", series_api.SeriesView.as_view(), name="history-series"),
    path("history/metrics", series_api.MetricsView.as_view(), name="history-metrics"),
    path("metrics/category/<str:category>/top", images_api.TopView.as_view(), name="metrics-category-top"),
    path("stats", status_api.StatsView.as_view(), name="stats"),
    path("admin/snapshot-status", status_api.SnapshotStatusView.as_view(), name="snapshot-status"),
]
