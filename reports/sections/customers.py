"""Compute customer figures: starts, renewals and ends of apps, and paying owners."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db.models import Count, Exists, F, OuterRef, Q

from deployments import customers
from deployments.app_lives import LOST_AFTER
from deployments.customers import paid_by, payers, retention
from deployments.models import AppEvent, AppLife
from fluxtracker.formatting import day as shown_day
from fluxtracker.periods import DAY, Period
from reports.figures import Group, How, Known, Spec, Unit, ratio, share, unknown
from reports.sections.money import State

Kind = AppEvent.Kind
COUNTED = {
    "new_apps": Kind.NEW,
    "reregistered_apps": Kind.REREGISTERED,
    "renewed_apps": Kind.RENEWAL,
    "won_back_apps": Kind.WON_BACK,
    "cancelled_apps": Kind.CANCELLED,
}
SPECS = tuple(
    Spec(key, Group.CUSTOMERS, label, unit, how)
    for key, label, unit, how in (
        ("new_apps", "New apps", Unit.COUNT, How.SUM),
        ("reregistered_apps", "Apps registered again", Unit.COUNT, How.SUM),
        ("renewed_apps", "Renewals", Unit.COUNT, How.SUM),
        ("won_back_apps", "Apps won back", Unit.COUNT, How.SUM),
        ("cancelled_apps", "Apps cancelled", Unit.COUNT, How.SUM),
        ("ended_apps", "Apps that ended unrenewed", Unit.COUNT, How.SUM),
        ("lost_apps", "Apps lost (7 days after their end)", Unit.COUNT, How.SUM),
        ("renewal_rate", "Renewal rate of terms that fell due", Unit.PERCENT, How.RATIO),
        ("paying_owners", "Paying owners", Unit.COUNT, How.COUNT),
        ("new_owners", "New paying owners", Unit.COUNT, How.COUNT),
        ("returning_owners", "Returning owners", Unit.COUNT, How.COUNT),
        ("net_retention", "Net retention of run-rate", Unit.PERCENT, How.RATIO),
        ("top10_share", "Share of the 10 largest apps", Unit.PERCENT, How.RATIO),
        ("apps_for_80", "Apps for 80 % of the fees", Unit.COUNT, How.COUNT),
    )
)


def events(period: Period, state: State, now: datetime) -> dict[str, Known]:
    """Return counts of starts, renewals and ends of apps. Four queries."""
    if missing := state.unread(period):
        return dict.fromkeys((*COUNTED, "ended_apps", "lost_apps", "renewal_rate"), missing)
    of_period = AppEvent.objects.filter(day__range=(period.first_day, period.last_day))
    kinds: Mapping[str, int] = dict(of_period.order_by().values_list("kind").annotate(count=Count("pk")))
    ended = kinds.get(Kind.LOST, 0) + _just_ended(period, now)
    late = Q(kind=Kind.WON_BACK, at__lt=F("previous_end_at") + LOST_AFTER)
    due = AppEvent.objects.filter(previous_end_at__gte=period.start, previous_end_at__lt=period.end)
    renewed = due.filter(Q(kind=Kind.RENEWAL) | late).count()
    decided = _decided(period, now)
    rate = ratio(Known(renewed, decided), Known(renewed + ended))
    return {
        **{key: Known(kinds.get(kind, 0)) for key, kind in COUNTED.items()},
        "ended_apps": Known(ended, decided),
        "lost_apps": Known(kinds.get(Kind.LOST, 0)) if decided == 100 else _undecided(period, decided),
        "renewal_rate": rate if renewed + ended else unknown("no term fell due", 100.0),
    }


def _just_ended(period: Period, now: datetime) -> int:
    """Return how many apps ended in the period too recently to count as lost."""
    lost = AppEvent.objects.filter(app=OuterRef("pk"), kind=Kind.LOST, at=OuterRef("end_at"))
    start = max(period.start, now - LOST_AFTER)
    ended = AppLife.objects.filter(end_at__gte=start, end_at__lt=period.end)
    return ended.exclude(Exists(lost)).count()


def _decided(period: Period, now: datetime) -> float:
    """Return the percentage of the period in which losses are final."""
    certain = min(max(now - LOST_AFTER, period.start), period.end)
    return share((certain - period.start).total_seconds(), (period.end - period.start).total_seconds())


def _undecided(period: Period, decided: float) -> Known:
    known = shown_day(period.last_day + LOST_AFTER + DAY)
    return unknown(f"an app counts as lost 7 days after its end: known on {known}", decided)


def owners(period: Period, before: Period, fees_sat: int | None, state: State) -> dict[str, Known]:
    """Return paying owners, and net retention of the owners at the period's start. Three queries.

    `fees_sat`: all payments of the period.
    """
    keys = ("paying_owners", "new_owners", "returning_owners", "net_retention")
    if missing := state.unread(period):
        return dict.fromkeys(keys, missing)
    paid, kept = payers(period), state.waits(before) or retention(period)
    coverage = share(paid.sat, fees_sat or 0)
    return {
        "paying_owners": Known(paid.paying, coverage),
        "new_owners": Known(paid.new, coverage),
        "returning_owners": Known(paid.returning, coverage),
        "net_retention": kept if isinstance(kept, Known) else _retained(kept.percent),
    }


def _retained(percent: float | None) -> Known:
    return unknown("no app with a price was in force when it began", 100.0) if percent is None else Known(percent)


def concentration(period: Period, fees_sat: int | None, state: State) -> dict[str, Known]:
    """Return how concentrated the fees are on few apps. One query."""
    keys = ("top10_share", "apps_for_80")
    if missing := state.unread(period):
        return dict.fromkeys(keys, missing)
    few = customers.concentration(paid_by("app", period).values())
    if few.apps_for_80_percent is None:
        return dict.fromkeys(keys, unknown("no app is known to have paid"))
    coverage = share(few.sat, fees_sat or 0)
    return {
        "top10_share": Known(few.top10_percent, coverage),
        "apps_for_80": Known(few.apps_for_80_percent, coverage),
    }
