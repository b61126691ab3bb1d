"""Route /api/: the report and daily fees."""

from django.urls import path

from reports.api import views

urlpatterns = [
    path("export/fees", views.FeesView.as_view(), name="export-fees"),
    path("reports/kpi", views.KpiView.as_view(), name="reports-kpi"),
]
