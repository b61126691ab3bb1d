"""Serve badges, Atom feeds and files for crawlers and browsers: public, without cookies, with an ETag."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.contrib.syndication.views import Feed
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.feedgenerator import Atom1Feed
from django.views.decorators.http import require_safe

from dashboard.status_page import LOOKED_BACK, Incident, incidents
from fluxtracker import formatting
from fluxtracker.api.conditional import make_etag
from fluxtracker.periods import DAY, Bucket, Period, midnight
from fluxtracker.web.cache import cached
from revenue.models import App, Payment
from revenue.period_totals import DayReport, Totals
from revenue.selectors import ledger_stamp

PERIODS: Mapping[str, tuple[Bucket, str]] = {
    "today": (Bucket.DAY, "today"),
    "week": (Bucket.WEEK, "this week"),
    "month": (Bucket.MONTH, "this month"),
}
MAX_AGE_S = 60
BADGE_AGE_S = 300  # shields.io asks no more often
FEED_DAYS, FEED_PAYMENTS, MAP_APPS = 30, 50, 5000
ACCENT, GREY = "#7c3aed", "#555555"
LETTER, PAD = 7, 10  # width of a letter on a badge, and padding on both sides


def known(request: HttpRequest, stamp: object, make: Callable[[], HttpResponse]) -> HttpResponse:
    """Return 304 to a client that has this stamp, else the response of `make`."""
    etag = make_etag(request.build_absolute_uri(request.path), settings.DEMO, stamp)
    response: HttpResponse = get_conditional_response(request, etag=etag) or make()
    response.headers["ETag"] = etag
    patch_cache_control(response, public=True, max_age=MAX_AGE_S)
    return response


@cached(())
@require_safe
def badge(request: HttpRequest, period: str, kind: str) -> HttpResponse:
    """Serve the revenue of a period as a badge, or as JSON for shields.io; 404 for an unknown period."""
    if period not in PERIODS or kind not in ("svg", "json"):
        raise Http404(f"no badge {period}.{kind}")
    now = timezone.now()
    return known(request, (ledger_stamp(), now.date()), lambda: _badge(period, kind, now))


def _badge(period: str, kind: str, now: datetime) -> HttpResponse:
    bucket, when = PERIODS[period]
    days = [day for day in Period.containing(bucket, now).days() if day <= now.date()]
    sat = Totals.load(days[0], days[-1]).of(days).revenue_sat
    label = f"{'demo: ' if settings.DEMO else ''}Flux revenue {when}"
    message = "unknown" if sat is None else f"{formatting.flux(sat)} FLUX"
    colour = GREY if sat is None else ACCENT
    if kind == "json":
        data = {"schemaVersion": 1, "label": label, "message": message, "color": colour, "cacheSeconds": BADGE_AGE_S}
        return JsonResponse(data)
    left, right = (len(text) * LETTER + 2 * PAD for text in (label, message))
    context = {
        "label": label, "message": message, "colour": colour, "left": left, "right": right, "width": left + right,
        "label_at": left / 2, "message_at": left + right / 2,
    }  # fmt: skip
    return HttpResponse(render_to_string("dashboard/badge.svg", context), content_type="image/svg+xml")


class Atom(Feed):  # type: ignore[type-arg]  # cannot be subscripted when it runs
    """An Atom feed whose items have permanent links and ids."""

    feed_type = Atom1Feed
    author_name = "Fluxtracker"

    def items(self, feed: Any) -> Any:
        return feed["items"]

    def get_object(self, request: HttpRequest, **kwargs: Any) -> Any:
        return kwargs

    def title(self, feed: Any) -> str:
        return f"{'DEMO ' if settings.DEMO else ''}{feed['title']}"

    def link(self, feed: Any) -> str:
        return str(feed["link"])

    def item_description(self, item: Any) -> str:
        return self.item_title(item)


class RevenueFeed(Atom):
    """Complete days with their revenue."""

    def item_title(self, item: DayReport) -> str:
        sums = item.sums
        payments = formatting.plural(sums.payments or 0, "payment")
        return f"{formatting.day(item.day)}: {formatting.flux(sums.revenue_sat or 0)} FLUX, {payments}"

    def item_link(self, item: DayReport) -> str:
        return reverse("dashboard:day", args=[item.day.isoformat()])

    def item_updateddate(self, item: DayReport) -> datetime:
        return midnight(item.day + DAY)


class AlertsFeed(Atom):
    """Past problems, without the messages sent to operators."""

    def item_title(self, item: Incident) -> str:
        return f"{item.title} ({f'over after {item.lasted}' if item.until else 'still open'})"

    def item_link(self, item: Incident) -> str:
        return f"{reverse('dashboard:status')}#incident-{item.pk}"

    def item_updateddate(self, item: Incident) -> datetime:
        return item.until or item.since


class AppFeed(Atom):
    """The newest payments of an app."""

    def item_title(self, item: Payment) -> str:
        return f"{formatting.flux(item.amount_sat)} FLUX on {formatting.moment(item.paid_at)}"

    def item_link(self, item: Payment) -> str:
        output = "" if item.vout is None else f"#{item.vout}"
        return f"{reverse('dashboard:tx', args=[item.txid])}{output}"

    def item_updateddate(self, item: Payment) -> datetime:
        return item.paid_at


def _feed(feed: Atom, request: HttpRequest, title: str, link: str, items: list[Any]) -> HttpResponse:
    return feed(request, title=title, link=link, items=items)


@cached(())
@require_safe
def revenue_feed(request: HttpRequest) -> HttpResponse:
    """Serve the revenue of each of the last 30 complete days."""
    now = timezone.now()
    link = reverse("dashboard:home")
    return known(
        request,
        (ledger_stamp(), now.date()),
        lambda: _feed(RevenueFeed(), request, "Flux revenue by day", link, list(complete_days(now))),
    )


def complete_days(now: datetime) -> Iterator[DayReport]:
    """Yield the complete days of the last 30 past ones, newest first."""
    days: list[date] = [now.date() - DAY * number for number in range(1, FEED_DAYS + 1)]
    totals = Totals.load(days[-1], days[0])
    reports = (totals.day(day, now) for day in days)
    return (report for report in reports if report.complete and report.sums.revenue_sat is not None)


@cached(())
@require_safe
def alerts_feed(request: HttpRequest) -> HttpResponse:
    """Serve the incidents of the last 90 days."""
    items = incidents(timezone.now())
    title, link = f"Fluxtracker incidents of {LOOKED_BACK.days} days", reverse("dashboard:status")
    return known(request, items, lambda: _feed(AlertsFeed(), request, title, link, items))


@cached(())
@require_safe
def app_feed(request: HttpRequest, name: str) -> HttpResponse:
    """Serve the newest payments of an app; 404 if it has none."""
    app = App.objects.filter(name=name, payments__gt=0).first()
    if app is None:
        raise Http404("no payment of this app is known")
    link = reverse("dashboard:app", args=[name])
    return known(
        request,
        ledger_stamp(),
        lambda: _feed(AppFeed(), request, f"Payments for {name}", link, _payments_of(app)),
    )


def _payments_of(app: App) -> list[Payment]:
    return list(Payment.objects.filter(app=app).order_by("-paid_at", "-id")[:FEED_PAYMENTS])


@cached(())
@require_safe
def sitemap(request: HttpRequest) -> HttpResponse:
    """Serve the URLs of the pages, and of the apps with most revenue."""
    now = timezone.now()

    def make() -> HttpResponse:
        pages = [reverse(f"dashboard:{name}") for name in ("home", "data", "status")]
        names = App.objects.filter(payments__gt=0).order_by("-revenue_sat", "name")
        apps = [reverse("dashboard:app", args=[name]) for name in names.values_list("name", flat=True)[:MAP_APPS]]
        urls = [request.build_absolute_uri(path) for path in (*pages, reverse("reports:index"), *apps)]
        return render(request, "dashboard/sitemap.xml", {"urls": urls}, content_type="application/xml")

    return known(request, (ledger_stamp(), now.date()), make)


@cached(())
@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """Allow crawlers to read the pages, but nothing of a demo."""
    closed = [""] if settings.DEMO else ["admin", "api", "export", "panels"]
    lines = ["User-agent: *", *(f"Disallow: {reverse('dashboard:home')}{folder}" for folder in closed)]
    lines.append(f"Sitemap: {request.build_absolute_uri(reverse('dashboard:sitemap'))}")
    return known(request, None, lambda: HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8"))


@cached(())
@require_safe
def manifest(request: HttpRequest) -> HttpResponse:
    """Describe the page to browsers that install it."""
    data = {
        "name": f"Fluxtracker{' (demo)' if settings.DEMO else ''}",
        "short_name": "Fluxtracker",
        "description": "What the Flux network earns, live.",
        "start_url": reverse("dashboard:home"),
        "display": "standalone",
        "background_color": "#0c0914",
        "theme_color": "#0c0914",
        "icons": [{"src": static("img/favicon.svg"), "sizes": "any", "type": "image/svg+xml"}],
    }
    return known(request, data, lambda: JsonResponse(data, content_type="application/manifest+json"))
