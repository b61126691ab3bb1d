"""Under /api/: the report."""

from django.urls import path

from reports.api import fees, views

urlpatterns = [
    path("export/fees", fees.FeesView.as_view(), name="export-fees"),
    path("reports/kpi", views.KpiView.as_view(), name="reports-kpi"),
]
