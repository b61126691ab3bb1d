"""Manage tracked apps and categories in the admin, with a preview of what they would count."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_POST

from fluxtracker import formatting
from fluxtracker.admin import UNKNOWN, AnyModelAdmin, LargeTableAdmin, ReadOnlyAdmin, column, readable
from fluxtracker.images import image_name, image_part, image_reference
from metrics.games_and_crypto_nodes import AppIndex, Classifier
from metrics.metric_keys import past_counts
from metrics.models import (
    RESERVED_KEYS,
    Category,
    CensusDay,
    DeploymentTerms,
    ImageCount,
    InstanceChange,
    Memory,
    NodeChange,
    Reading,
    RunningApp,
    Source,
    TrackedApp,
)
from metrics.sources import SPECS, recall

if TYPE_CHECKING:
    AppModelForm = forms.ModelForm[TrackedApp]
    CategoryModelForm = forms.ModelForm[Category]
else:  # generic in the type stubs only
    AppModelForm = CategoryModelForm = forms.ModelForm


PATTERNS = ("image_patterns", "name_patterns")


class Lines(forms.CharField):
    """A list of short texts, one per line."""

    widget = forms.Textarea(attrs={"rows": 6, "cols": 60})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return list(dict.fromkeys(filter(None, map(str.strip, str(value or "").splitlines()))))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(self.prepare_value(initial)) != self.to_python(data))


class TrackedAppForm(AppModelForm):
    image_patterns = Lines(required=False, help_text="Parts of an image, one per line, such as itzg/minecraft-server.")
    name_patterns = Lines(
        required=False,
        help_text="App names for images that are not public, one per line: `palworld` is palworld and 13 or more "
        "digits, `presearchnode*` every name that begins so.",
    )

    class Meta:
        model = TrackedApp
        fields = ("name", "key", "category", "image_patterns", "name_patterns", "active")

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"]
        if key in RESERVED_KEYS:
            raise forms.ValidationError(f"{', '.join(RESERVED_KEYS)} are names of totals; choose another key")
        return key

    def clean(self) -> dict[str, Any]:
        """Reject an active app without patterns: it would always count 0."""
        given: dict[str, Any] = super().clean() or {}
        if not self.errors and given["active"] and not any(given[name] for name in PATTERNS):
            raise forms.ValidationError("an active app needs at least one pattern, of images or of app names")
        return given


class CategoryForm(CategoryModelForm):
    image_keywords = Lines(required=False, help_text="Parts of an image, one per line.")
    name_patterns = Lines(required=False, help_text="App names for images that are not public, one per line.")

    class Meta:
        model = Category
        fields = ("image_keywords", "name_patterns")


MOST_SHOWN = 30  # images, and app names


@dataclass(frozen=True, slots=True)
class Image:
    """A matching image. `also`: other tracked apps that count it too."""

    name: str
    count: int
    also: list[str]


@dataclass(frozen=True, slots=True)
class PastDay:
    """`fitting`: containers of matching images; `counted`: the count under the app's key. None: not known."""

    day: date
    fitting: int | None
    counted: int | None


@dataclass(frozen=True, slots=True)
class Preview:
    """`names` are apps without a public image, None without app specifications from the last 24 hours.

    `images` is None before the first collection.
    """

    has_patterns: bool
    images: list[Image] | None
    containers: int
    names: list[str] | None
    past: list[PastDay]
    excluded: list[str]
    has_tags: bool

    @property
    def images_more(self) -> int:
        return max(len(self.images or ()) - MOST_SHOWN, 0)

    @property
    def names_more(self) -> int:
        return max(len(self.names or ()) - MOST_SHOWN, 0)


def preview(app: TrackedApp, now: datetime) -> Preview:
    """Return counts as a collection would, with the patterns of `app`, saved or not. At most eight queries."""
    others = list(TrackedApp.objects.filter(active=True).exclude(pk=app.pk))
    names = {(other.category, other.key): other.name for other in others}
    edited = TrackedApp(
        category=app.category, key=app.key, image_patterns=app.image_patterns, name_patterns=app.name_patterns
    )
    rules = Classifier([edited, *others], Category.objects.all())
    ours = (app.category, app.key)

    def fits(image: str) -> bool:
        return ours in rules.by_image(image).tracked

    now_running = list(ImageCount.objects.order_by("-count", "image"))
    images = [
        Image(row.image, row.count, sorted(names[pair] for pair in rules.by_image(row.image).tracked - {ours}))
        for row in now_running
        if fits(row.image)
    ]
    return Preview(
        has_patterns=bool(edited.image_patterns or edited.name_patterns),
        images=images if now_running else None,
        containers=sum(image.count for image in images),
        names=_names(rules, ours, now),
        past=_past(fits, app.column, now),
        excluded=_excluded(edited, (row.image for row in now_running), fits),
        has_tags=any(image_reference(pattern) != image_name(pattern) for pattern in app.image_patterns),
    )


def _names(rules: Classifier, ours: tuple[str, str], now: datetime) -> list[str] | None:
    """Return the apps without a public image that would count by name."""
    known = recall(SPECS, now)
    if known is None:
        return None
    return [name for name in AppIndex.load(known[0]).unseen() if ours in rules.by_name(name, "").tracked]


def _excluded(app: TrackedApp, images: Iterable[str], fits: Callable[[str], bool]) -> list[str]:
    """Return images that match the patterns but are excluded by a category's rule."""
    alone = Classifier([app], [])
    return [image for image in images if alone.by_image(image).tracked and not fits(image)]


def _past(fits: Callable[[str], bool], column: str, now: datetime) -> list[PastDay]:
    return [PastDay(*row) for counts in past_counts for row in counts(fits, column, now.date())]


@admin.register(TrackedApp)
class TrackedAppAdmin(AnyModelAdmin):
    """Counted, with history under its key, from the next collection on."""

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
        """Show what the unsaved form would count."""
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        form = TrackedAppForm(request.POST, instance=_edited(request))
        form.is_valid()
        wrong = {name: form.errors[name] for name in PATTERNS if name in form.errors}
        images = None if wrong else preview(form.instance, timezone.now())
        parts = {"preview": images, "wrong": wrong, "most": MOST_SHOWN}
        if request.headers.get("HX-Request"):
            return TemplateResponse(request, "admin/metrics/trackedapp/preview.html", parts)
        context = {**self.admin_site.each_context(request), "title": "What would be counted", **parts}
        return TemplateResponse(request, "admin/metrics/trackedapp/preview_page.html", context)

    images = column("images", lambda app: ", ".join(app.image_patterns) or UNKNOWN)
    names = column("app names", lambda app: ", ".join(app.name_patterns) or UNKNOWN)


@admin.register(Category)
class CategoryAdmin(AnyModelAdmin):
    """Images and names of a category beyond its tracked apps."""

    form = CategoryForm
    list_display = ("__str__", "order", "keywords", "changed_at")
    ordering = ("order",)
    show_facets = admin.ShowFacets.NEVER

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Category | None = None) -> bool:
        return False

    keywords = column("keywords", lambda category: len(category.image_keywords))


@admin.register(Source)
class SourceAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "read_at", "tried_at", "well", "failures", "error", "size")
    ordering = ("name",)
    fields = (
        "name", "read_at", "tried_at", "failures", "error", "size", "implausible_since", "doubted_told", "values_told",
        "coverage_told",
    )  # fmt: skip

    well = column("in order", lambda source: not source.error and source.read_at is not None, boolean=True)
    doubted_told = column("in doubt", lambda source: readable(source.doubted))
    values_told = column("values", lambda source: readable(source.values))
    coverage_told = column("coverage", lambda source: readable(source.coverage))


@admin.register(Reading)
class ReadingAdmin(LargeTableAdmin):
    list_display = ("at", "nodes", "containers", "cores", "price")
    ordering = ("-at",)
    sortable_by = ("at",)
    fields = ("at", "values_told")

    nodes = column("nodes", lambda reading: shown(reading, "node_total"))
    containers = column("containers", lambda reading: shown(reading, "total_apps"))
    cores = column("cores", lambda reading: shown(reading, "total_cpu_cores"))

    @admin.display(description="USD for 1 FLUX")
    def price(self, reading: Reading) -> str:
        value = reading.values.get("flux_price_usd")
        return UNKNOWN if value is None else f"{value:g}"

    values_told = column("values", lambda reading: readable(reading.values))


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

    size = column("bytes, compressed", lambda memory: formatting.whole(len(memory.data)))


@admin.register(CensusDay)
class CensusDayAdmin(LargeTableAdmin):
    list_display = ("day", "nodes_at", "facts_at", "running_at")
    ordering = ("-day",)
    fields = ("day", "nodes_at", "of_the_nodes", "facts_at", "of_the_facts", "running_at", "of_the_apps")
    sortable_by = ()

    of_the_nodes = column("nodes and operators", lambda day: day.nodes and readable(json.loads(day.nodes)))
    of_the_facts = column("places, providers, versions", lambda day: day.facts and readable(json.loads(day.facts)))
    of_the_apps = column("running", lambda day: readable(day.running))


@admin.register(NodeChange)
class NodeChangeAdmin(LargeTableAdmin):
    list_display = ("day", "tier", "joins", "leaves", "moves", "since")
    list_filter = ("tier",)
    ordering = ("-day", "tier")
    sortable_by = ()


@admin.register(RunningApp)
class RunningAppAdmin(LargeTableAdmin):
    list_display = ("name", "instances")
    search_fields = ("app_key",)
    ordering = ("-instances", "app_key")
    sortable_by = ()


@admin.register(InstanceChange)
class InstanceChangeAdmin(LargeTableAdmin):
    list_display = ("app_key", "at", "instances")
    search_fields = ("=app_key",)
    ordering = ("-at", "app_key")
    sortable_by = ()


@admin.register(DeploymentTerms)
class DeploymentTermsAdmin(ReadOnlyAdmin):
    list_display = ("at",)
    ordering = ("-at",)
    fields = ("at", "of_prices", "of_limits")

    of_prices = column("prices", lambda terms: readable(terms.prices))
    of_limits = column("limits", lambda terms: readable(terms.limits))


def shown(reading: Reading, key: str) -> str | None:
    value = reading.values.get(key)
    return None if value is None else formatting.whole(round(value))


def _edited(request: HttpRequest) -> TrackedApp | None:
    """Return the row being edited, None for a new one."""
    text = request.GET.get("app", "")
    known = text.isascii() and text.isdecimal() and len(text) < 10
    return TrackedApp.objects.filter(pk=int(text)).first() if known else None
