"""What a chart can show: what the ledger sums, what snapshots hold, and the containers of any image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fluxtracker.images import image_name, image_part
from metrics import catalogue
from metrics.catalogue import Metric
from metrics.models import ImageCount, Source
from snapshots.models import ImageDay
from snapshots.selectors import images_of_days


class Category(StrEnum):
    """Where a metric stands in lists, in the order of the page."""

    REVENUE = "revenue"
    NODES = "nodes"
    CLOUD = "cloud"
    APPS = "apps"
    GAMING = "gaming"
    CRYPTO = "crypto"
    WORDPRESS = "wordpress"
    IMAGES = "images"


LABELS = {
    Category.REVENUE: "Revenue",
    Category.NODES: "Nodes",
    Category.CLOUD: "Cloud",
    Category.APPS: "Apps",
    Category.GAMING: "Games",
    Category.CRYPTO: "Crypto nodes",
    Category.WORDPRESS: "WordPress",
    Category.IMAGES: "Images",
}
GROUPS = {"price": Category.REVENUE}  # of the catalogue, where it is not a category's own name
IMAGE = "image:"
LONGEST_IMAGE = 255
FLUX, USD = "FLUX", "USD"


class Kind(StrEnum):
    """How days are put together: a sum is added up, a state is what it was last."""

    SUM = "sum"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Choice:
    """Something to draw. `unit` is empty for counts; `source` names the metrics source that tells it today."""

    key: str
    label: str
    unit: str
    category: Category
    kind: Kind = Kind.STATE
    source: str | None = None

    @property
    def is_sum(self) -> bool:
        return self.kind == Kind.SUM

    @property
    def image(self) -> str | None:
        """Return the image whose containers are meant, if any."""
        return self.key.removeprefix(IMAGE) if self.key.startswith(IMAGE) else None


SUMS = (
    Choice("revenue_flux", "Revenue in FLUX", FLUX, Category.REVENUE, Kind.SUM),
    Choice("revenue_usd", "Revenue in US dollars", USD, Category.REVENUE, Kind.SUM),
    Choice("payments", "Payments", "", Category.REVENUE, Kind.SUM),
)


def fixed() -> list[Choice]:
    """Return everything but images, by category. One query."""
    order = list(Category)
    found = [*SUMS, *map(_of_metric, catalogue.metrics())]
    return sorted(found, key=lambda choice: order.index(choice.category))


def of_image(image: str) -> Choice:
    return Choice(IMAGE + image, image, "", Category.IMAGES, source=Source.Name.APPS)


def resolve(keys: Sequence[str], listed: Sequence[Choice] | None = None) -> tuple[list[Choice], list[str]]:
    """Return the choices of these keys in order, and the keys that name nothing. At most three queries.

    Each choice comes once, also where an image is spelled in two ways. `listed`: what `fixed` answered, where it
    was asked already.
    """
    known = {choice.key: choice for choice in (fixed() if listed is None else listed)}
    images = {key: image_name(key.removeprefix(IMAGE)) for key in keys if key.startswith(IMAGE)}
    counted = _counted(list(images.values()))
    known |= {key: of_image(image) for key, image in images.items() if image in counted}
    found = dict.fromkeys(known[key] for key in keys if key in known)
    return list(found), [key for key in keys if key not in known]


def images() -> list[str]:
    """Return every image that was ever counted, those with most containers now first."""
    now = dict(ImageCount.objects.values_list("image", "count"))
    return sorted({*now, *images_of_days()}, key=lambda image: (-now.get(image, 0), image))


def matching(choices: Iterable[Choice], search: str) -> list[Choice]:
    """Return the choices in whose label, key or category every word occurs. Upper and lower case are the same."""
    words = [image_part(word)[0] or word for word in search.lower().split()]
    return [choice for choice in choices if all(word in _text(choice) for word in words)]


def _of_metric(metric: Metric) -> Choice:
    category = GROUPS.get(metric.group) or Category(metric.group)
    return Choice(metric.key, metric.label, metric.unit, category, source=metric.source)


def _text(choice: Choice) -> str:
    return f"{choice.label} {choice.key} {LABELS[choice.category]}".lower()


def _counted(names: list[str]) -> set[str]:
    """Return those of the images that have been counted at least once."""
    if not names:
        return set()
    now = set(ImageCount.objects.filter(image__in=names).values_list("image", flat=True))
    rest = [name for name in names if name not in now]
    return now | set(ImageDay.objects.filter(image__in=rest).values_list("image", flat=True).distinct())
