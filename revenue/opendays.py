"""How many payments lie on which day: what turns a page number into a place without counting rows.

A closed day has a total but no rows any more, so only open days count here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from fluxtracker.periods import midnight
from revenue.models import DailyTotal, LedgerState

DAY = timedelta(days=1)


class DayRows(NamedTuple):
    """The rows of one address on one day."""

    day: date
    address: str
    payments: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: `skip` rows into the first of the `days` it lies on."""

    days: tuple[date, ...]
    skip: int
    rows: int
    """All rows on those days."""


@dataclass(frozen=True, slots=True)
class OpenDays:
    """Row counts by day and address, newest day first."""

    rows: tuple[DayRows, ...]

    @classmethod
    def load(cls) -> OpenDays:
        totals = DailyTotal.objects.filter(payments__gt=0).order_by("-day")
        closed = LedgerState.objects.values_list("closed_through", flat=True).first()
        if closed is not None:
            totals = totals.filter(day__gt=closed)
        return cls(tuple(map(DayRows._make, totals.values_list("day", "address", "payments"))))

    def where(self, test: Callable[[DayRows], bool]) -> OpenDays:
        return OpenDays(tuple(filter(test, self.rows)))

    def between(self, first: date | None, last: date | None) -> OpenDays:
        if first is None and last is None:
            return self
        low, high = first or date.min, last or date.max
        return self.where(lambda row: low <= row.day <= high)

    def at(self, addresses: Collection[str]) -> OpenDays:
        return self.where(lambda row: row.address in addresses)

    @property
    def total(self) -> int:
        return sum(row.payments for row in self.rows)

    @property
    def addresses(self) -> set[str]:
        return {row.address for row in self.rows}

    def by_day(self) -> list[tuple[date, int]]:
        """Rows a day, newest first."""
        days: Counter[date] = Counter()
        for row in self.rows:
            days[row.day] += row.payments
        return sorted(days.items(), reverse=True)

    def place(self, offset: int, limit: int, *, oldest_first: bool) -> Place:
        """The days on which the rows from `offset` on lie, in the order asked for."""
        days = self.by_day()
        return _place(reversed(days) if oldest_first else days, offset, limit)

    def since(self, rows: int) -> datetime | None:
        """An instant so that at least `rows` rows are not older; None when there are not so many."""
        seen = 0
        for day, payments in self.by_day():
            seen += payments
            if seen >= rows:
                return midnight(day)
        return None

    def until(self, rows: int) -> datetime | None:
        """An instant so that at least `rows` rows are older; None when there are not so many."""
        seen = 0
        for day, payments in reversed(self.by_day()):
            seen += payments
            if seen >= rows:
                return midnight(day + DAY)
        return None


def _place(days: Iterable[tuple[date, int]], offset: int, limit: int) -> Place:
    chosen: list[date] = []
    before = rows = 0
    for day, payments in days:
        if chosen or before + payments > offset:
            chosen.append(day)
            rows += payments
        else:
            before += payments
        if before + rows >= offset + limit:
            break
    return Place(tuple(chosen), offset - before, rows)
