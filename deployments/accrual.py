"""Earn payments over the time they pay for, day by day, and store the sums.

Each life of an app has one pool of money. While it lives, the pool divided by the time left is earned per second;
amounts earned by an instant are rounded down to the satoshi, so the parts of a pool add up exactly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import count, repeat
from operator import add, floordiv, sub
from typing import NamedTuple, Protocol

from deployments.models import AppEvent, DailyAccrual
from fluxtracker.batches import chunks
from fluxtracker.bulk_rows import write_rows
from revenue.models import DailyTotal

DAY_S = 86_400
WITHOUT_MONEY = frozenset({AppEvent.Kind.LOST, AppEvent.Kind.IGNORED})  # a payment for these belongs to no life

SUMS = [field.name for field in DailyAccrual._meta.concrete_fields if not field.primary_key]


class PaidEvent(Protocol):
    """An event of an app's life, from `lives.Event` or AppEvent rows, in the order in which they count."""

    @property
    def kind(self) -> str: ...
    @property
    def life(self) -> int: ...
    @property
    def at(self) -> datetime: ...
    @property
    def end_at(self) -> datetime | None: ...
    @property
    def revenue_sat(self) -> int: ...
    @property
    def usd_micro(self) -> int: ...


class DayFlow(NamedTuple):
    """One day's earnings, remainders of cancellations, and payments for a known term."""

    accrued_sat: int = 0
    breakage_sat: int = 0
    assigned_sat: int = 0
    accrued_usd_micro: int = 0
    breakage_usd_micro: int = 0
    assigned_usd_micro: int = 0

    def __sub__(self, other: DayFlow) -> DayFlow:
        return DayFlow(*map(sub, self, other))


@dataclass(frozen=True, slots=True)
class Balance:
    """Money paid and not yet earned at `at`, then earned evenly until `end`."""

    at: datetime
    end: datetime
    sat: int
    usd_micro: int

    def left(self, now: datetime) -> tuple[int, int]:
        """Return satoshi and micro-dollars not yet earned at an instant."""
        if now >= self.end or self.end <= self.at:
            return 0, 0
        gone, length = max(_seconds(now) - _seconds(self.at), 0), _seconds(self.end) - _seconds(self.at)
        return self.sat - self.sat * gone // length, self.usd_micro - self.usd_micro * gone // length


class Left(NamedTuple):
    """Remainder of an app after its last event, and in micro-dollars after each event (0 without a known end)."""

    balance: Balance | None
    usd_micro: list[int]


class Flows:
    """Adds up the flows of many apps by day, with one entry per day for any number of payments."""

    def __init__(self, stream: type[_Stream] | None = None) -> None:
        make = stream or _Stream
        self.sat, self.usd_micro = make(), make()

    def add(self, events: Iterable[PaidEvent]) -> Left:
        """Add all events of one app; return what is left after them."""
        pools: dict[int, _Pool] = {}
        last, after = None, list[int]()
        for event in events:
            usd_micro = 0
            if event.end_at is not None and is_assigned(event):
                at = _seconds(event.at)
                pool = pools.setdefault(event.life, _Pool(at))
                self._pay(pool, event, at, _seconds(event.end_at))
                last, usd_micro = pool, pool.usd_micro
            after.append(usd_micro)
        left = None if last is None else last.balance()
        for pool in pools.values():
            self._earn(pool, pool.end)
        return Left(left, after)

    def _pay(self, pool: _Pool, event: PaidEvent, at: int, end: int) -> None:
        """Earn until the event, then add its payment and set its end; a cancellation releases everything."""
        self._earn(pool, at)
        pool.at, pool.end = max(at, pool.at), end
        pool.sat += event.revenue_sat
        pool.usd_micro += event.usd_micro
        day = pool.at // DAY_S
        self.sat.assigned[day] += event.revenue_sat
        self.usd_micro.assigned[day] += event.usd_micro
        if event.kind == AppEvent.Kind.CANCELLED:
            self.sat.breakage[day] += pool.sat
            self.usd_micro.breakage[day] += pool.usd_micro
            pool.sat = pool.usd_micro = 0

    def _earn(self, pool: _Pool, until: int) -> None:
        pool.sat -= self.sat.earn(pool.sat, pool.at, pool.end, until)
        pool.usd_micro -= self.usd_micro.earn(pool.usd_micro, pool.at, pool.end, until)

    def by_day(self) -> dict[date, DayFlow]:
        """Return the days with any flow, oldest first."""
        sat, usd_micro = self.sat.by_day(), self.usd_micro.by_day()
        nothing = (0, 0, 0)
        days = sorted(sat.keys() | usd_micro.keys())
        return {_day(day): DayFlow(*sat.get(day, nothing), *usd_micro.get(day, nothing)) for day in days}


@dataclass(slots=True)
class _Pool:
    """Remainder of one life since its last event. Instants are Unix seconds."""

    at: int
    end: int = 0
    sat: int = 0
    usd_micro: int = 0

    def balance(self) -> Balance:
        return Balance(_instant(self.at), _instant(self.end), self.sat, self.usd_micro)


class _Stream:
    """Amounts of one currency by day, days counted since 1970."""

    def __init__(self) -> None:
        self.assigned: defaultdict[int, int] = defaultdict(int)
        self.breakage: defaultdict[int, int] = defaultdict(int)
        self._earned: defaultdict[int, int] = defaultdict(int)  # whole stretches, by the day they end
        self._earning: list[int] = []  # by midnight: amounts earned by then of stretches that contain it

    def earn(self, amount: int, at: int, end: int, until: int) -> int:
        """Add the stretch from `at` to `until` of a pool spread from `at` to `end`; return its earnings.

        Money without time left is earned on the day it was paid.
        """
        if not amount or (until <= at < end):
            return 0
        stop = min(until, end)
        earned = amount if stop == end else amount * (stop - at) // (end - at)
        self.spread(amount, at, end, stop)
        self._earned[max(stop - 1, at) // DAY_S] += earned
        return earned

    def spread(self, amount: int, at: int, end: int, stop: int) -> None:
        """Add the earnings by each midnight of the stretch, without a loop: a million payments have millions."""
        first, last = at // DAY_S + 1, (stop - 1) // DAY_S
        if first <= last:
            self._earning.extend(repeat(0, last + 1 - len(self._earning)))
            shares = count(amount * (first * DAY_S - at), amount * DAY_S)
            parts = map(floordiv, shares, repeat(end - at, last + 1 - first))
            self._earning[first : last + 1] = map(add, self._earning[first : last + 1], parts)

    def by_day(self) -> dict[int, tuple[int, int, int]]:
        """Return accrued, breakage and assigned amounts of days that have any."""
        days = {*self._earned, *self.breakage, *self.assigned}
        before, whole, rows = 0, 0, {}
        for day in range(min(days), max(days) + 1) if days else ():
            whole += self._earned.get(day, 0)
            now = whole + (self._earning[day + 1] if day + 1 < len(self._earning) else 0)
            row = now - before, self.breakage.get(day, 0), self.assigned.get(day, 0)
            before = now
            if any(row):
                rows[day] = row
        return rows


class _Unspread(_Stream):
    """The same for balances only, which need no days."""

    def spread(self, amount: int, at: int, end: int, stop: int) -> None:
        pass


def is_assigned(event: PaidEvent) -> bool:
    """Return whether its payment belongs to a life with a known end."""
    return event.end_at is not None and event.kind not in WITHOUT_MONEY


def schedule(events: Iterable[PaidEvent]) -> dict[date, DayFlow]:
    """Return each day's share of the payments for one app, including future days."""
    flows = Flows()
    flows.add(events)
    return flows.by_day()


def balance(events: Iterable[PaidEvent]) -> Balance | None:
    """Return the balance of one app after its last event, None if nothing belongs to a known term."""
    return Flows(_Unspread).add(events).balance


def difference(before: Flows, after: Flows) -> dict[date, DayFlow]:
    """Return the increase on each day from the first to the second."""
    old, new = before.by_day(), after.by_day()
    nothing = DayFlow()
    return {day: new.get(day, nothing) - old.get(day, nothing) for day in sorted(old.keys() | new.keys())}


def apply_difference(old: Iterable[Iterable[PaidEvent]], new: Iterable[Iterable[PaidEvent]]) -> list[Left]:
    """Update the daily rows where new events replace old ones; return what the new ones leave.

    Each item has all events of one app. Call inside a transaction.

    Money newly assigned to a life, or no longer assigned, moves out of or into the unassigned part of its event's
    day, so that the rows still add up to their cash.
    """
    before, after = Flows(), Flows()
    for events in old:
        before.add(events)
    left = [after.add(events) for events in new]
    _add({day: _changes(flow) for day, flow in difference(before, after).items()})
    return left


def _changes(flow: DayFlow) -> dict[str, int]:
    return {
        "accrued_sat": flow.accrued_sat,
        "breakage_sat": flow.breakage_sat,
        "unassigned_sat": -flow.assigned_sat,
        "accrued_usd_micro": flow.accrued_usd_micro,
        "breakage_usd_micro": flow.breakage_usd_micro,
        "unassigned_usd_micro": -flow.assigned_usd_micro,
    }


def recompute_cash(days: Collection[date]) -> None:
    """Recompute the cash of these days from the ledger. Cash without an event is unassigned."""
    for batch in chunks(sorted(days)):
        rows = DailyTotal.objects.filter(day__in=batch).by_day()
        totals = {row["day"]: (row["revenue_sat"], row["usd_micro"]) for row in rows}
        known = {row.day: (row.cash_sat, row.cash_usd_micro) for row in DailyAccrual.objects.filter(day__in=batch)}
        _add({day: _cash(totals.get(day, (0, 0)), known.get(day, (0, 0))) for day in batch})


def _cash(total: tuple[int, int], known: tuple[int, int]) -> dict[str, int]:
    sat, usd_micro = total[0] - known[0], total[1] - known[1]
    return {
        "cash_sat": sat,
        "unassigned_sat": sat,
        "cash_usd_micro": usd_micro,
        "unassigned_usd_micro": usd_micro,
    }


def _add(changes: Mapping[date, Mapping[str, int]]) -> None:
    """Add to the rows of the days, creating missing ones."""
    rows = [(day, *(change.get(name, 0) for name in SUMS)) for day, change in changes.items() if any(change.values())]
    write_rows(DailyAccrual, ("day", *SUMS), rows, unique=["day"], add=True)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _day(number: int) -> date:
    return _instant(number * DAY_S).date()
