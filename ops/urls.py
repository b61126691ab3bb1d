"""URLs outside of /api/: signing in to the admin, and Prometheus."""

from django.urls import path

from ops.access.login import sign_in
from ops.api.views import MetricsView

urlpatterns = [
    path("admin/login/", sign_in),
    path("metrics", MetricsView.as_view(), name="prometheus"),
]
