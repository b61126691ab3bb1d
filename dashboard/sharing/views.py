"""Serve what other sites show of this one, without cookies: share cards, and each panel in a frame."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from csp.decorators import csp_replace
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

from dashboard.detail_pages.pages import Unknown
from dashboard.detail_pages.views import FOUND, find, stamp_of
from dashboard.feeds import known
from dashboard.panels.base import Panel, show
from dashboard.panels.periods import OF_BUCKET
from dashboard.sharing import drawing
from dashboard.sharing.drawing import Card
from fluxtracker import formatting
from fluxtracker.periods import Bucket, Period
from fluxtracker.web.cache import cached
from revenue.selectors import Sums, Totals, ledger_stamp

DAYS = 30  # that a card shows as bars
MONTHS = 24
FRAME_S = 300  # after which a frame loads itself again, with or without scripts
NOT_KNOWN = "not known yet"
THEMES = ("dark", "light", "auto")


@cached(())
@require_safe
def period_card(request: HttpRequest, period: str) -> HttpResponse:
    """Answer the revenue of the period until now as an image; 404 for another period."""
    if period not in OF_BUCKET:
        raise Http404(f"no card of a {period}")
    now, bucket = timezone.now(), Bucket(period)
    return known(request, (ledger_stamp(), now.date()), lambda: _image(_of_period(bucket, now)))


@cached(())
@require_safe
def thing_card(request: HttpRequest, kind: str, name: str) -> HttpResponse:
    """Answer what was paid for, by or on the thing as an image; 404 where there is no such thing."""
    if kind not in FOUND:
        raise Http404(f"no {kind} {name}")
    now = timezone.now()
    return known(request, stamp_of(kind, now), lambda: _image(_of_thing(kind, name, now)))


def _image(card: Card) -> HttpResponse:
    return HttpResponse(drawing.png(card), content_type="image/png")


def _of_period(bucket: Bucket, now: datetime) -> Card:
    today = now.date()
    shown = [today - timedelta(days=ago) for ago in reversed(range(DAYS))]
    days = [day for day in Period.containing(bucket, now).days() if day <= today]
    totals = Totals.load(min(shown[0], days[0]), today)
    sums = totals.of(days)
    bars = [totals.of([day]).revenue_sat for day in shown]
    title = f"Flux revenue {OF_BUCKET[bucket].this}"
    return Card(title, _figure(sums), _line(sums), _foot(f"bars: last {DAYS} days", now), bars, settings.DEMO)


def _of_thing(kind: str, name: str, now: datetime) -> Card:
    """Raise Http404 where there is no such thing."""
    thing = find(kind, name, now)
    if isinstance(thing, Unknown):
        raise Http404(f"no {kind} {name}")
    course = thing.course
    bars = [bar.sums.revenue_sat for bar in course.bars[-MONTHS:]] if course else []
    about = f"bars: by {course.unit}" if course else thing.noun.lower()
    title = f"{thing.noun} {thing.title}"
    return Card(title, _figure(thing.sums), _line(thing.sums), _foot(about, now), bars, settings.DEMO)


def _figure(sums: Sums) -> str:
    return NOT_KNOWN if sums.revenue_sat is None else f"{formatting.flux(sums.revenue_sat)} FLUX"


def _line(sums: Sums) -> str:
    if sums.payments is None:
        return ""
    payments = formatting.plural(sums.payments, "payment")
    return payments if sums.usd_micro is None else f"{formatting.usd(sums.usd_micro)} · {payments}"


def _foot(about: str, now: datetime) -> str:
    return f"Fluxtracker · {about} · as of {formatting.moment(now)}"


def framed(panel: Panel) -> Any:
    """Return the view of a panel that other sites may show in a frame."""

    @cached((*panel.keys, "theme"))
    @csp_replace({"frame-ancestors": ["*"]})
    @xframe_options_exempt
    @require_safe
    def frame(request: HttpRequest) -> HttpResponse:
        now = timezone.now()
        part = show(panel, request.GET, now)
        theme = request.GET.get("theme", "")
        context = {"part": part, "now": now, "theme": theme if theme in THEMES else THEMES[0]}
        response = render(request, "dashboard/embed.html", context)
        response.headers["Refresh"] = str(FRAME_S)
        return response

    return frame
