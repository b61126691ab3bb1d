"""What payments were worth in US dollars when they were made (upstream.md 6).

A payment younger than 24 hours takes the live price, an older one the price of its UTC day; where nobody
tells that price the payment waits with NULL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db import connection
from django.db.models import Q, QuerySet

from fluxtracker import money
from fluxtracker.upstream import prices
from fluxtracker.upstream.errors import UpstreamError
from fluxtracker.upstream.http import Http
from fluxtracker.upstream.prices import Quote
from revenue import ledger
from revenue.models import DailyPrice, LivePrice, Payment

LIVE_FOR = timedelta(hours=24)  # payments younger than this take the live price
LIVE_PRICE_KEEPS = timedelta(minutes=10)
FIRST_PAUSE = timedelta(hours=1)
LONGEST_PAUSE = timedelta(days=1)
BATCH = 1_000  # rows written in one database transaction
# One statement for a batch, which the ORM cannot say; both engines name the columns of VALUES so.
SET_USD = """
    UPDATE revenue_payment SET price_usd = told.column2, usd_micro = told.column3
    FROM (VALUES {rows}) AS told WHERE revenue_payment.id = told.column1
"""
# Adding keeps a first pricing of all payments from counting every app's rows again for each batch.
ADD_USD = """
    UPDATE revenue_app SET usd_micro = usd_micro + told.column2, priced = priced + told.column3
    FROM (VALUES {rows}) AS told WHERE revenue_app.id = told.column1
"""

Waiting = list[tuple[int, date]]  # id and UTC day of payments
Priced = Sequence[tuple[int, int, Decimal]]  # id, satoshi and price of payments
Pricing = Callable[[Waiting, Http, datetime], int]


@dataclass(frozen=True, slots=True)
class UsdReport:
    """How many payments got a USD value, and how many of the ledger still have none."""

    updated: int
    remaining: int


def refresh_live_price(*, http: Http, now: datetime) -> Quote:
    """Ask for the price now and remember it. UpstreamError when no source tells one."""
    quote = prices.live_price(http)
    LivePrice.objects.update_or_create(
        id=1, defaults={"price_usd": quote.price, "source": quote.source, "read_at": now}
    )
    return quote


def price_payments(
    *, http: Http, now: datetime, limit: int | None = None, within: timedelta | None = None
) -> UsdReport:
    """Give USD values to payments without one: the newest `limit`, those of the time `within` before now, or all.

    Days that no source had a price for are left out while they pause: an hour, then twice as long each time,
    up to a day. UpstreamError at the end when a source failed; what could be priced is priced by then.
    """
    fresh, older = _waiting(now, limit, within)
    updated = 0
    failures: list[UpstreamError] = []
    steps: tuple[tuple[Pricing, Waiting], ...] = (_price_fresh, fresh), (_price_by_day, older)
    for price, rows in steps:
        try:
            updated += price(rows, http, now)
        except UpstreamError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return UsdReport(updated, Payment.objects.unpriced().count())


def _waiting(now: datetime, limit: int | None, within: timedelta | None) -> tuple[Waiting, Waiting]:
    """Payments to price, newest first: the fresh ones and the older ones."""
    edge = now - LIVE_FOR
    pausing = DailyPrice.objects.filter(price_usd=None, next_attempt_at__gt=now).values("day")
    rows: QuerySet[Payment] = Payment.objects.unpriced().filter(Q(paid_at__gt=edge) | ~Q(day__in=pausing))
    if within is not None:
        rows = rows.filter(paid_at__gte=now - within)
    fresh: Waiting = []
    older: Waiting = []
    newest = rows.order_by("-paid_at", "-id").values_list("id", "day", "paid_at")
    for payment, day, paid_at in newest[:limit].iterator():
        (fresh if paid_at > edge else older).append((payment, day))
    return fresh, older


def _price_fresh(rows: Waiting, http: Http, now: datetime) -> int:
    if not rows:
        return 0
    price = _live_price(http, now)
    return _write(rows, lambda day: price)


def _live_price(http: Http, now: datetime) -> Decimal:
    """The live price, asked for when it was not read in the last 10 minutes."""
    known = LivePrice.objects.filter(id=1, read_at__gt=now - LIVE_PRICE_KEEPS, read_at__lte=now).first()
    return known.price_usd if known else refresh_live_price(http=http, now=now).price


def _price_by_day(rows: Waiting, http: Http, now: datetime) -> int:
    """Price what is known already, then ask for the days that are missing, all at once."""
    if not rows:
        return 0
    days = {day for _, day in rows}
    known = _daily_prices(days)
    failure: UpstreamError | None = None
    try:
        _ask_for(sorted(days - known.keys()), http, now)
    except UpstreamError as error:
        failure = error
    known = _daily_prices(days)
    updated = _write([row for row in rows if row[1] in known], known.get)
    if failure:
        raise failure
    return updated


def _daily_prices(days: set[date]) -> dict[date, Decimal]:
    """The stored prices of these days, as far as there are any."""
    stored = DailyPrice.objects.filter(day__gte=min(days), day__lte=max(days), price_usd__isnull=False)
    return {day: price for day, price in stored.values_list("day", "price_usd") if price is not None and day in days}


def _ask_for(missing: Sequence[date], http: Http, now: datetime) -> None:
    """Ask for the span of the missing days and store what came; the others pause. Never changes a stored price."""
    if not missing:
        return
    found = prices.daily_prices(http, missing[0], missing[-1], now.date())
    rows = [DailyPrice(day=day, price_usd=quote.price, source=quote.source) for day, quote in found.items()]
    stored = _daily_prices({missing[0], *found, missing[-1]})
    _store([row for row in rows if row.day not in stored])
    tried = DailyPrice.objects.in_bulk([day for day in missing if day not in found])
    _store([_pausing(day, tried.get(day), now) for day in missing if day not in found])


def _store(rows: list[DailyPrice]) -> None:
    DailyPrice.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["day"],
        update_fields=["price_usd", "source", "attempts", "next_attempt_at"],
    )


def _pausing(day: date, tried: DailyPrice | None, now: datetime) -> DailyPrice:
    attempts = tried.attempts + 1 if tried else 1
    wait = min(FIRST_PAUSE * 2 ** min(attempts - 1, 10), LONGEST_PAUSE)
    return DailyPrice(day=day, attempts=attempts, next_attempt_at=now + wait)


def _write(rows: Waiting, price_of: Callable[[date], Decimal | None]) -> int:
    """Set price and USD of the payments, and their days' totals with them; how many were set."""
    updated = 0
    for start in range(0, len(rows), BATCH):
        with ledger.writing():
            # Read again inside the lock: a reorganisation may have moved or removed a payment meanwhile.
            ids = [payment for payment, _ in rows[start : start + BATCH]]
            current = Payment.objects.unpriced().filter(id__in=ids)
            found = list(current.values_list("id", "amount_sat", "day", "address", "app_id"))
            priced = [(row[0], row[1], price) for row in found if (price := price_of(row[2])) is not None]
            _set_usd(priced)
            ledger.recompute_days({(day, address) for _, _, day, address, _ in found})
            _add_usd({row[0]: row[4] for row in found}, priced)
            updated += len(priced)
    return updated


def _set_usd(priced: Priced) -> None:
    """Store price and USD of payments."""
    if not priced:
        return
    values: list[Decimal | str | int | None] = []
    for payment, amount_sat, price in priced:
        stored = connection.ops.adapt_decimalfield_value(price, max_digits=20, decimal_places=10)
        values += (payment, stored, money.usd_micro(amount_sat, price))
    with connection.cursor() as cursor:
        cursor.execute(SET_USD.format(rows=", ".join(["(%s, %s, %s)"] * len(priced))), values)


def _add_usd(apps: Mapping[int, int | None], priced: Priced) -> None:
    """Bring the sums of the apps in line with payments that were priced. `apps`: each payment's app."""
    usd: Counter[int] = Counter()
    count: Counter[int] = Counter()
    for payment, amount_sat, price in priced:
        app = apps[payment]
        if app is not None:
            usd[app] += money.usd_micro(amount_sat, price)
            count[app] += 1
    if count:
        values = [value for app in count for value in (app, usd[app], count[app])]
        with connection.cursor() as cursor:
            cursor.execute(ADD_USD.format(rows=", ".join(["(%s, %s, %s)"] * len(count))), values)
