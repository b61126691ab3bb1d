from django.urls import path

from dashboard import feeds, status_page, views
from dashboard.detail_pages.views import page_of
from dashboard.exports import chart, economics, payments, sums
from dashboard.open_data import views as files
from dashboard.sharing import views as sharing

app_name = "dashboard"
urlpatterns = [
    path("", views.home, name="home"),
    path("live", views.wall, name="live"),
    path("data/", views.about, name="data"),
    path("data/files/", files.IndexView.as_view(), name="files"),
    path("data/files/<str:month>/<str:name>", files.FileView.as_view(), name="file"),
    path("status", status_page.status, name="status"),
    path("badge/revenue-<slug:period>.<slug:kind>", feeds.badge, name="badge"),
    path("card/revenue-<slug:period>.png", sharing.period_card, name="card"),
    path("card/<slug:kind>/<path:name>.png", sharing.thing_card, name="card-thing"),
    *(path(f"embed/{name}", sharing.framed(views.PANELS[name]), name=f"embed-{name}") for name in views.FRAMED),
    path("feeds/revenue.atom", feeds.revenue_feed, name="feed-revenue"),
    path("feeds/alerts.atom", feeds.alerts_feed, name="feed-alerts"),
    path("feeds/app/<path:name>.atom", feeds.app_feed, name="feed-app"),
    path("sitemap.xml", feeds.sitemap, name="sitemap"),
    path("robots.txt", feeds.robots, name="robots"),
    path("manifest.webmanifest", feeds.manifest, name="manifest"),
    path("panels/<slug:name>/", views.panel, name="panel"),
    path("app/<path:name>", page_of("app"), name="app"),
    path("owner/<str:name>", page_of("owner"), name="owner"),
    path("payer/<path:name>", page_of("payer"), name="payer"),
    path("tx/<str:name>", page_of("tx"), name="tx"),
    path("day/<str:name>", page_of("day"), name="day"),
    path("block/<str:name>", page_of("block"), name="block"),
    path("export/payments.csv", payments.PaymentsCsv.as_view(), name="export-payments-csv"),
    path("export/payments.ndjson", payments.PaymentsNdjson.as_view(), name="export-payments-ndjson"),
    path("export/chart.csv", chart.ChartCsv.as_view(), name="export-chart-csv"),
    path("export/revenue.csv", sums.RevenueCsv.as_view(), name="export-revenue-csv"),
    path("export/ending.csv", economics.EndingCsv.as_view(), name="export-ending-csv"),
    path("export/kinds.csv", economics.KindsCsv.as_view(), name="export-kinds-csv"),
    path("export/apps.csv", sums.AppsCsv.as_view(), name="export-apps-csv"),
    path("export/owners.csv", sums.OwnersCsv.as_view(), name="export-owners-csv"),
    path("export/payers.csv", sums.PayersCsv.as_view(), name="export-payers-csv"),
]
