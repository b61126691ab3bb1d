"""Make ETags from cheap stamps, so that an unchanged answer is not made again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from django.http import HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control
from rest_framework.request import Request
from rest_framework.response import Response

from fluxtracker import __version__

LIVE_S = 5  # for answers changed by new payments
SETTLED_S = 300  # for days long past: a price, a name or an audit may still change them


def unless_known(
    request: Request, stamp: object, make: Callable[[], HttpResponseBase], *, max_age: int = LIVE_S
) -> HttpResponseBase:
    """Return 304 if the client has the answer with this stamp, else the response of `make`."""
    if request.accepted_renderer.format != "json":
        return _page(make())
    etag = make_etag(stamp, request.get_full_path())
    known: HttpResponse | None = get_conditional_response(request._request, etag=etag)
    response = make() if known is None else known
    response["ETag"] = etag
    patch_cache_control(response, public=True, max_age=max_age)
    return response


def make_etag(*parts: object) -> str:
    """Return a weak ETag: equal stamps mean equal content in any compression."""
    return f'W/"{hashlib.sha256(repr((__version__, parts)).encode()).hexdigest()[:32]}"'


def never(response: Response) -> Response:
    """Mark an answer as valid only now."""
    patch_cache_control(response, no_store=True)
    return response


def _page(response: HttpResponseBase) -> HttpResponseBase:
    """Mark the browsable API's pages as private, as they may hold a form's token."""
    patch_cache_control(response, private=True, no_cache=True)
    return response
