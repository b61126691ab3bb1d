"""Look up and change labels of senders and owners; days affected by a change are split again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Self

from django.db.models import Q, Sum

from fluxtracker.periods import DAY, Bucket, Period, midnight
from revenue import ledger
from revenue.models import ChangedDay, DailyTotal, Label, Payment, PrunedPayment

OTHER = Label.Category.OTHER.value
UNKNOWN = "unknown"
SOURCES = (*Label.Category.values, UNKNOWN)
"""The classes of senders; unknown: pruned before senders were stored."""


@dataclass(frozen=True, slots=True)
class Senders:
    """Labels by address; if two apply on a day, the later one wins."""

    labels: dict[str, list[Label]]

    @classmethod
    def load(cls) -> Self:
        """Load all labels in one query."""
        by_subject = defaultdict(list)
        for label in Label.objects.filter(kind=Label.Kind.ADDRESS):
            by_subject[label.subject].append(label)
        return cls({subject: sorted(labels, key=_began, reverse=True) for subject, labels in by_subject.items()})

    def class_of(self, address: str | None, day: date) -> str:
        """Return the class of a payment's sender."""
        label = self.label_of(address, day) if address in self.labels else None
        return label.category if label else OTHER

    def label_of(self, address: str | None, day: date) -> Label | None:
        labels = self.labels.get(address, ()) if address else ()
        return next((label for label in labels if label.holds_on(day)), None)


def _began(label: Label) -> date:
    return label.valid_from or date.min


@dataclass(frozen=True, slots=True)
class Labelled:
    """Result of a change of labels."""

    labels: int
    days: int
    """Number of days to split again."""


def put(subject: str, *, category: str, words: str, **values: Any) -> Labelled:
    """Create or update the subject's label from `valid_from` on."""
    kind, first = values.pop("kind", None) or kind_of(subject), values.pop("valid_from", None)
    defaults = {"category": category, "words": words, **values}
    with ledger.writing():
        Label.objects.update_or_create(subject=subject, kind=kind, valid_from=first, defaults=defaults)
        return Labelled(1, mark([subject]))


def remove(subject: str, *, first: date | None = None) -> Labelled:
    """Delete the subject's labels, or only the one that starts on `first`."""
    with ledger.writing():
        labels = Label.objects.filter(Q(valid_from=first) if first else Q(), subject=subject)
        deleted, _ = labels.delete()
        return Labelled(deleted, mark([subject]) if deleted else 0)


def mark(subjects: Iterable[str]) -> int:
    """Mark the days on which these addresses paid. Call inside `ledger.writing()`."""
    paying, days = set(subjects), set[date]()
    for model in (Payment, PrunedPayment):
        days.update(model.objects.filter(from_address__in=paying).order_by().values_list("day", flat=True).distinct())
    ChangedDay.mark(days)
    return len(days)


def kind_of(subject: str) -> str:
    """Return its likely kind: transparent Flux addresses begin with t, owners are ids of other chains."""
    return Label.Kind.ADDRESS.value if subject.startswith("t") else Label.Kind.OWNER.value


LARGE = 5  # percent of a month's revenue
FIRST_DAYS = 7  # of a month: too few to tell shares


@dataclass(frozen=True, slots=True)
class Unlabelled:
    address: str
    percent: float
    month: str
    """YYYY-MM."""


def unlabelled(today: date) -> Unlabelled | None:
    """Return the unlabelled sender with the largest share, above LARGE percent, of the last month or this one.

    A label covers payments on the days it applies to. This month counts by its complete days, once more than
    FIRST_DAYS.
    """
    this = Period.containing(Bucket.MONTH, midnight(today))
    months = [this.previous()]
    if today - this.first_day > timedelta(days=FIRST_DAYS):
        months.append(Period.of_days(this.first_day, today - DAY))
    candidates = [each for month in months for each in _unlabelled(month)]
    return max(candidates, key=lambda each: each.percent, default=None)


def _unlabelled(month: Period) -> Iterator[Unlabelled]:
    """Yield unlabelled senders who paid over LARGE percent. Three queries, five with a label."""
    days = Q(day__range=(month.first_day, month.last_day))
    whole = DailyTotal.objects.filter(days).sum_of("revenue_sat")
    large = {key: sat for key, sat in _paid(days).items() if sat * 100 > LARGE * whole}
    senders = Senders.load()
    if known := large.keys() & senders.labels.keys():
        for (address, day), sat in _paid(days & Q(from_address__in=known), "day").items():
            large[address] -= sat if senders.label_of(address, day) else 0
    for address, sat in large.items():
        if sat * 100 > LARGE * whole:
            yield Unlabelled(address, round(sat * 100 / whole, 1), f"{month.first_day:%Y-%m}")


def _paid(which: Q, *also: str) -> Counter[Any]:
    """Return satoshi by sender, or sender and more columns, including pruned payments. Two queries."""
    paid = Counter[Any]()
    for model in (Payment, PrunedPayment):
        rows = model.objects.filter(which).exclude(from_address=None).order_by().values_list("from_address", *also)
        for *key, sat in rows.annotate(sat=Sum("amount_sat")):
            paid[tuple(key) if also else key[0]] += sat
    return paid
