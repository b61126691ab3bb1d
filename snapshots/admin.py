"""Show snapshots, image counts and reasons for missing days in the admin, with the calendar of a year."""

from __future__ import annotations

from calendar import Calendar
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import MINYEAR, date, datetime
from typing import Any, Literal, cast

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Max, Min, OuterRef, QuerySet, Subquery, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from fluxtracker import formatting
from fluxtracker.admin import UNKNOWN, LargeTableAdmin, ReadOnlyAdmin, column, list_link, user_of
from fluxtracker.images import image_name
from fluxtracker.periods import DAY, Span, midnight
from fluxtracker.timestamps import parse_day
from ops.models import TaskRun
from revenue.models import DailyPrice, DailyTotal, LedgerState
from revenue.period_totals import Totals
from snapshots.models import ImageDay, Refusal, Snapshot
from snapshots.selectors import Gap, gaps, last_due
from snapshots.status import missing_days
from snapshots.take import COLUMNS


def _year(text: str | None, current: int) -> int:
    """Return the requested year, or this year if invalid."""
    if text and text.isascii() and text.isdecimal() and MINYEAR < int(text[:5]) <= current:
        return int(text[:5])
    return current


MOST_SHOWN = 5  # missing days with their reasons; the API lists all


class SnapshotList(ChangeList):
    """A page of days that reads the ledger's state once for all of them."""

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
        year = load_year(_year(request.GET.get("year"), now.year), now)
        return self._page(request, "calendar", f"Snapshots of {year.year}", {"year": year, "today": now.date()})

    def day_view(self, request: HttpRequest, day: str) -> HttpResponse:
        self._require_view(request)
        now, parsed = timezone.now(), parse_day(day)
        if parsed is None or parsed > now.date():
            raise Http404(f"{day} is not a past day")
        story = load_day(parsed, now)
        sat, price = story["revenue_sat"], story["price"] and story["price"].price_usd
        context = {
            "story": story,
            "revenue": UNKNOWN if sat is None else formatting.flux(sat),
            "price": formatting.price(price) if price else UNKNOWN,
            "images": list_link(ImageDay, formatting.plural(story["images"], "image"), day=parsed.isoformat()),
            "may_see_runs": user_of(request).has_perm("ops.view_taskrun"),
        }
        return self._page(request, "day", f"{parsed:%A}, {parsed.day} {parsed:%B %Y}", context)

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _page(self, request: HttpRequest, name: str, title: str, extra: dict[str, Any]) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": title, **extra}
        return TemplateResponse(request, f"admin/snapshots/{name}.html", context)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Snapshot]:
        """Add the ledger's total of each day."""
        of_day = DailyTotal.objects.filter(day=OuterRef("day")).order_by().values("day")
        earned = Subquery(of_day.annotate(sat=Sum("revenue_sat")).values("sat"))
        rows: QuerySet[Snapshot] = super().get_queryset(request).annotate(earned_sat=earned)
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Return the list, headed by the missing days of the last 30."""
        if words := gaps_in_words(missing_days(timezone.now())):
            messages.warning(request, words)
        return super().changelist_view(request, extra_context)

    @admin.display(description="source", ordering="source")
    def made(self, row: Snapshot) -> str:
        """Return the source in one word; the filter spells it out."""
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
    """Return which days have no snapshot and why, empty if none is missing."""
    if not missing:
        return ""
    shown = "; ".join(f"{gap['date']}: {gap['reason']}" for gap in missing[:MOST_SHOWN])
    more = f"; and {len(missing) - MOST_SHOWN} more" if len(missing) > MOST_SHOWN else ""
    return f"Without a snapshot: {shown}{more}."


def _whole(number: float | None) -> str | None:
    return None if number is None else formatting.whole(round(number))


State = Literal["taken", "backfilled", "import", "simulated", "missing", "due", "before", "ahead"]

LETTERS: dict[State, str] = {
    "taken": "T", "backfilled": "B", "import": "I", "simulated": "S", "missing": "×", "due": "…",
}  # fmt: skip
WORDS: dict[State, str] = {
    "taken": "taken",
    "backfilled": "made later, from the ledger and the history of node counts",
    "import": "from the tracker that was replaced",
    "simulated": "simulated",
    "missing": "missing",
    "due": "not due yet",
    "before": "before the first snapshot",
    "ahead": "to come",
}


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the calendar. `reason`: why it is missing, empty for other days."""

    day: date
    state: State
    reason: str = ""

    @property
    def letter(self) -> str:
        return LETTERS.get(self.state, "")

    @property
    def words(self) -> str:
        return f"{WORDS[self.state]}: {self.reason}" if self.reason else WORDS[self.state]

    @property
    def has_story(self) -> bool:
        """Return whether the day has details, as all days within the history do."""
        return self.state not in ("before", "ahead")


@dataclass(frozen=True, slots=True)
class Year:
    """A year of the calendar. `before` and `after`: the nearest years with days, None at the ends."""

    year: int
    months: list[tuple[date, list[list[Day | None]]]]
    """The first of each month and its weeks from Monday; None is a day of another month."""
    missing: list[Day]
    counts: list[tuple[State, str, str, int]]
    """State, letter, words and how many days; only those that there are."""
    before: int | None
    after: int | None


def load_year(year: int, now: datetime) -> Year:
    """Load the year in at most three queries."""
    ends = Snapshot.objects.aggregate(first=Min("day"), last=Max("day"))
    oldest = ends["first"] or now.date()
    rows = Snapshot.objects.filter(day__year=year).order_by("day").values_list("day", "source")
    sources = {day: cast("State", source) for day, source in rows}
    whole = Span(date(year, 1, 1), date(year, 12, 31))
    lost = {gap.day: gap for gap in gaps(sources, max(whole.first, oldest), min(whole.last, now.date()), now)}
    days = {day: _day(day, sources, lost, oldest, now) for day in whole.days()}
    return Year(
        year,
        [(date(year, month, 1), _weeks(year, month, days)) for month in range(1, 13)],
        [day for day in days.values() if day.state == "missing"],
        _counts(days),
        year - 1 if oldest.year < year else None,
        year + 1 if year < now.year else None,
    )


def _day(day: date, sources: Mapping[date, State], lost: Mapping[date, Gap], oldest: date, now: datetime) -> Day:
    if day in sources:
        return Day(day, sources[day])
    if day in lost:
        return Day(day, "missing", lost[day].reason)
    if day > now.date():
        return Day(day, "ahead")
    return Day(day, "due" if day > last_due(now) else "before")


def _weeks(year: int, month: int, days: Mapping[date, Day]) -> list[list[Day | None]]:
    weeks = Calendar().monthdatescalendar(year, month)
    return [[days[day] if day.month == month else None for day in week] for week in weeks]


def _counts(days: Mapping[date, Day]) -> list[tuple[State, str, str, int]]:
    count = Counter(day.state for day in days.values())
    return [(state, letter, WORDS[state], count[state]) for state, letter in LETTERS.items() if count[state]]


WRITERS = ("take_snapshot", "check_snapshot", "backfill_snapshots")
MOST_RUNS = 20


def load_day(day: date, now: datetime) -> dict[str, Any]:
    """Return everything known about a day. At most nine queries.

    `made_by` is None if the run's record is gone, or if an import or the demo made the day.
    """
    row = Snapshot.objects.filter(day=day).first()
    missing = [] if row else gaps([], day, day, now)
    return {
        "day": day,
        "snapshot": row,
        "reason": missing[0].reason if missing else "",
        "made_by": _made_by(row) if row else None,
        "unknown": sorted(column.key for column in COLUMNS if row and getattr(row, column.key) is None),
        "refusal": Refusal.objects.filter(day=day).first(),
        "runs": _runs(day),
        "revenue_sat": Totals.load(day, day).of([day]).revenue_sat,
        "price": DailyPrice.objects.filter(day=day).first(),
        "images": ImageDay.objects.filter(day=day).count(),
        "before": day - DAY,
        "after": day + DAY if day < now.date() else None,
    }


def _made_by(row: Snapshot) -> TaskRun | None:
    at_work = TaskRun.objects.filter(name__in=WRITERS, started_at__lte=row.made_at, finished_at__gte=row.made_at)
    return at_work.order_by("-started_at").first()


def _runs(day: date) -> list[TaskRun]:
    """Return the day's runs that made something or failed, newest first; most checks have nothing to do."""
    span = TaskRun.objects.filter(name__in=WRITERS, started_at__gte=midnight(day), started_at__lt=midnight(day + DAY))
    runs = [run for run in span.order_by("-started_at") if not run.ok or (run.report or {}).get("created")]
    return runs[:MOST_RUNS]
