"""Price payments at the close of their UTC day (docs/upstream.md#prices), and fetch missing closes.

Before the close, a payment younger than 24 hours gets the live price. Without a trusted price it stays NULL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet, Sum

from fluxtracker import money
from fluxtracker.api.report_serializers import described
from fluxtracker.batches import ROWS, backoff, chunks
from fluxtracker.periods import DAY, midnight
from fluxtracker.upstream import trusted_price
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.errors import UpstreamError
from fluxtracker.upstream.trusted_price import DayPrices, Days, Quote
from ops import audit_log
from ops.jobs.runs import Run
from revenue import ledger
from revenue.models import DailyPrice, DailyTotal, LedgerState, LivePrice, Payment
from revenue.selectors import day_batches, open_totals

FIRST_PAUSE = timedelta(hours=1)
LONGEST_PAUSE = timedelta(days=1)
LIVE_FOR = timedelta(hours=24)  # payments younger than this get the live price until their day's close is known
LIVE_PRICE_KEEPS = timedelta(minutes=10)
MOST_PAYMENTS = 5_000  # of the days written in one database transaction
# One statement per batch, which the ORM cannot express; both engines name the columns of VALUES like this.
SET_USD = """
    UPDATE revenue_payment SET price_usd = batch.column2, usd_micro = batch.column3
    FROM (VALUES {rows}) AS batch WHERE revenue_payment.id = batch.column1
"""
# Adding avoids counting every app's rows again for each batch when all payments are first priced.
ADD_USD = """
    UPDATE revenue_app SET usd_micro = usd_micro + batch.column2, priced = priced + batch.column3
    FROM (VALUES {rows}) AS batch WHERE revenue_app.id = batch.column1
"""
COLUMNS = ("id", "amount_sat", "day", "address", "app_id", "usd_micro", "price_usd")

Row = tuple[Any, ...]  # of COLUMNS


def priced() -> QuerySet[DailyPrice]:
    return DailyPrice.objects.filter(price_usd__isnull=False)


def pausing_days(now: datetime) -> QuerySet[DailyPrice]:
    """Return days without a trusted price whose pause is not over."""
    return DailyPrice.objects.filter(price_usd=None, next_attempt_at__gt=now)


def stored(days: Collection[date]) -> Days:
    """Return the stored closes among these days."""
    if not days:
        return {}
    rows = priced().filter(day__gte=min(days), day__lte=max(days)).values_list("day", "price_usd", "source")
    return {day: Quote(price, source) for day, price, source in rows if price is not None and day in days}


def known(without: Collection[date] = ()) -> dict[date, Decimal]:
    """Return the prices to compare with: the closes, and the live price by the day it was read."""
    closes = {day: price for day, price in priced().values_list("day", "price_usd") if price and day not in without}
    live = LivePrice.last()
    return closes if live is None else {live.read_at.date(): live.price_usd, **closes}


def last_known(now: datetime) -> Decimal | None:
    """Return the last price: a live one under a day old, else the newer of it and the last close."""
    live = LivePrice.last()
    if live is not None and now - live.read_at < DAY:
        return live.price_usd
    close = priced().order_by("-day").first()
    if close is not None and (live is None or midnight(close.day + DAY) > live.read_at):
        return close.price_usd
    return live.price_usd if live else None


def unsettled(now: datetime, first: date | None, last: date | None) -> set[date]:
    """Return past days whose payments still have a live price, for lack of a close."""
    done = DailyPrice.objects.filter(Q(price_usd__isnull=False) | Q(next_attempt_at__gt=now)).values("day")
    days = open_totals().filter(between(first, last), day__lt=now.date(), priced__gt=0)
    return set(days.exclude(day__in=done).values_list("day", flat=True))


def between(first: date | None, last: date | None) -> Q:
    """Return the condition for these UTC days, inclusive. None leaves an end open."""
    return (Q(day__gte=first) if first else Q()) & (Q(day__lte=last) if last else Q())


def ask(missing: Collection[date], http: Http, now: datetime, last: date | None = None) -> Days:
    """Fetch the closes from the first missing day to `last` or yesterday; return new ones. Days still missing pause.

    Days without payments have a close as well: history and reports show it.
    """
    if not missing:
        return {}
    answer = trusted_price.daily_prices(http, min(missing), last or now.date() - DAY, now, known())
    lacking = [day for day in missing if day not in answer.found]
    tried = DailyPrice.objects.in_bulk(lacking)
    save(_pausing(day, tried.get(day), answer.doubted.get(day), now) for day in lacking)
    had = stored({*answer.found})
    return {day: quote for day, quote in answer.found.items() if day not in had}


def doubted() -> QuerySet[DailyPrice]:
    """Return open days with payments that have only a doubted price, newest first."""
    return (
        DailyPrice.objects.filter(price_usd=None, day__in=open_totals().values("day"))
        .exclude(doubt="")
        .order_by("-day")
    )


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
    wait = backoff(FIRST_PAUSE, attempts, LONGEST_PAUSE)
    words = f"{doubt.source}: {doubt.price.normalize():f}" if doubt else ""
    return DailyPrice(day=day, attempts=attempts, next_attempt_at=now + wait, doubt=words)


@dataclass(frozen=True, slots=True)
class UsdReport:
    """Number of payments that got a USD value, and of those still without one."""

    updated: int
    remaining: int = field(metadata=described("Payments without a price; with `force`, those that keep the old one."))
    closed_days: int | None = field(
        default=None,
        metadata=described("With `force`: days whose totals are frozen.", required=False, allow_null=False),
    )


@dataclass(frozen=True, slots=True)
class Actor:
    """The user or command that prices days again, for the audit log. `address` None: a command."""

    name: str
    address: str | None = None


def refresh_live_price(*, http: Http, now: datetime) -> Quote:
    """Fetch and store the current price. UpstreamError if no source reports a trusted one."""
    quote = trusted_price.live_price(http, now, last_known(now))
    LivePrice.objects.update_or_create(
        id=1, defaults={"price_usd": quote.price, "source": quote.source, "read_at": now}
    )
    return quote


def price_payments(
    *,
    http: Http,
    now: datetime,
    limit: int | None = None,
    within: timedelta | None = None,
    first: date | None = None,
    last: date | None = None,
) -> UsdReport:
    """Price payments that have no USD value: the newest `limit`, those `within` a time before now, or all.

    `first` and `last` limit the days. Payments with a live price get the close of their day once it is known.
    Days without a trusted price are skipped while they pause: an hour, then twice as long each time, up to a day.
    UpstreamError at the end if a source failed, after pricing the rest.
    """
    fresh, days = _waiting(now, limit, within, first, last)
    since = (now - within).date() if within else first
    closes = stored(days)
    failures: list[UpstreamError] = []
    updated = 0
    try:
        missing = (days - closes.keys()) | unsettled(now, since, last)
        closes |= ask(missing, http, now, last)
    except UpstreamError as error:
        failures.append(error)
    updated += _apply(closes)
    try:
        updated += _price_fresh(fresh, http, now)
    except UpstreamError as error:
        failures.append(error)
    if failures:
        raise failures[0]
    return UsdReport(updated, Payment.objects.unpriced().filter(between(first, last)).count())


def price_again(
    *, http: Http, now: datetime, first: date | None, last: date | None, run: Run, actor: Actor
) -> UsdReport:
    """Price all payments of these days again. Without a trusted price the old one stays.

    Closed days are left unchanged. For today, the live price is fetched.
    """
    closed_through = LedgerState.last_closed_day() or date.min
    totals = DailyTotal.objects.filter(between(first, last))
    payments: dict[date, int] = dict(
        totals.filter(day__gt=closed_through).order_by().values_list("day").annotate(payments=Sum("payments"))
    )
    closed = totals.filter(day__lte=closed_through).values("day").distinct().count()
    stored = priced().filter(between(first, last), day__gt=closed_through).values_list("day", flat=True)
    over = {day for day in (*payments, *stored) if day < now.date()}
    closes = offers(over, http=http, now=now).found if over else {}
    updated = _apply({day: closes[day] for day in over & closes.keys()}, again=actor, run=run)
    if now.date() in payments:
        live = refresh_live_price(http=http, now=now)
        updated += _apply({now.date(): live}, again=actor, run=run, store=False)
    return UsdReport(updated, sum(payments.get(day, 0) for day in over - closes.keys()), closed)


def offers(days: Collection[date], *, http: Http, now: datetime) -> DayPrices:
    """Return the prices offered for these days, compared with all other days."""
    return trusted_price.daily_prices(http, min(days), max(days), now, known(without=days))


def replace(closes: Days, *, run: Run, actor: Actor) -> int:
    """Replace the closes of these days and price their payments; return how many."""
    return _apply(closes, again=actor, run=run)


def _waiting(
    now: datetime, limit: int | None, within: timedelta | None, first: date | None, last: date | None
) -> tuple[list[int], set[date]]:
    """Return the fresh payments among the newest without a price, and the past days of the others."""
    edge, pausing = now - LIVE_FOR, pausing_days(now).values("day")
    rows = Payment.objects.unpriced().filter(Q(paid_at__gt=edge) | ~Q(day__in=pausing), between(first, last))
    if within is not None:
        rows = rows.filter(paid_at__gte=now - within)
    newest = Payment.objects.filter(id__in=rows.newest_first().values("id")[:limit])
    days = newest.filter(day__lt=now.date()).exclude(day__in=pausing).values_list("day", flat=True).distinct()
    return list(newest.filter(paid_at__gt=edge).values_list("id", flat=True)), set(days)


def _price_fresh(fresh: Sequence[int], http: Http, now: datetime) -> int:
    """Set the live price on payments without a price."""
    updated = 0
    for ids in chunks(fresh, ROWS):
        rows = Payment.objects.unpriced().filter(id__in=ids)
        if rows.exists():
            price = _live_price(http, now)
            with ledger.writing():
                # Read inside the lock: a reorganisation may have moved or removed a payment.
                waiting = list(rows.values_list(*COLUMNS))
                updated += len(_set_prices(waiting, dict.fromkeys({row[2] for row in waiting}, price)))
    return updated


def _live_price(http: Http, now: datetime) -> Decimal:
    """Return the live price, fetched unless it was read in the last 10 minutes."""
    known = LivePrice.objects.filter(id=1, read_at__gt=now - LIVE_PRICE_KEEPS, read_at__lte=now).first()
    return known.price_usd if known else refresh_live_price(http=http, now=now).price


def _apply(closes: Days, *, again: Actor | None = None, run: Run | None = None, store: bool = True) -> int:
    """Store the prices, price the payments of their days, and return how many.

    Without `again`, skip payments with that price and imported ones, which came with a value but no price.
    """
    updated = 0
    for batch in day_batches(closes, MOST_PAYMENTS):
        with ledger.writing() as state:
            if run:
                run.guard()
            if again and state.closed_through:
                batch = [day for day in batch if day > state.closed_through]
            before = DailyPrice.objects.in_bulk(batch)
            news = {day for day in batch if store and (day not in before or before[day].price_usd != closes[day].price)}
            save(DailyPrice(day=day, price_usd=closes[day].price, source=closes[day].source) for day in news)
            rows = Payment.objects.filter(day__in=batch)
            if not again:
                rows = rows.exclude(price_usd=None, usd_micro__isnull=False)
            payments = list(rows.values_list(*COLUMNS))
            changed = _set_prices(payments, {day: closes[day].price for day in batch})
            updated += len(payments if again else changed)
            if again:
                _audit_changes(news, before, closes, changed, again)
        if run:
            run.progress(f"priced {batch[-1]}" if batch else "priced")
    return updated


def _set_prices(payments: Sequence[Row], prices: Mapping[date, Decimal]) -> list[Row]:
    """Update price, USD and all sums of payments with another price; return these payments."""
    changed = [row for row in payments if prices[row[2]] != row[6]]
    if changed:
        worths = [money.usd_micro(row[1], prices[row[2]]) for row in changed]
        stored = {day: connection.ops.adapt_decimalfield_value(price, 20, 10) for day, price in prices.items()}
        _execute(SET_USD, [(row[0], stored[row[2]], worth) for row, worth in zip(changed, worths, strict=True)])
        ledger.recompute_days({(row[2], row[3]) for row in changed})
        _add_usd(changed, worths)
    return changed


def _add_usd(priced: Sequence[Row], worths: Sequence[int]) -> None:
    """Add the new USD values to the sums of the apps."""
    usd: Counter[int] = Counter()
    count: Counter[int] = Counter()
    for (_, _, _, _, app, before, _), worth in zip(priced, worths, strict=True):
        if app is not None:
            usd[app] += worth - (before or 0)
            count[app] += before is None
    _execute(ADD_USD, [(app, usd[app], count[app]) for app in count])


def _execute(statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run a statement over rows of three values, in batches."""
    for batch in chunks(rows, ROWS):
        with connection.cursor() as cursor:
            cursor.execute(statement.format(rows=", ".join(["(%s, %s, %s)"] * len(batch))), [*chain(*batch)])


def _audit_changes(
    news: set[date], before: Mapping[date, DailyPrice], closes: Days, changed: Sequence[Row], actor: Actor
) -> None:
    """Log each day with a changed price, its own or its payments', in the audit log."""
    had = {row[2]: row[6] for row in changed}
    payments = Counter(row[2] for row in changed)
    for day in sorted(news | payments.keys()):
        old = before[day].price_usd if day in before else had.get(day)
        detail = {
            "day": day.isoformat(), "old": None if old is None else f"{old:f}", "new": f"{closes[day].price:f}",
            "source": closes[day].source, "payments": payments[day],
        }  # fmt: skip
        audit_log.record(
            actor=actor.name, address=actor.address, action="price day again", outcome=audit_log.DONE, detail=detail
        )
