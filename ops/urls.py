"""Route URLs outside /api/: admin sign-in and Prometheus."""

from django.urls import path

from ops.access import passkeys, single_sign_on
from ops.access.login import sign_in
from ops.api.views import MetricsView

urlpatterns = [
    path("admin/login/", sign_in),
    path("admin/login/passkey/", passkeys.sign_in, name="passkey"),
    path("admin/login/oidc/", single_sign_on.start, name="oidc"),
    path("admin/login/oidc/callback/", single_sign_on.callback, name="oidc-callback"),
    path("metrics", MetricsView.as_view(), name="prometheus"),
]
