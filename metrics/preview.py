"""What a tracked app would count if it were saved as it stands in the form."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils.module_loading import import_string

from fluxtracker.images import image_name, image_reference
from metrics.classify import Classifier
from metrics.memory import SPECS, recall
from metrics.models import Category, ImageCount, TrackedApp
from metrics.naming import AppIndex

PAST = "snapshots.past_counts.past_counts"  # by name: that room stands above
MOST_SHOWN = 30  # images, and app names


@dataclass(frozen=True, slots=True)
class Image:
    """An image that fits. `also`: other tracked apps that count it, too."""

    name: str
    count: int
    also: list[str]


@dataclass(frozen=True, slots=True)
class PastDay:
    """`fitting`: containers of images that fit; `counted`: what was counted under the app's key. None: not known."""

    day: date
    fitting: int | None
    counted: int | None


@dataclass(frozen=True, slots=True)
class Preview:
    """`names` are apps without a public image; None where no app specifications of the last 24 hours are known.

    `images` is None before the first collection, when nobody knows what runs.
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
    """Counts as a collection does, with the patterns of `app`, which may not be saved. Eight queries at most."""
    others = list(TrackedApp.objects.filter(active=True).exclude(pk=app.pk))
    names = {(other.category, other.key): other.name for other in others}
    wanted = TrackedApp(
        category=app.category, key=app.key, image_patterns=app.image_patterns, name_patterns=app.name_patterns
    )
    rules = Classifier([wanted, *others], Category.objects.all())
    ours = (app.category, app.key)

    def fits(image: str) -> bool:
        return ours in rules.by_image(image).tracked

    now_running = list(ImageCount.objects.order_by("-count", "image"))
    found = [
        Image(row.image, row.count, sorted(names[pair] for pair in rules.by_image(row.image).tracked - {ours}))
        for row in now_running
        if fits(row.image)
    ]
    return Preview(
        has_patterns=bool(wanted.image_patterns or wanted.name_patterns),
        images=found if now_running else None,
        containers=sum(image.count for image in found),
        names=_names(rules, ours, now),
        past=_past(fits, app.column, now),
        excluded=_excluded(wanted, (row.image for row in now_running), fits),
        has_tags=any(image_reference(pattern) != image_name(pattern) for pattern in app.image_patterns),
    )


def _names(rules: Classifier, ours: tuple[str, str], now: datetime) -> list[str] | None:
    """The apps that only their name can tell, as far as they would count."""
    known = recall(SPECS, now)
    if known is None:
        return None
    return [name for name in AppIndex.load(known[0]).unseen() if ours in rules.by_name(name, "").tracked]


def _excluded(app: TrackedApp, images: Iterable[str], fits: Callable[[str], bool]) -> list[str]:
    """Images that the patterns fit and that a rule of the categories leaves out all the same."""
    alone = Classifier([app], [])
    return [image for image in images if alone.by_image(image).tracked and not fits(image)]


def _past(fits: Callable[[str], bool], column: str, now: datetime) -> list[PastDay]:
    counts: Callable[..., list[tuple[Any, ...]]] = import_string(PAST)
    return [PastDay(*row) for row in counts(fits, column, now.date())]
