"""Show snapshots, image counts and reasons for missing days in the admin, with the calendar of a year."""

from __future__ import annotations

from datetime import MINYEAR
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from fluxtracker import formatting
from fluxtracker.admin import UNKNOWN, LargeTableAdmin, ReadOnlyAdmin, column, list_link, user_of
from fluxtracker.images import image_name
from fluxtracker.timestamps import parse_day
from revenue.models import DailyTotal, LedgerState
from snapshots import calendar
from snapshots.models import ImageDay, Refusal, Snapshot
from snapshots.status import missing_days


def _year(text: str | None, current: int) -> int:
    """Return the year asked for; this one for what is none."""
    if text and text.isascii() and text.isdecimal() and MINYEAR < int(text[:5]) <= current:
        return int(text[:5])
    return current


MOST_SHOWN = 5  # missing days with their reasons; the API tells all


class SnapshotList(ChangeList):
    """A page of days, which knows once for all of them how far the ledger goes."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        ledger = LedgerState.known()
        self.result_list = list(self.result_list)
        for row in self.result_list:
            row.ledger = ledger


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    list_display = ("day", "made", "nodes", "apps", "cores", "ram", "storage", "revenue", "images", "story")
    list_filter = ("source", "day")
    ordering = ("-day",)
    sortable_by = ("day", "nodes", "apps")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SnapshotList

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("calendar/", wrap(self.calendar_view), name="snapshots_snapshot_calendar"),
            path("day/<slug:day>/", wrap(self.day_view), name="snapshots_snapshot_day"),
        ]
        return [*own, *super().get_urls()]

    def calendar_view(self, request: HttpRequest) -> HttpResponse:
        self._require_view(request)
        now = timezone.now()
        year = calendar.load_year(_year(request.GET.get("year"), now.year), now)
        return self._page(request, "calendar", f"Snapshots of {year.year}", {"year": year, "today": now.date()})

    def day_view(self, request: HttpRequest, day: str) -> HttpResponse:
        self._require_view(request)
        now, found = timezone.now(), parse_day(day)
        if found is None or found > now.date():
            raise Http404(f"{day} is no day of the past")
        story = calendar.load_day(found, now)
        sat, price = story["revenue_sat"], story["price"] and story["price"].price_usd
        context = {
            "story": story,
            "revenue": UNKNOWN if sat is None else formatting.flux(sat),
            "price": formatting.price(price) if price else UNKNOWN,
            "images": list_link(ImageDay, formatting.plural(story["images"], "image"), day=found.isoformat()),
            "may_see_runs": user_of(request).has_perm("ops.view_taskrun"),
        }
        return self._page(request, "day", f"{found:%A}, {found.day} {found:%B %Y}", context)

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _page(self, request: HttpRequest, name: str, title: str, found: dict[str, Any]) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": title, **found}
        return TemplateResponse(request, f"admin/snapshots/{name}.html", context)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Snapshot]:
        """Add the ledger's total of each day."""
        of_day = DailyTotal.objects.filter(day=OuterRef("day")).order_by().values("day")
        earned = Subquery(of_day.annotate(sat=Sum("revenue_sat")).values("sat"))
        rows: QuerySet[Snapshot] = super().get_queryset(request).annotate(earned_sat=earned)
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Return the list, and above it the days of the last 30 that are not in it."""
        if words := gaps_in_words(missing_days(timezone.now())):
            messages.warning(request, words)
        return super().changelist_view(request, extra_context)

    @admin.display(description="source", ordering="source")
    def made(self, row: Snapshot) -> str:
        """Return the source in one word; the filter beside the list has it in full."""
        return row.source

    @admin.display(description="FLUX")
    def revenue(self, row: Snapshot) -> str:
        sat: int | None = getattr(row, "earned_sat", None)
        if sat is None and (getattr(row, "ledger", None) or LedgerState.known()).knows(row.day):
            sat = 0
        return UNKNOWN if sat is None else formatting.flux(sat)

    nodes = column("nodes", lambda row: _whole(row.node_total), ordering="node_total")
    apps = column("containers", lambda row: _whole(row.total_apps), ordering="total_apps")
    cores = column("cores", lambda row: _whole(row.total_cpu_cores))
    ram = column("RAM, GB", lambda row: _whole(row.total_ram_gb))
    storage = column("storage, GB", lambda row: _whole(row.total_storage_gb))
    images = column("images", lambda row: list_link(ImageDay, "images", day=row.day.isoformat()))

    @admin.display(description="what made it")
    def story(self, row: Snapshot) -> SafeString:
        url = reverse("admin:snapshots_snapshot_day", args=[row.day.isoformat()])
        return format_html('<a href="{}">story</a>', url)


@admin.register(ImageDay)
class ImageDayAdmin(LargeTableAdmin):
    list_display = ("day", "image", "category", "count")
    list_display_links = ("image",)
    list_filter = ("category",)
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("image__exact",)
    search_help_text = "The whole name of an image."

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return super().get_search_results(request, queryset, image_name(search_term) or search_term)


admin.site.register(
    Refusal, ReadOnlyAdmin, list_display=("day", "reason", "attempts", "last_at"), ordering=("-day",)
)  # fmt: skip


def gaps_in_words(missing: list[dict[str, Any]]) -> str:
    """Return which days have no snapshot and why; empty when none is missing."""
    if not missing:
        return ""
    shown = "; ".join(f"{gap['date']}: {gap['reason']}" for gap in missing[:MOST_SHOWN])
    more = f"; and {len(missing) - MOST_SHOWN} more" if len(missing) > MOST_SHOWN else ""
    return f"Without a snapshot: {shown}{more}."


def _whole(number: float | None) -> str | None:
    return None if number is None else formatting.whole(round(number))
