"""One panel by itself: what takes the place of the one on the page."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_cache_control
from django.views.decorators.http import require_safe

from dashboard.panels import show
from dashboard.registry import PANELS

FAILED = "X-Panel-Failed"


@require_safe
def panel(request: HttpRequest, name: str) -> HttpResponseBase:
    """200 also for a panel that failed: its place says so. 304 while nothing but ages has changed."""
    if name not in PANELS:
        raise Http404(f"no panel {name}")
    shown = show(PANELS[name], request, timezone.now())
    response: HttpResponseBase = get_conditional_response(request, etag=shown.etag) or HttpResponse(shown.html)
    response.headers["ETag"] = shown.etag
    patch_cache_control(response, no_cache=True)
    if shown.failed:
        response.headers[FAILED] = "1"
    return response
