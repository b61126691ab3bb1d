"""Under /api/: who pays, for what and for how long."""

from django.urls import path

from deployments.api import apps, fill, money, splits

urlpatterns = [
    path("apps/<str:name>", apps.AppView.as_view(), name="app"),
    path("owners/<str:owner>", apps.OwnerView.as_view(), name="owner"),
    path("economics/kinds", apps.KindsView.as_view(), name="economics-kinds"),
    path("economics/cohorts", apps.CohortsView.as_view(), name="economics-cohorts"),
    path("revenue/sources", splits.SourcesView.as_view(), name="revenue-sources"),
    path("revenue/categories", splits.CategoriesView.as_view(), name="revenue-categories"),
    path("analytics/apps", splits.AppsView.as_view(), name="analytics-apps"),
    path("economics/accrual", money.AccrualView.as_view(), name="economics-accrual"),
    path("economics/forecast", money.ForecastView.as_view(), name="economics-forecast"),
    path("network/fill", fill.FillView.as_view(), name="network-fill"),
]
