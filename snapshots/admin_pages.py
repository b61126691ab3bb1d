"""Two pages of the admin beside the list of snapshots: the calendar of a year, and the story of a day."""

from __future__ import annotations

from datetime import MINYEAR, date
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from fluxtracker import figures
from fluxtracker.admin import UNKNOWN, list_link, user_of
from snapshots import calendar, day_story
from snapshots.models import ImageDay

if TYPE_CHECKING:
    from snapshots.admin import SnapshotAdmin


def urls(page: SnapshotAdmin) -> list[URLPattern]:
    """For staff who may see snapshots."""

    def calendar_view(request: HttpRequest) -> HttpResponse:
        return _calendar(page, request)

    def day_view(request: HttpRequest, day: str) -> HttpResponse:
        return _day(page, request, day)

    wrap = page.admin_site.admin_view
    return [
        path("calendar/", wrap(calendar_view), name="snapshots_snapshot_calendar"),
        path("day/<slug:day>/", wrap(day_view), name="snapshots_snapshot_day"),
    ]


def _calendar(page: SnapshotAdmin, request: HttpRequest) -> HttpResponse:
    _require_view(page, request)
    now = timezone.now()
    year = calendar.load(_year(request.GET.get("year"), now.year), now)
    context = _context(page, request, f"Snapshots of {year.year}") | {"year": year, "today": now.date()}
    return TemplateResponse(request, "admin/snapshots/calendar.html", context)


def _day(page: SnapshotAdmin, request: HttpRequest, text: str) -> HttpResponse:
    _require_view(page, request)
    now = timezone.now()
    day = _parsed(text)
    if day is None or day > now.date():
        raise Http404(f"{text} is no day of the past")
    story = day_story.load(day, now)
    user = user_of(request)
    context = _context(page, request, f"{day:%A}, {day.day} {day:%B %Y}") | {
        "story": story,
        "revenue": UNKNOWN if story.revenue_sat is None else figures.flux(story.revenue_sat),
        "price": UNKNOWN if not (story.price and story.price.price_usd) else figures.price(story.price.price_usd),
        "images": list_link(ImageDay, figures.plural(story.images, "image"), day=day.isoformat()),
        "may_see_runs": user.has_perm("ops.view_taskrun"),
    }
    return TemplateResponse(request, "admin/snapshots/day.html", context)


def _require_view(page: SnapshotAdmin, request: HttpRequest) -> None:
    if not page.has_view_permission(request):
        raise PermissionDenied


def _context(page: SnapshotAdmin, request: HttpRequest, title: str) -> dict[str, Any]:
    return {**page.admin_site.each_context(request), "opts": page.opts, "title": title}


def _year(text: str | None, current: int) -> int:
    """The year asked for; this one for what is none."""
    if text and text.isascii() and text.isdecimal() and MINYEAR < int(text[:5]) <= current:
        return int(text[:5])
    return current


def _parsed(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None
