"""The network in the Django admin: operators say what is tracked; what was read is to look at."""

from __future__ import annotations

import json

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from fluxtracker import figures
from fluxtracker.admin import UNKNOWN, AnyModelAdmin, LargeTableAdmin, ReadOnlyAdmin
from metrics.forms import CategoryForm, TrackedAppForm
from metrics.models import Category, ImageCount, Memory, Reading, Source, TrackedApp


@admin.register(TrackedApp)
class TrackedAppAdmin(AnyModelAdmin):
    """Counted from the next collection on, with history under its key from then."""

    form = TrackedAppForm
    list_display = ("name", "key", "category", "active", "images", "names", "changed_at")
    list_filter = ("category", "active")
    search_fields = ("name", "key")
    ordering = ("category", "name")
    show_facets = admin.ShowFacets.NEVER

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
        "name", "read_at", "tried_at", "failures", "error", "size", "implausible_since", "values_told", "coverage_told",
    )  # fmt: skip

    @admin.display(description="in order", boolean=True)
    def well(self, source: Source) -> bool:
        return not source.error and source.read_at is not None

    @admin.display(description="values", empty_value=UNKNOWN)
    def values_told(self, source: Source) -> SafeString | None:
        return pretty(source.values)

    @admin.display(description="coverage", empty_value=UNKNOWN)
    def coverage_told(self, source: Source) -> SafeString | None:
        return pretty(source.coverage)


@admin.register(Reading)
class ReadingAdmin(LargeTableAdmin):
    list_display = ("at", "nodes", "containers", "cores", "price")
    ordering = ("-at",)
    sortable_by = ("at",)
    fields = ("at", "values_told")

    @admin.display(description="nodes", empty_value=UNKNOWN)
    def nodes(self, reading: Reading) -> str | None:
        return shown(reading, "node_total")

    @admin.display(description="containers", empty_value=UNKNOWN)
    def containers(self, reading: Reading) -> str | None:
        return shown(reading, "total_apps")

    @admin.display(description="cores", empty_value=UNKNOWN)
    def cores(self, reading: Reading) -> str | None:
        return shown(reading, "total_cpu_cores")

    @admin.display(description="USD for 1 FLUX", empty_value=UNKNOWN)
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


def pretty(data: object) -> SafeString | None:
    """JSON for people; None when there is none."""
    return None if data is None else format_html("<pre>{}</pre>", json.dumps(data, indent=1, sort_keys=True))
