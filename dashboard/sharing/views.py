"""Serve content for other sites, without cookies: share cards, and each panel in a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

from csp.decorators import csp_replace
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe
from PIL import Image, ImageDraw, ImageFont

from dashboard.detail_pages.pages import Unknown
from dashboard.detail_pages.views import FOUND, find, stamp_of
from dashboard.feeds import known
from dashboard.panels.base import Panel, show
from dashboard.panels.periods import OF_BUCKET
from fluxtracker import formatting
from fluxtracker.periods import Bucket, Period
from fluxtracker.web.cache import cached
from revenue.period_totals import Sums, Totals
from revenue.selectors import ledger_stamp

DAYS = 30  # shown as bars on a card
MONTHS = 24
FRAME_S = 300  # after which a frame reloads itself, with or without scripts
NOT_KNOWN = "not known yet"
THEMES = ("dark", "light", "auto")


@cached(())
@require_safe
def period_card(request: HttpRequest, period: str) -> HttpResponse:
    """Serve the revenue of the period until now as an image; 404 for an unknown period."""
    if period not in OF_BUCKET:
        raise Http404(f"no card of a {period}")
    now, bucket = timezone.now(), Bucket(period)
    return known(request, (ledger_stamp(), now.date()), lambda: _image(_of_period(bucket, now)))


@cached(())
@require_safe
def thing_card(request: HttpRequest, kind: str, name: str) -> HttpResponse:
    """Serve the payments for, by or on the thing as an image; 404 if there is no such thing."""
    if kind not in FOUND:
        raise Http404(f"no {kind} {name}")
    now = timezone.now()
    return known(request, stamp_of(kind, now), lambda: _image(_of_thing(kind, name, now)))


def _image(card: Card) -> HttpResponse:
    return HttpResponse(png(card), content_type="image/png")


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
    """Return the card of a thing; Http404 if there is no such thing."""
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
    """Return the view of a panel that other sites may frame."""

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


SIZE = WIDTH, HEIGHT = 1200, 630
EDGE = 72
BACK, TEXT, MUTED, ACCENT, WARN = "#0c0914", "#ece6f8", "#b0a5c8", "#b794ff", "#fbbf66"
FIGURE, LINE, SMALL = 120, 40, 30  # font sizes
SMALLEST = 24  # longer text is cut
BARS_TOP, BARS_BOTTOM = 420, 550
GAP = 0.25  # between bars, as a share of a bar's slot
LEAST = 2  # minimum height, so that small payments are visible


@dataclass(frozen=True, slots=True)
class Card:
    """Content of a card. `bars`: None where not known; the last one may be incomplete."""

    title: str
    figure: str
    line: str
    foot: str
    bars: Sequence[int | None] = ()
    is_demo: bool = False


def png(card: Card) -> bytes:
    """Return the card as a PNG of 1200 by 630 pixels. Its font comes with Pillow, so no system file is read."""
    image = Image.new("RGB", SIZE, BACK)
    draw = ImageDraw.Draw(image)
    _text(draw, 64, card.title, LINE, MUTED)
    _text(draw, 120, card.figure, FIGURE, TEXT)
    _text(draw, 300, card.line, LINE, MUTED)
    _bars(draw, card.bars)
    _text(draw, 574, f"DEMO · {card.foot}" if card.is_demo else card.foot, SMALL, WARN if card.is_demo else MUTED)
    file = BytesIO()
    image.quantize(16).save(file, "PNG", optimize=True)
    return file.getvalue()


def _text(draw: ImageDraw.ImageDraw, top: int, text: str, size: int, colour: str) -> None:
    """Write one line, smaller if it is long, and cut if it would be too small to read."""
    while (font := ImageFont.load_default(size)).getlength(text) > WIDTH - 2 * EDGE:
        if size > SMALLEST:
            size -= 4
        else:
            text = text.rstrip("…")[:-1] + "…"
    draw.text((EDGE, top), text, colour, font)


def _bars(draw: ImageDraw.ImageDraw, values: Sequence[int | None]) -> None:
    most = max((value or 0 for value in values), default=0)
    if not most:
        return
    step = (WIDTH - 2 * EDGE) / len(values)
    for number, value in enumerate(values):
        if value:
            left = EDGE + number * step
            height = max((BARS_BOTTOM - BARS_TOP) * value / most, LEAST)
            draw.rectangle((left, BARS_BOTTOM - height, left + step * (1 - GAP), BARS_BOTTOM), ACCENT)
    draw.line((EDGE, BARS_BOTTOM, WIDTH - EDGE, BARS_BOTTOM), MUTED)
