from django.urls import path

from dashboard import about, chart_export, export, panel_views, views

app_name = "dashboard"
urlpatterns = [
    path("", views.home, name="home"),
    path("data/", about.about, name="data"),
    path("panels/<slug:name>/", panel_views.panel, name="panel"),
    path("export/payments.csv", export.PaymentsCsv.as_view(), name="export-payments-csv"),
    path("export/payments.ndjson", export.PaymentsNdjson.as_view(), name="export-payments-ndjson"),
    path("export/chart.csv", chart_export.ChartCsv.as_view(), name="export-chart-csv"),
    path("export/apps.csv", export.AppsCsv.as_view(), name="export-apps-csv"),
]
