"""Build the report of a completed period."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property, lru_cache

from deployments.models import MessagesState
from fluxtracker.periods import Bucket, Period, midnight
from reports import calendar
from reports.calendar import Named
from reports.figures import Figure, Known, compared
from reports.sections import customers, money, network
from reports.sections.money import Sales, State
from revenue.models import ChangedDay, DailyTotal, LedgerState
from revenue.selectors import ledger_stamp
from snapshots.selectors import snapshot_stamp

HOW = "Sums of the period for flows, means of its days for stocks, points for percentages."


class NotOver(Exception):
    """The period is not over; `last` is the last completed one."""

    def __init__(self, last: Period) -> None:
        self.last = last
        bucket = calendar.bucket_of(last)
        super().__init__(f"the {bucket} is not over; the last completed one is {last.key}")


@dataclass(frozen=True)
class Report:
    """Report of a period compared with the previous one."""

    current: Named
    previous: Named
    figures: list[Figure]
    as_of: datetime | None

    @property
    def bucket(self) -> Bucket:
        return self.current.bucket

    @cached_property
    def notes(self) -> dict[str, str]:
        """Return why figures are missing, by key."""
        return {figure.key: "; ".join(figure.notes) for figure in self.figures if figure.notes}

    @property
    def coverage(self) -> dict[str, float]:
        known = sum(figure.value is not None for figure in self.figures)
        days = (self.current.last_day - self.current.first_day).days + 1
        return {"days": days, "figures": len(self.figures), "known": known}


def report(period: Period, now: datetime) -> Report:
    """Return the report of a calendar period, cached per state of the database. Raise NotOver."""
    if not calendar.is_over(period, now):
        raise NotOver(calendar.last_completed(calendar.bucket_of(period), now))
    ledger, today = LedgerState.known(), midnight(now.date())
    figures = list(figures_of(period, today, (_days_known(ledger), _others())))
    return Report(Named.of(period), Named.of(period.previous()), figures, ledger.read_until)


def _days_known(ledger: LedgerState) -> object:
    """Return a stamp that changes with the ledger and its complete days."""
    until = ledger.complete_until
    known = ledger.read_until and ledger.read_until.date()
    return ledger.version, ledger.closed_through, until and until.date(), frozenset(ledger.lacking), known


def _others() -> object:
    """Return a stamp that changes with everything else in a report. Five small queries."""
    messages = MessagesState.objects.values_list("version", "complete_at").first()
    return snapshot_stamp(), messages, ChangedDay.objects.count(), network.census_stamp()


@lru_cache(maxsize=64)
def figures_of(period: Period, today: datetime, state: object) -> tuple[Figure, ...]:
    """Return the figures as of the start of today. About 40 queries, none for a cached `state`."""
    before = period.previous()
    made = _Maker.load(period, before, today)
    current, previous = made.known(period, before), made.known(before, before.previous())
    covered = network.rewards_covered(period, before, known={period: current, before: previous})
    current["reward_coverage"], previous["reward_coverage"] = covered[period], covered[before]
    categories = money.category_specs(current, previous)
    money.without_zeros(categories, current, previous)
    specs = [*money.SPECS, *money.EFFECT_SPECS, *customers.SPECS, *money.VOLUME_SPECS, *categories, *network.SPECS]
    return tuple(compared(specs, current, previous))


@dataclass(frozen=True)
class _Maker:
    """Data read once for both periods."""

    ledger: money.Ledger
    snapshots: network.Rows
    state: State
    now: datetime
    _sales: dict[Period, Sales] = field(default_factory=dict)

    @classmethod
    def load(cls, period: Period, before: Period, now: datetime) -> _Maker:
        first, last = before.previous().first_day, period.last_day
        return cls(money.Ledger.load(first, last, now), network.load(before.first_day, last), State.load(), now)

    def known(self, period: Period, before: Period) -> dict[str, Known]:
        """Return all known values of a period except rewards."""
        ledger, state = self.ledger, self.state
        fees_sat = ledger.totals.of(period.days()).revenue_sat
        return {
            **money.fees(period, ledger),
            **money.price(period, ledger),
            **money.sources(period, ledger, state),
            **money.accruals(period, ledger, state),
            **money.effects(period, self.sales(period), self.sales(before), state),
            **customers.events(period, state, self.now),
            **customers.owners(period, before, fees_sat, state),
            **customers.concentration(period, fees_sat, state),
            **money.sales(period, self.sales(period), state),
            **money.categories(period, state),
            **network.stocks(period, self.snapshots),
            **network.filled(period),
            **network.spread(period),
            **network.changes(period),
        }

    def sales(self, period: Period) -> Sales:
        if period not in self._sales:
            self._sales[period] = Sales.load(period, self.ledger.totals)
        return self._sales[period]


def stamp(now: datetime) -> object:
    """Return a stamp that changes with all data of a report. Six small queries."""
    return ledger_stamp(), _others(), now.date()


def first_day() -> date | None:
    """Return the first day with a payment, None before the first sync."""
    return DailyTotal.objects.filter(payments__gt=0).first_day()
