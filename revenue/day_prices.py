"""The closing prices of UTC days: those that are stored, asking for those that are missing, and what is doubted."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import Q, QuerySet

from fluxtracker.periods import midnight
from fluxtracker.upstream import prices
from fluxtracker.upstream.http import Http
from fluxtracker.upstream.prices import Days, Quote
from revenue.models import DailyPrice, DailyTotal, LedgerState, LivePrice

DAY = timedelta(days=1)
FIRST_PAUSE = timedelta(hours=1)
LONGEST_PAUSE = timedelta(days=1)


def priced() -> QuerySet[DailyPrice]:
    return DailyPrice.objects.filter(price_usd__isnull=False)


def pausing(now: datetime) -> QuerySet[DailyPrice]:
    """Return days without a trusted price that are not to be asked for yet."""
    return DailyPrice.objects.filter(price_usd=None, next_attempt_at__gt=now)


def stored(days: Collection[date]) -> Days:
    """Return the stored closes of these days, as far as there are any."""
    if not days:
        return {}
    rows = priced().filter(day__gte=min(days), day__lte=max(days)).values_list("day", "price_usd", "source")
    return {day: Quote(price, source) for day, price, source in rows if price is not None and day in days}


def known(without: Collection[date] = ()) -> dict[date, Decimal]:
    """Return what prices are compared with: the closes, and the live price under the day it was read on."""
    closes = {day: price for day, price in priced().values_list("day", "price_usd") if price and day not in without}
    live = LivePrice.objects.filter(id=1).first()
    return closes if live is None else {live.read_at.date(): live.price_usd, **closes}


def last_known(now: datetime) -> Decimal | None:
    """Return the last price: the live one of the last day, else the newer one of that and the last close."""
    live = LivePrice.objects.filter(id=1).first()
    if live is not None and now - live.read_at < DAY:
        return live.price_usd
    close = priced().order_by("-day").first()
    if close is not None and (live is None or midnight(close.day + DAY) > live.read_at):
        return close.price_usd
    return live.price_usd if live else None


def unsettled(now: datetime, first: date | None, last: date | None) -> set[date]:
    """Return days that are over and have payments with a price, but no close yet: theirs is a live price."""
    closed_through = LedgerState.objects.values_list("closed_through", flat=True).filter(id=1).first() or date.min
    done = DailyPrice.objects.filter(Q(price_usd__isnull=False) | Q(next_attempt_at__gt=now)).values("day")
    days = DailyTotal.objects.filter(between(first, last), day__gt=closed_through, day__lt=now.date(), priced__gt=0)
    return set(days.exclude(day__in=done).values_list("day", flat=True))


def between(first: date | None, last: date | None) -> Q:
    """Return the condition for these UTC days, both included. None leaves an end open."""
    return (Q(day__gte=first) if first else Q()) & (Q(day__lte=last) if last else Q())


def ask(missing: Collection[date], http: Http, now: datetime) -> Days:
    """Ask for the span of the missing days and return what came of days without a close. The missing others pause."""
    if not missing:
        return {}
    compared_with = known()
    answer = prices.daily_prices(http, min(missing), max(missing), now, compared_with)
    lacking = [day for day in missing if day not in answer.found]
    tried = DailyPrice.objects.in_bulk(lacking)
    save(_pausing(day, tried.get(day), answer.doubted.get(day), now) for day in lacking)
    had = stored({*answer.found})
    return {day: quote for day, quote in answer.found.items() if day not in had}


def doubted() -> QuerySet[DailyPrice]:
    """Return the open days with payments whose only price is a doubted one, newest first."""
    closed_through = LedgerState.objects.values_list("closed_through", flat=True).filter(id=1).first() or date.min
    totals = DailyTotal.objects.filter(day__gt=closed_through).values("day")
    return DailyPrice.objects.filter(price_usd=None, day__in=totals).exclude(doubt="").order_by("-day")


def save(rows: Iterable[DailyPrice]) -> None:
    DailyPrice.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["day"],
        update_fields=["price_usd", "source", "attempts", "next_attempt_at", "doubt"],
        batch_size=1_000,
    )


def _pausing(day: date, tried: DailyPrice | None, doubt: Quote | None, now: datetime) -> DailyPrice:
    attempts = tried.attempts + 1 if tried else 1
    wait = min(FIRST_PAUSE * 2 ** min(attempts - 1, 10), LONGEST_PAUSE)
    words = f"{doubt.source}: {doubt.price.normalize():f}" if doubt else ""
    return DailyPrice(day=day, attempts=attempts, next_attempt_at=now + wait, doubt=words)
