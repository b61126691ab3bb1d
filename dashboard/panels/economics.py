"""Show the sources of the selected period's revenue, and prepaid future revenue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict

from dashboard.panels import periods
from dashboard.panels.base import Panel
from dashboard.panels.periods import Chosen
from deployments import run_rate
from deployments.models import AppLife
from deployments.run_rate import Amount, Ending, ForecastDay
from deployments.selectors import kinds
from deployments.selectors import stamp as messages_stamp
from deployments.splits.daily import CATEGORY, SOURCE, Splits, Sums
from fluxtracker import formatting
from fluxtracker.periods import DAY, Bucket, Period, midnight
from metrics.metric_keys import percent
from revenue.labels import UNKNOWN
from revenue.models import ChangedDay, Label, LedgerState

LISTED = 8  # categories; the others are summed
AHEAD = 30  # days
TEAM = Label.Category.TEAM.value
SOURCES: Mapping[str, str] = {
    "card": "Card gateway (customers who pay by card)",
    TEAM: "Flux team",
    "platform": "Wallets of the platform",
    "other": "Everybody else",
    UNKNOWN: "Not known (pruned before senders were stored)",
}
CATEGORIES: Mapping[str, str] = {
    UNKNOWN: "Not known (encrypted or no app)",
    "rpc-node": "RPC nodes",
    "wordpress": "WordPress",
}
PAID_KINDS = ("new", "reregistered", "won_back", "renewal", "change", "shortened", "cancelled")
KINDS = {kind: kind.replace("_", " ").capitalize() for kind in PAID_KINDS}
NOTHING: Sums = (0, 0, 0, 0)
LISTED_APPS = 20  # the file has all
NOT_SPLIT = "Many days have changed; they are split with the next update."
NO_PAYMENT = "No payment in this period yet."


def read_origins(query: QueryDict, now: datetime) -> dict[str, Any]:
    """Read both splits and the messages of the selected period's whole days. Eleven queries for any period."""
    chosen = periods.chosen(query, now)
    days = _days(chosen, now)
    sources, categories = (
        Splits.load(key, days.first_day, days.last_day).of(days.days()) for key in (SOURCE, CATEGORY)
    )
    total = sum(part[0] for part in (sources or {}).values())
    messages = _kinds(days, now)
    organic = total - (sources or {}).get(TEAM, (0,))[0]
    return {
        "this": chosen.this,
        "range": periods.stretch(days, now),
        "why": NOT_SPLIT if sources is None or categories is None else "" if total else NO_PAYMENT,
        "total": total,
        "organic": organic,
        "organic_share": percent(organic, total),
        "sources": list(_parts(sources or {}, total, SOURCES)),
        "categories": list(_folded(_parts(categories or {}, total, CATEGORIES))),
        "kinds": list(_parts(messages, sum(part[0] for part in messages.values()), KINDS)),
        "days": f"{days.first_day}..{days.last_day}",
    }


def _kinds(days: Period, now: datetime) -> dict[str, Sums]:
    """Return payments and number of the messages of these days by kind, empty if not known."""
    totals: dict[str, Sums] = {}
    for row in kinds(days.first_day, days.last_day, Bucket.YEAR, now)["data"]:
        for kind in PAID_KINDS:
            sat, count, _, _ = totals.get(kind, NOTHING)
            if row[kind]["count"]:
                totals[kind] = (sat + row[kind]["sat"], count + row[kind]["count"], 0, 0)
    return totals


def ending(now: datetime, days: int = AHEAD) -> QuerySet[AppLife]:
    """Return apps in force that end within this many days after today, the next first."""
    until = midnight(now.date() + (days + 1) * DAY)
    return AppLife.objects.filter(end_at__gt=now, end_at__lt=until).order_by("end_at", "app_key")


def _days(chosen: Chosen, now: datetime) -> Period:
    """Return the days of the period so far; for a rolling one as many whole days, and today."""
    if chosen.choice.rolling:
        return Period.of_days(now.date() - chosen.choice.rolling + DAY, now.date())
    return Period.of_days(chosen.period.first_day, min(chosen.period.last_day, now.date()))


def _parts(parts: Mapping[str, Sums], total: int, names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the parts, largest first."""
    for key, (sat, payments, _, _) in sorted(parts.items(), key=lambda part: (-part[1][0], part[0])):
        label = names.get(key) or key.replace("-", " ").capitalize()
        yield {"key": key, "label": label, "sat": sat, "payments": payments, "share": percent(sat, total)}


def _folded(parts: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the first ones, and the others as one."""
    every = list(parts)
    yield from every[:LISTED]
    if rest := every[LISTED:]:
        sums = {key: sum(part[key] for part in rest) for key in ("sat", "payments")}
        share = sum(part["share"] or 0 for part in rest)
        yield {"key": "rest", "label": formatting.plural(len(rest), "more", "more"), "share": share, **sums}


def origins_stamp(query: QueryDict, now: datetime) -> object:
    return messages_stamp(now), ChangedDay.objects.count()


def read_paid(query: QueryDict, now: datetime) -> dict[str, Any]:
    """Read run-rate, balance not yet earned, and apps that end within AHEAD days."""
    ahead = run_rate.forecast(now)
    is_read, soon = ahead.deferred.sat is not None, ahead.data[:AHEAD]
    rate = run_rate.run_rate_now(LedgerState.known(), now) if is_read else run_rate.UNKNOWN
    return {
        "run_rate": _known(rate, run_rate.NO_DAY if is_read else run_rate.NOT_READ),
        "deferred": _known(ahead.deferred, run_rate.NOT_READ),
        "is_read": is_read,
        "ending": sum(day.ending.apps for day in soon) + ahead.ending_today.apps,
        "earned_soon": sum(day.accrued.sat or 0 for day in soon),
        "weeks": list(_weeks(ahead.ending_today, soon)),
        "ahead": AHEAD,
        "apps": ending(now)[:LISTED_APPS],
        "listed": LISTED_APPS,
        "unknown_ends": ahead.coverage["endsUnknown"],
    }


def _known(amount: Amount, why: str) -> dict[str, Any]:
    return {"sat": amount.sat, "usd_micro": amount.usd_micro, "why": why}


def _weeks(today: Ending, days: Sequence[ForecastDay]) -> Iterator[dict[str, Any]]:
    """Yield the number of apps that end in each seven days from today on."""
    for start in range(0, len(days), 7):
        week = days[start : start + 7]
        apps = sum(day.ending.apps for day in week) + (today.apps if start == 0 else 0)
        first = week[0].date - (timedelta(days=1) if start == 0 else timedelta())
        yield {"first": first, "last": week[-1].date, "apps": apps}


ORIGINS = Panel(
    "origins",
    "Where it comes from",
    "panels/economics/origins.html",
    read_origins,
    origins_stamp,
    keys=periods.KEYS,
    usual=periods.USUAL.key,
)
PAID = Panel("paid", "What is already paid", "panels/economics/paid.html", read_paid, origins_stamp)
