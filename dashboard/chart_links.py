"""The ways from one view of the chart to another: categories, metrics, ranges, buckets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.http import QueryDict

from dashboard import chart_view
from dashboard.chart_view import View
from metrics.models import ImageCount
from snapshots import choices
from snapshots.buckets import Bucket
from snapshots.choices import LABELS, Category, Choice
from snapshots.series import MOST_METRICS

RANGES: tuple[tuple[chart_view.Days, str, str], ...] = (
    (7, "7d", "7 days"),
    (14, "14d", "14 days"),
    (30, "30d", "30 days"),
    (60, "60d", "60 days"),
    (90, "90d", "90 days"),
    (365, "1y", "1 year"),
    ("all", "all", "all days"),
)
BUCKETS = {Bucket.DAY: "Day", Bucket.WEEK: "Week", Bucket.MONTH: "Month"}
STARTS = {  # what a category shows when it is chosen; of the others the first metric
    Category.NODES: ("node_cumulus", "node_nimbus", "node_stratus"),
    Category.CLOUD: ("cpu_utilization_percent", "ram_utilization_percent", "storage_utilization_percent"),
    Category.APPS: ("total_apps", "gitapps_count", "dockerapps_count"),
}
IMAGES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Link:
    """A way to another view. `chosen`: it is the present one, or belongs to it."""

    label: str
    address: str
    chosen: bool = False
    words: str = ""


@dataclass(frozen=True, slots=True)
class Ways:
    """The links of a panel. `categories` leaves out what has nothing to show."""

    categories: list[Link]
    metrics: list[Link]
    ranges: list[Link]
    buckets: list[Link]
    every_row: Link
    all_days: Link


def ways(query: QueryDict, view: View, listed: Sequence[Choice]) -> Ways:
    """`listed`: every metric that is offered, some images among them."""

    def link(label: str, other: View, chosen: bool = False, words: str = "") -> Link:
        return Link(label, chart_view.address(query, replace(other, said={})), chosen, words)

    here = view.choices[0].category
    inside = dict.fromkeys(choice for choice in [*listed, *view.choices] if choice.category == here)
    starts = {category: _start(category, listed) for category in Category}
    return Ways(
        categories=[
            link(LABELS[category], view.with_choices(start), category == here)
            for category, start in starts.items()
            if start
        ],
        metrics=[
            link(choice.label, view.with_choices(_toggled(view, choice)), choice in view.choices) for choice in inside
        ],
        ranges=[link(label, view.with_days(days), days == view.days, words) for days, label, words in RANGES],
        buckets=[
            link(label, replace(view, bucket=bucket, every_row=False), bucket == view.bucket)
            for bucket, label in BUCKETS.items()
        ],
        every_row=link("every row", replace(view, every_row=True)),
        all_days=link("all days", view.with_days("all")),
    )


def top_images() -> list[Choice]:
    """The images with most containers now."""
    names = ImageCount.objects.values_list("image", flat=True)[:IMAGES_SHOWN]
    return [choices.of_image(name) for name in names]


def _start(category: Category, listed: Sequence[Choice]) -> list[Choice]:
    inside = [choice for choice in listed if choice.category == category]
    return [choice for choice in inside if choice.key in STARTS.get(category, ())] or inside[:1]


def _toggled(view: View, choice: Choice) -> list[Choice]:
    """With the metric, or without it; the only one stays, and of too many the last gives way."""
    if choice not in view.choices:
        return [*view.choices[: MOST_METRICS - 1], choice]
    return [other for other in view.choices if other != choice] or [choice]
