"""URLs outside of /api/: signing in to the admin, and Prometheus."""

from django.urls import path

from ops.access import single_sign_on
from ops.access.login import sign_in
from ops.api.views import MetricsView

urlpatterns = [
    path("admin/login/", sign_in),
    path("admin/login/oidc/", single_sign_on.start, name="oidc"),
    path("admin/login/oidc/callback/", single_sign_on.callback, name="oidc-callback"),
    path("metrics", MetricsView.as_view(), name="prometheus"),
]
