"""One panel by itself: what htmx puts in place of the one on the page."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from dashboard.panels import show
from dashboard.registry import PANELS

FAILED = "X-Panel-Failed"


@require_safe
def panel(request: HttpRequest, name: str) -> HttpResponse:
    """200 also for a panel that failed: its place says so. The ETag is made of the content."""
    if name not in PANELS:
        raise Http404(f"no panel {name}")
    shown = show(PANELS[name], request, timezone.now())
    response = HttpResponse(shown.html)
    patch_cache_control(response, no_cache=True)
    if shown.failed:
        response.headers[FAILED] = "1"
    return response
