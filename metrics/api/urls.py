"""Route the endpoints under /api/."""

from django.urls import path

from metrics.api import views

urlpatterns = [
    path("metrics/current", views.CurrentView.as_view(), name="metrics-current"),
    path("history/readings", views.ReadingsView.as_view(), name="history-readings"),
    path("network/decentralisation", views.DecentralisationView.as_view(), name="network-decentralisation"),
    path("network/nodes", views.NodeChangesView.as_view(), name="network-nodes"),
    path("admin/test-status", views.TestStatusView.as_view(), name="test-status"),
]
