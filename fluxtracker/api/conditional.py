"""ETags from cheap stamps: an answer that did not change is not made again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from django.http import HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control
from rest_framework.request import Request
from rest_framework.response import Response

from fluxtracker import __version__

LIVE_S = 5  # for answers that a new payment changes
SETTLED_S = 300  # for days that are long over: a price, a name or an audit may still touch them


def unless_known(
    request: Request, stamp: object, make: Callable[[], HttpResponseBase], *, max_age: int = LIVE_S
) -> HttpResponseBase:
    """304 for who has the answer with this stamp; else what `make` answers. For stamps that are found on the way."""
    if request.accepted_renderer.format != "json":
        return _page(make())
    etag = make_etag(stamp, request.get_full_path())
    known: HttpResponse | None = get_conditional_response(request._request, etag=etag)
    response = make() if known is None else known
    response["ETag"] = etag
    patch_cache_control(response, public=True, max_age=max_age)
    return response


def make_etag(*parts: object) -> str:
    """Weak: equal stamps mean equal content, whatever its compression."""
    return f'W/"{hashlib.sha256(repr((__version__, parts)).encode()).hexdigest()[:32]}"'


def never(response: Response) -> Response:
    """For answers that are only true at this moment."""
    patch_cache_control(response, no_store=True)
    return response


def _page(response: HttpResponseBase) -> HttpResponseBase:
    """The browsable API's pages may hold a form's token."""
    patch_cache_control(response, private=True, no_cache=True)
    return response
