"""List what a chart can show: the ledger's sums and splits, snapshot values, containers of any image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from deployments.splits.breakdown import ORGANIC
from fluxtracker.images import image_name, image_part
from metrics import metric_keys
from metrics.metric_keys import PERCENT, Metric
from metrics.models import ImageCount, Source
from revenue.models import Label
from snapshots.models import ImageDay
from snapshots.selectors import images_of_days


class Category(StrEnum):
    """Groups of metrics, in the order of the page."""

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
GROUPS = {"price": Category.REVENUE}  # the catalogue's, where it is not the category's own name
IMAGE = "image:"
LONGEST_IMAGE = 255
FLUX, USD = "FLUX", "USD"


@dataclass(frozen=True, slots=True)
class Choice:
    """A metric to draw. `unit` is empty for counts; `source` is the metrics source of today's value.

    Sums add up their days; for other metrics a week or month shows the last day, for a run-rate the mean.
    `stream`: its daily rows, beyond the ledger's totals and the snapshots.
    """

    key: str
    label: str
    unit: str
    category: Category
    is_sum: bool = False
    source: str | None = None
    stream: str = ""

    @property
    def image(self) -> str | None:
        """Return the image counted by this metric, if any."""
        return self.key.removeprefix(IMAGE) if self.key.startswith(IMAGE) else None


SUMS = (
    Choice("revenue_flux", "Revenue in FLUX", FLUX, Category.REVENUE, is_sum=True),
    Choice("revenue_usd", "Revenue in US dollars", USD, Category.REVENUE, is_sum=True),
    Choice("payments", "Payments", "", Category.REVENUE, is_sum=True),
)

BY_SOURCE = {
    ORGANIC: "Organic revenue (without the team)",
    Label.Category.CARD.value: "Revenue by card",
    Label.Category.TEAM.value: "Revenue from the team",
}
ACCRUED, RUN_RATE, DEFERRED = "accrued", "mrr", "deferred"
BY_TIME = {
    ACCRUED: "Accrued revenue",
    RUN_RATE: "Run-rate (MRR)",
    DEFERRED: "Paid, not yet earned (deferred)",
}
FILL, OPERATED, COUNTRIES = "fill_percent", "operators", "countries"
MONEY = tuple(
    Choice(
        f"{stream}_{unit.lower()}",
        f"{label} in {words}",
        unit,
        Category.REVENUE,
        is_sum=stream not in (RUN_RATE, DEFERRED),
        stream=stream,
    )
    for stream, label in {**BY_SOURCE, **BY_TIME}.items()
    for unit, words in ((FLUX, "FLUX"), (USD, "US dollars"))
)
STATES = (
    Choice(FILL, "Ordered instances that run", PERCENT, Category.APPS, stream=FILL),
    Choice(OPERATED, "Operators (payment addresses)", "", Category.NODES, stream=OPERATED),
    Choice(COUNTRIES, "Countries", "", Category.NODES, stream=COUNTRIES),
)


def fixed() -> list[Choice]:
    """Return everything but images, by category. One query."""
    order = list(Category)
    choices = [*SUMS, *MONEY, *map(_of_metric, metric_keys.metrics()), *STATES]
    return sorted(choices, key=lambda choice: order.index(choice.category))


def of_image(image: str) -> Choice:
    return Choice(IMAGE + image, image, "", Category.IMAGES, source=Source.Name.APPS)


def resolve(keys: Sequence[str], listed: Sequence[Choice] | None = None) -> tuple[list[Choice], list[str]]:
    """Return the choices of these keys in order, and unknown keys. At most three queries.

    Each choice appears once, even if an image is spelled in two ways. `listed`: the result of `fixed`, if already
    loaded.
    """
    known = {choice.key: choice for choice in (fixed() if listed is None else listed)}
    images = {key: image_name(key.removeprefix(IMAGE)) for key in keys if key.startswith(IMAGE)}
    counted = _counted(list(images.values()))
    known |= {key: of_image(image) for key, image in images.items() if image in counted}
    resolved = dict.fromkeys(known[key] for key in keys if key in known)
    return list(resolved), [key for key in keys if key not in known]


def images() -> list[str]:
    """Return every image ever counted, those with most containers now first."""
    now = dict(ImageCount.objects.values_list("image", "count"))
    return sorted({*now, *images_of_days()}, key=lambda image: (-now.get(image, 0), image))


def matching(choices: Iterable[Choice], search: str) -> list[Choice]:
    """Return the choices with every word in label, key or category, case-insensitive."""
    words = [image_part(word)[0] or word for word in search.lower().split()]
    return [choice for choice in choices if all(word in _text(choice) for word in words)]


def _of_metric(metric: Metric) -> Choice:
    category = GROUPS.get(metric.group) or Category(metric.group)
    return Choice(metric.key, metric.label, metric.unit, category, source=metric.source)


def _text(choice: Choice) -> str:
    return f"{choice.label} {choice.key} {LABELS[choice.category]}".lower()


def _counted(names: list[str]) -> set[str]:
    """Return the images among these that were ever counted."""
    if not names:
        return set()
    now = set(ImageCount.objects.filter(image__in=names).values_list("image", flat=True))
    rest = [name for name in names if name not in now]
    return now | set(ImageDay.objects.filter(image__in=rest).values_list("image", flat=True).distinct())
