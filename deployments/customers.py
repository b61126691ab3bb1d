"""Count customers over days: owners who paid, concentration of payments, and retention.

A customer is an owner, as the card gateway is one sender for many of them. The report and `/api/economics/cohorts`
use these figures (docs/metrics.md#customers).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db.models import Exists, Max, OuterRef, QuerySet, Sum

from deployments.accrual import WITHOUT_MONEY
from deployments.models import AppEvent, MessagesState
from deployments.price_and_volume import MONTH_S
from fluxtracker.money import MICRO
from fluxtracker.periods import Period

PLANS = ("all", "weekly", "longer")
TOP = 10
MOST_OF = 80  # percent


def events(plan: str = "all") -> QuerySet[AppEvent]:
    """Return the events of apps by plan: weekly is a first term of 7 days or less."""
    queryset = AppEvent.objects.order_by()
    return queryset if plan == "all" else queryset.filter(app__weekly=plan == "weekly")


def paid_by(key: str, period: Period, plan: str = "all") -> dict[str, int]:
    """Return satoshi by `app` or `owner` over whole days, from payments with a known message. One query."""
    rows = _paid(plan).filter(day__range=(period.first_day, period.last_day)).exclude(**{key: None})
    return dict(rows.values_list(key).annotate(sat=Sum("revenue_sat")))


def _paid(plan: str) -> QuerySet[AppEvent]:
    return events(plan).filter(revenue_sat__gt=0)


@dataclass(frozen=True, slots=True)
class Payers:
    """Number of owners who paid on these days. `returning`: those who had paid before."""

    paying: int
    returning: int
    sat: int
    """Their payments."""

    @property
    def new(self) -> int:
        return self.paying - self.returning


def payers(period: Period, plan: str = "all") -> Payers:
    """Return who paid on these days, cached per state of the events. Three queries."""
    return payers_of(period, plan, _events_stamp())


@lru_cache(maxsize=64)
def payers_of(period: Period, plan: str, state: object) -> Payers:
    paid = paid_by("owner", period, plan)
    before = set(_paid(plan).filter(day__lt=period.first_day).values_list("owner", flat=True).distinct())
    return Payers(len(paid), len(paid.keys() & before), sum(paid.values()))


@dataclass(frozen=True, slots=True)
class Concentration:
    """Share of the TOP largest payers, and number of the largest that make up MOST_OF percent; None if empty."""

    top10_percent: float | None
    apps_for_80_percent: int | None
    sat: int = 0
    """Payments of all payers."""


def concentration(paid: Iterable[int]) -> Concentration:
    largest = sorted(paid, reverse=True)
    total, sum_, many = sum(largest), 0, 0
    for sat in largest:
        if sum_ * 100 >= MOST_OF * total:
            break
        sum_, many = sum_ + sat, many + 1
    return Concentration(percent(sum(largest[:TOP]), total), many or None, total)


@dataclass(frozen=True, slots=True)
class Retention:
    """Later revenue from customers of one instant: start + expansion - contraction - lost, micro-dollars per second.

    `lost` are the earnings of customers who no longer earn anything.
    """

    start: float
    expansion: float
    contraction: float
    lost: float

    @property
    def end(self) -> float:
        return self.start + self.expansion - self.contraction - self.lost

    @property
    def percent(self) -> float | None:
        """Return net retention in percent, None if nothing was earned at the start."""
        return percent(self.end, self.start)

    @property
    def usd_a_month(self) -> dict[str, float]:
        names = ("start", "expansion", "contraction", "lost")
        return {name: round(getattr(self, name) * MONTH_S / MICRO, 2) for name in names}


def retention(period: Period, plan: str = "all") -> Retention:
    """Return the change in run-rate, from the period's start to its end, of the owners at its start.

    In dollars, like list prices: in FLUX, the price of FLUX would dominate. Cached per state of the events. Two
    queries.
    """
    return retention_of(period, plan, _events_stamp())


def _events_stamp() -> object:
    """Return a stamp that changes with every event, as a rebuilt life changes the version. Two small queries."""
    return AppEvent.objects.aggregate(last=Max("pk"))["last"], MessagesState.known().version


@lru_cache(maxsize=64)
def retention_of(period: Period, plan: str, state: object) -> Retention:
    then, now = rates_of(period.start, plan, state), rates_of(period.end, plan, state)
    changes = [(rate, now[owner]) for owner, rate in then.items() if rate]
    return Retention(
        sum(rate for rate, _ in changes),
        sum(max(later - rate, 0) for rate, later in changes),
        sum(max(rate - later, 0) for rate, later in changes if later),
        sum(rate for rate, later in changes if not later),
    )


@lru_cache(maxsize=16)
def rates_of(moment: datetime, plan: str, state: object) -> Counter[str]:
    """Return each owner's earnings per second at a moment: balance divided by time left."""
    counted = AppEvent.objects.exclude(kind__in=WITHOUT_MONEY).order_by()
    later = counted.filter(app=OuterRef("app"), position__gt=OuterRef("position"), at__lte=moment)
    newest = events(plan).exclude(kind__in=WITHOUT_MONEY).exclude(owner=None).exclude(left_usd_micro=0)
    in_force = newest.filter(at__lte=moment, end_at__gt=moment).exclude(Exists(later))
    rates = Counter[str]()
    rows: Any = in_force.values_list("owner", "at", "end_at", "left_usd_micro")
    for owner, at, end, left in rows:
        rates[owner] += left / (end - at).total_seconds()
    return rates


def percent(part: float, whole: float) -> float | None:
    return round(part * 100 / whole, 2) if whole else None
