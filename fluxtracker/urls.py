"""Route the project's URLs. Each app has its own under /api/."""

from django.contrib import admin
from django.urls import include, path, re_path

from fluxtracker.api import exceptions
from fluxtracker.api.views import RELEASED_S, IndexView, SchemaView, docs_view
from fluxtracker.web.cache import cached

admin.autodiscover()

urlpatterns = [
    path("api/", IndexView.as_view(), name="api"),
    path("api/schema/", cached({"format", "lang", "version"}, RELEASED_S)(SchemaView.as_view()), name="schema"),
    path("api/docs/", docs_view, name="docs"),
    path("api/", include("ops.api.urls")),
    path("api/", include("revenue.api.urls")),
    path("api/", include("deployments.api.urls")),
    path("api/", include("metrics.api.urls")),
    path("api/", include("carousel.api.urls")),
    path("api/", include("snapshots.api.urls")),
    path("api/", include("reports.api.urls")),
    re_path(r"^api/", exceptions.unknown_path),
    path("", include("ops.urls")),
    path("admin/", admin.site.urls),
    path("", include("reports.urls")),
    path("", include("dashboard.urls")),
]

handler400 = exceptions.bad_request
handler403 = exceptions.permission_denied
handler404 = exceptions.not_found
handler500 = exceptions.server_error
