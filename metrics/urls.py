"""Under /api/: the endpoints of this room."""

from django.urls import path

from metrics import api, check_api

urlpatterns = [
    path("metrics/current", api.CurrentView.as_view(), name="metrics-current"),
    path("history/readings", api.ReadingsView.as_view(), name="history-readings"),
    path("admin/test-status", check_api.TestStatusView.as_view(), name="test-status"),
]
