"""Know senders and owners by their labels, and change those: the days that a change touches are split again."""

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
"""The classes of senders; unknown is what was pruned before its senders were kept."""


@dataclass(frozen=True, slots=True)
class Senders:
    """The labels of addresses; where two hold on a day, the one that began later."""

    labels: dict[str, list[Label]]

    @classmethod
    def load(cls) -> Self:
        """One query."""
        found = defaultdict(list)
        for label in Label.objects.filter(kind=Label.Kind.ADDRESS):
            found[label.subject].append(label)
        return cls({subject: sorted(labels, key=_began, reverse=True) for subject, labels in found.items()})

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
    """Set the label that the subject has from `valid_from` on, or make it."""
    kind, first = values.pop("kind", None) or kind_of(subject), values.pop("valid_from", None)
    defaults = {"category": category, "words": words, **values}
    with ledger.writing():
        Label.objects.update_or_create(subject=subject, kind=kind, valid_from=first, defaults=defaults)
        return Labelled(1, mark([subject]))


def remove(subject: str, *, first: date | None = None) -> Labelled:
    """Delete the subject's labels; with `first` only the one that holds from that day on."""
    with ledger.writing():
        labels = Label.objects.filter(Q(valid_from=first) if first else Q(), subject=subject)
        deleted, _ = labels.delete()
        return Labelled(deleted, mark([subject]) if deleted else 0)


def mark(subjects: Iterable[str]) -> int:
    """Note the days on which these addresses paid. Call inside `ledger.writing()`."""
    wanted, days = set(subjects), set[date]()
    for model in (Payment, PrunedPayment):
        days.update(model.objects.filter(from_address__in=wanted).order_by().values_list("day", flat=True).distinct())
    ChangedDay.mark(days)
    return len(days)


def kind_of(subject: str) -> str:
    """Return what it looks like: transparent addresses of Flux begin with t, owners are ids of other chains."""
    return Label.Kind.ADDRESS.value if subject.startswith("t") else Label.Kind.OWNER.value


LARGE = 5  # percent of a month's revenue
FIRST_DAYS = 7  # of a month: too few to say who pays how much of it


@dataclass(frozen=True, slots=True)
class Unlabelled:
    address: str
    percent: float
    month: str
    """YYYY-MM."""


def unlabelled(today: date) -> Unlabelled | None:
    """Return who paid the largest share without a label, above LARGE percent, of the last calendar month or this one.

    A label covers the payments of the days on which it holds. Of this month the days that are over count, once there
    are more than FIRST_DAYS.
    """
    this = Period.containing(Bucket.MONTH, midnight(today))
    months = [this.previous()]
    if today - this.first_day > timedelta(days=FIRST_DAYS):
        months.append(Period.of_days(this.first_day, today - DAY))
    found = [each for month in months for each in _unlabelled(month)]
    return max(found, key=lambda each: each.percent, default=None)


def _unlabelled(month: Period) -> Iterator[Unlabelled]:
    """Yield the senders of the days who paid over LARGE percent without a label. Three queries, five with a label."""
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
    """Return satoshi by sender, or by sender and more, of payments that are pruned too. Two queries."""
    paid = Counter[Any]()
    for model in (Payment, PrunedPayment):
        rows = model.objects.filter(which).exclude(from_address=None).order_by().values_list("from_address", *also)
        for *key, sat in rows.annotate(sat=Sum("amount_sat")):
            paid[tuple(key) if also else key[0]] += sat
    return paid
