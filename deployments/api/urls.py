"""Route /api/: who pays, for what and for how long."""

from django.urls import path

from deployments.api import views

urlpatterns = [
    path("apps/<str:name>", views.AppView.as_view(), name="app"),
    path("owners/<str:owner>", views.OwnerView.as_view(), name="owner"),
    path("economics/kinds", views.KindsView.as_view(), name="economics-kinds"),
    path("economics/cohorts", views.CohortsView.as_view(), name="economics-cohorts"),
    path("revenue/sources", views.SourcesView.as_view(), name="revenue-sources"),
    path("revenue/categories", views.CategoriesView.as_view(), name="revenue-categories"),
    path("analytics/apps", views.AppsView.as_view(), name="analytics-apps"),
    path("economics/accrual", views.AccrualView.as_view(), name="economics-accrual"),
    path("economics/forecast", views.ForecastView.as_view(), name="economics-forecast"),
    path("network/fill", views.FillView.as_view(), name="network-fill"),
]
