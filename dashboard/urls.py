from django.urls import path

from dashboard import exports, views

app_name = "dashboard"
urlpatterns = [
    path("", views.home, name="home"),
    path("data/", views.about, name="data"),
    path("panels/<slug:name>/", views.panel, name="panel"),
    path("export/payments.csv", exports.PaymentsCsv.as_view(), name="export-payments-csv"),
    path("export/payments.ndjson", exports.PaymentsNdjson.as_view(), name="export-payments-ndjson"),
    path("export/chart.csv", exports.ChartCsv.as_view(), name="export-chart-csv"),
    path("export/apps.csv", exports.AppsCsv.as_view(), name="export-apps-csv"),
]
