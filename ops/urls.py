"""Under /api/: how the system is."""

from django.urls import path

from ops import api

urlpatterns = [
    path("health", api.HealthView.as_view(), name="health"),
    path("health/live", api.LiveView.as_view(), name="health-live"),
    path("health/ready", api.ReadyView.as_view(), name="health-ready"),
]
