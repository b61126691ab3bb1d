"""The network in the Django admin: operators say what is tracked; what was read is to look at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from fluxtracker import figures
from fluxtracker.admin import UNKNOWN, AnyModelAdmin, LargeTableAdmin, ReadOnlyAdmin, pretty, told
from fluxtracker.images import image_part
from metrics import preview
from metrics.forms import PATTERNS, CategoryForm, TrackedAppForm
from metrics.models import Category, ImageCount, Memory, Reading, Source, TrackedApp


@admin.register(TrackedApp)
class TrackedAppAdmin(AnyModelAdmin):
    """Counted from the next collection on, with history under its key from then."""

    form = TrackedAppForm
    change_form_template = "admin/metrics/trackedapp/change_form.html"
    list_display = ("name", "key", "category", "active", "images", "names", "changed_at")
    list_filter = ("category", "active")
    search_fields = ("name", "key")
    ordering = ("category", "name")
    show_facets = admin.ShowFacets.NEVER

    def get_urls(self) -> list[URLPattern]:
        show = self.admin_site.admin_view(require_POST(self.preview))
        return [path("preview/", show, name="metrics_trackedapp_preview"), *super().get_urls()]

    def preview(self, request: HttpRequest) -> HttpResponse:
        """What the form as it stands would count; saves nothing."""
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        form = TrackedAppForm(request.POST, instance=_edited(request))
        form.is_valid()
        wrong = {name: form.errors[name] for name in PATTERNS if name in form.errors}
        found = None if wrong else preview.preview(form.instance, timezone.now())
        parts = {"preview": found, "wrong": wrong, "most": preview.MOST_SHOWN}
        if request.headers.get("HX-Request"):
            return TemplateResponse(request, "admin/metrics/trackedapp/preview.html", parts)
        context = {**self.admin_site.each_context(request), "title": "What would be counted", **parts}
        return TemplateResponse(request, "admin/metrics/trackedapp/preview_page.html", context)

    @admin.display(description="images")
    def images(self, app: TrackedApp) -> str:
        return ", ".join(app.image_patterns) or UNKNOWN

    @admin.display(description="app names")
    def names(self, app: TrackedApp) -> str:
        return ", ".join(app.name_patterns) or UNKNOWN


@admin.register(Category)
class CategoryAdmin(AnyModelAdmin):
    """What belongs to a category beyond its tracked apps."""

    form = CategoryForm
    list_display = ("__str__", "order", "keywords", "changed_at")
    ordering = ("order",)
    show_facets = admin.ShowFacets.NEVER

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Category | None = None) -> bool:
        return False

    @admin.display(description="keywords")
    def keywords(self, category: Category) -> int:
        return len(category.image_keywords)


@admin.register(Source)
class SourceAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "read_at", "tried_at", "well", "failures", "error", "size")
    ordering = ("name",)
    fields = (
        "name", "read_at", "tried_at", "failures", "error", "size", "implausible_since", "doubted_told", "values_told",
        "coverage_told",
    )  # fmt: skip

    @admin.display(description="in order", boolean=True)
    def well(self, source: Source) -> bool:
        return not source.error and source.read_at is not None

    @told("in doubt")
    def doubted_told(self, source: Source) -> SafeString | None:
        return pretty(source.doubted)

    @told("values")
    def values_told(self, source: Source) -> SafeString | None:
        return pretty(source.values)

    @told("coverage")
    def coverage_told(self, source: Source) -> SafeString | None:
        return pretty(source.coverage)


@admin.register(Reading)
class ReadingAdmin(LargeTableAdmin):
    list_display = ("at", "nodes", "containers", "cores", "price")
    ordering = ("-at",)
    sortable_by = ("at",)
    fields = ("at", "values_told")

    @told("nodes")
    def nodes(self, reading: Reading) -> str | None:
        return shown(reading, "node_total")

    @told("containers")
    def containers(self, reading: Reading) -> str | None:
        return shown(reading, "total_apps")

    @told("cores")
    def cores(self, reading: Reading) -> str | None:
        return shown(reading, "total_cpu_cores")

    @told("USD for 1 FLUX")
    def price(self, reading: Reading) -> str | None:
        value = reading.values.get("flux_price_usd")
        return None if value is None else f"{value:g}"

    @admin.display(description="values")
    def values_told(self, reading: Reading) -> SafeString | None:
        return pretty(reading.values)


@admin.register(ImageCount)
class ImageCountAdmin(LargeTableAdmin):
    list_display = ("image", "category", "count")
    list_filter = ("category",)
    search_fields = ("image",)
    ordering = ("-count", "image")
    sortable_by = ()

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return super().get_search_results(request, queryset, image_part(search_term)[0] or search_term)


@admin.register(Memory)
class MemoryAdmin(ReadOnlyAdmin):
    list_display = ("name", "updated_at", "size")
    ordering = ("name",)
    fields = ("name", "updated_at", "size")

    @admin.display(description="bytes, compressed")
    def size(self, memory: Memory) -> str:
        return figures.whole(len(memory.data))


def shown(reading: Reading, key: str) -> str | None:
    value = reading.values.get(key)
    return None if value is None else figures.whole(round(value))


def _edited(request: HttpRequest) -> TrackedApp | None:
    """The row that is being edited; None for a new one."""
    text = request.GET.get("app", "")
    known = text.isascii() and text.isdecimal() and len(text) < 10
    return TrackedApp.objects.filter(pk=int(text)).first() if known else None
