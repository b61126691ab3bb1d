"""Follow apps by month of registration: who stays, who renews, and the value of that.

An app is lost at an end without a renewal within seven days. A remaining one is known only to have lived this long
(right-censored), so a plain mean of lives would be too short.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any, NamedTuple

from deployments import customers, stored_block_times
from deployments.app_lives import Kind
from deployments.customers import PLANS, percent
from deployments.models import AppEvent, AppLife
from fluxtracker.batches import ROWS
from fluxtracker.periods import DAY, Bucket, Period, midnight
from fluxtracker.timestamps import iso

Report = dict[str, Any]
AGES = (30, 90, 180, 365)  # days
LATELY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Member:
    """An app from its registration on. `gone`: whether it was lost at `until`; if not, it lived at least until then."""

    weekly: bool
    since: datetime
    until: datetime
    gone: bool
    renewed: int = 0
    """Terms that fell due and were renewed, including within a week after the end."""
    lost: int = 0

    @property
    def days(self) -> float:
        return (self.until - self.since) / timedelta(days=1)

    def survived(self, age: int) -> bool | None:
        """Return whether it was there after this many days, None if not known."""
        return True if self.days >= age else False if self.gone else None


def by_plan(tip: int) -> dict[str, Report]:
    """Return the report of each plan as of a block."""
    now = stored_block_times.timeline().time_of(tip)
    members = list(_members(now))
    plans = {"all": members, "weekly": [one for one in members if one.weekly]}
    plans["longer"] = [one for one in members if not one.weekly]
    return {plan: report(plans[plan], now) | of_customers(plan, lately(now)) for plan in PLANS}


def lately(now: datetime) -> Period:
    """Return the last complete days."""
    return Period.of_days(now.date() - LATELY, now.date() - DAY)


def report(members: Sequence[Member], now: datetime) -> Report:
    months: defaultdict[date, list[Member]] = defaultdict(list)
    for member in members:
        months[member.since.date().replace(day=1)].append(member)
    return {
        "asOf": iso(now),
        "apps": len(members),
        "cohorts": [_cohort(month, months[month], now) for month in sorted(months)],
        "medianLifeDays": median_life(members),
    }


def of_customers(plan: str, period: Period) -> Report:
    """Return the customer figures of the report of the same days. Four queries."""
    paid, kept = customers.payers(period, plan), customers.retention(period, plan)
    few = customers.concentration(customers.paid_by("app", period, plan).values())
    return {
        "period": {"start": period.first_day.isoformat(), "end": period.last_day.isoformat()},
        "netRetention": kept.percent,
        "retention": kept.usd_a_month,
        "owners": {"paying": paid.paying, "new": paid.new, "returning": paid.returning},
        "concentration": {"top10_percent": few.top10_percent, "apps_for_80_percent": few.apps_for_80_percent},
    }


def _members(now: datetime) -> Iterator[Member]:
    """Yield every app with a life. Two queries."""
    rows = AppLife.objects.values_list("app_key", "weekly", "registered_at", "end_at")
    lives = {app_key: (weekly, since, end_at) for app_key, weekly, since, end_at in rows if since}
    for app_key, events in _events():
        if app_key in lives:
            yield _member(*lives[app_key], events, now)


class Step(NamedTuple):
    """The part of an event needed here."""

    app_id: str
    kind: str
    at: datetime
    previous_end_at: datetime | None


def _events() -> Iterator[tuple[str, list[Step]]]:
    """Yield the steps in the life of each app."""
    counted = AppEvent.objects.exclude(kind=Kind.IGNORED).order_by("app_id", "position")
    rows = counted.values_list(*Step._fields).iterator(ROWS)
    for app_key, events in groupby(map(Step._make, rows), attrgetter("app_id")):
        yield app_key, list(events)


def _member(weekly: bool, since: datetime, end_at: datetime | None, events: Sequence[Step], now: datetime) -> Member:
    gone = next((event.at for event in events if event.kind == Kind.LOST), None)
    until = gone or min(end_at or events[-1].at, now)
    back = sum(event.kind == Kind.WON_BACK and before.kind != Kind.LOST for before, event in pairwise(events))
    return Member(
        weekly=weekly,
        since=since,
        until=max(until, since),
        gone=gone is not None,
        renewed=sum(_is_due(event, now) for event in events if event.kind == Kind.RENEWAL) + back,
        lost=sum(event.kind == Kind.LOST for event in events),
    )


def _is_due(event: Step, now: datetime) -> bool:
    """Return whether the renewed term would be over by now."""
    return event.previous_end_at is not None and event.previous_end_at <= now


def _cohort(month: date, members: Sequence[Member], now: datetime) -> Report:
    end = Period.containing(Bucket.MONTH, midnight(month)).end
    renewed, lost = sum(one.renewed for one in members), sum(one.lost for one in members)
    return {
        "month": f"{month:%Y-%m}",
        "apps": len(members),
        "survived": {f"d{age}": _share(members, age) if end + timedelta(days=age) <= now else None for age in AGES},
        "renewal_rate": percent(renewed, renewed + lost),
        "renewed": renewed,
        "lost": lost,
    }


def _share(members: Sequence[Member], age: int) -> float | None:
    """Return the percentage still there after this many days, among members for which it is known."""
    known = [there for member in members if (there := member.survived(age)) is not None]
    return percent(sum(known), len(known))


def median_life(members: Iterable[Member]) -> float | None:
    """Return the Kaplan-Meier median life in days, None while half or more are still there."""
    gone, left = Counter[float](), Counter[float]()
    for member in members:
        (gone if member.gone else left)[member.days] += 1
    at_risk, surviving = gone.total() + left.total(), 1.0
    for days in sorted(gone.keys() | left.keys()):
        surviving *= 1 - gone[days] / at_risk
        if surviving <= 0.5:
            return round(days, 2)
        at_risk -= gone[days] + left[days]
    return None
