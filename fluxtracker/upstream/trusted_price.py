"""Find a FLUX price that can be trusted (docs/upstream.md#prices).

A price more than 2.5 times above or below its neighbours needs a second source within 20 %.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import median_high, median_low

import structlog

from fluxtracker.periods import DAY
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.errors import Unavailable, UpstreamError
from fluxtracker.upstream.price_feeds import (
    Days,
    Quote,
    binance_days,
    binance_now,
    coingecko_days,
    coingecko_now,
    cryptocompare_days,
    cryptocompare_now,
    explorer_currency,
    explorer_market,
)

__all__ = ["DayPrices", "Days", "Doubted", "Quote", "daily_prices", "live_price"]

log = structlog.get_logger(__name__)

NOW = (coingecko_now, explorer_currency, explorer_market, binance_now, cryptocompare_now)
BY_DAY = (coingecko_days, binance_days, cryptocompare_days)
MOST_TIMES = Decimal("2.5")  # beyond this factor a price is doubted
AGREEMENT = Decimal("0.2")  # how far off a second source may be to confirm it
NEIGHBOURS = timedelta(days=30)  # days further apart are not comparable

Known = Mapping[date, Decimal]


class Doubted(UpstreamError):
    """The price is too far off the last known one, or has nothing to compare with, and is not confirmed."""


@dataclass(frozen=True, slots=True)
class DayPrices:
    """The closes of days. `doubted`: quotes for days without a trusted price."""

    found: Days
    doubted: Days


def live_price(http: Http, now: datetime, known: Decimal | None = None) -> Quote:
    """Return the current price: the first near the last known one, or confirmed by a second source.

    A price that has nothing to compare with is taken unless another source's is far off. Doubted when there is none
    to trust, Unavailable when no source tells one.
    """
    failures: list[UpstreamError] = []
    near: list[Quote] = []
    doubted: list[Quote] = []
    for feed in NOW:
        try:
            quote = feed(http, now)
        except UpstreamError as error:
            failures.append(error)
            continue
        if quote is None:
            continue
        is_near = known is not None and _is_near(quote.price, known)
        witnessed = None if is_near else next((one for one in doubted if _confirms(quote, one)), None)
        if witnessed or (is_near and not doubted):
            return _accepted(witnessed or quote, doubted, failures)
        (near if is_near else doubted).append(quote)
    if not near and not doubted:
        raise Unavailable("prices", "now", _all(failures))
    rivals = [quote for quote in doubted if quote.source != doubted[0].source]
    if near or (known is None and all(_is_near(rival.price, doubted[0].price) for rival in rivals)):
        return _accepted([*near, *doubted][0], doubted, failures)
    raise Doubted("prices", "now", _doubt(doubted, known))


def daily_prices(http: Http, first: date, last: date, now: datetime, known: Known) -> DayPrices:
    """Return the closes of the UTC days `first` to `last` that are over, as far as the sources have them.

    `known` are trusted prices of other days. UpstreamError only when every source that was asked failed.
    """
    trusted: Days = {}
    offers: list[Days] = []  # all quotes: days outside the span are neighbours too
    failures: list[UpstreamError] = []
    span = [first + DAY * number for number in range((min(last, now.date() - DAY) - first).days + 1)]
    for feed in BY_DAY:
        missing = [day for day in span if day not in trusted]
        if not missing:
            break
        try:
            days = feed(http, missing[0], missing[-1], now)
        except UpstreamError as error:
            failures.append(error)
            continue
        if days is not None:
            offers.append({day: quote for day, quote in days.items() if day < now.date()})
            trusted = _trusted(offers, known)
    if failures and not offers:
        raise Unavailable("prices", "by day", _all(failures))
    for failure in failures:
        log.warning("price_source_failed", error=str(failure))
    trusted |= _unrivalled(offers, {*trusted, *known})
    doubted = {day: quote for offer in reversed(offers) for day, quote in offer.items() if day not in trusted}
    answer = DayPrices(*({day: days[day] for day in span if day in days} for days in (trusted, doubted)))
    if answer.doubted:
        first, last = min(answer.doubted), max(answer.doubted)
        log.warning("day_prices_doubted", days=len(answer.doubted), first=str(first), last=str(last))
    return answer


def _trusted(offers: Sequence[Days], known: Known) -> Days:
    """Return prices confirmed by another source, and those near the closest trusted day before or after."""
    trusted = {
        day: quote
        for offer in reversed(offers)
        for day, quote in offer.items()
        if any(day in other and _confirms(other[day], quote) for other in offers)
    }
    days = sorted({*known, *(day for offer in offers for day in offer)})
    for order in (days, days[::-1]):
        closest: tuple[date, Decimal] | None = None
        for day in order:
            if day in known:
                closest = day, known[day]
            for offer in offers:
                if day not in trusted and day in offer and closest and abs(day - closest[0]) <= NEIGHBOURS:
                    trusted |= {day: offer[day]} if _is_near(offer[day].price, closest[1]) else {}
            closest = (day, trusted[day].price) if day in trusted else closest
    return trusted


def _unrivalled(offers: Sequence[Days], anchors: Collection[date]) -> Days:
    """Return closes of days without a trusted neighbour, if most are at one level.

    With several sources, return the first one's quotes near its level, if all are at about that level.
    """
    trusted: Days = {}
    for days in _neighbourhoods({*anchors, *(day for offer in offers for day in offer)}):
        quoted = [quotes for offer in offers if (quotes := {day: offer[day] for day in days if day in offer})]
        levels = [_usual(offer) for offer in quoted]
        prices = [next(iter(level.values())) for level in levels if level]
        is_one = len(prices) == len(quoted) and all(_is_near(price, prices[0]) for price in prices)
        if is_one and not any(day in anchors for day in days):
            trusted |= _trusted(quoted, levels[0])
    return trusted


def _neighbourhoods(days: Iterable[date]) -> list[list[date]]:
    """Return the days in order, in groups too far apart to be comparable."""
    pieces: list[list[date]] = []
    for day in sorted(days):
        if not pieces or day - pieces[-1][-1] > NEIGHBOURS:
            pieces.append([])
        pieces[-1].append(day)
    return pieces


def _usual(offer: Days) -> dict[date, Decimal]:
    """Return the days near the median price, none if the two halves of the prices are far apart."""
    prices = [quote.price for quote in offer.values()]
    low, high = median_low(prices), median_high(prices)
    return {day: quote.price for day, quote in offer.items() if quote.price == low} if _is_near(low, high) else {}


def _is_near(price: Decimal, other: Decimal) -> bool:
    return max(price, other) <= min(price, other) * MOST_TIMES


def _confirms(witness: Quote, quote: Quote) -> bool:
    is_other = witness.source != quote.source
    return is_other and abs(witness.price - quote.price) <= quote.price * AGREEMENT


def _accepted(quote: Quote, doubted: Iterable[Quote], failures: Iterable[UpstreamError]) -> Quote:
    """Return the accepted quote, after logging each source that was of no use."""
    for failure in failures:
        log.warning("price_source_failed", error=str(failure), used_instead=quote.source)
    for one in doubted:
        if not (one is quote or _confirms(one, quote)):
            log.warning("price_doubted", source=one.source, price=f"{one.price:f}", used_instead=quote.source)
    return quote


def _doubt(doubted: Sequence[Quote], known: Decimal | None) -> str:
    quotes = ", ".join(f"{quote.source} {quote.price.normalize():f}" for quote in doubted)
    if known is None:
        return f"the sources disagree: {quotes}"
    last = f"the last known price {known.normalize():f}"
    return f"more than {MOST_TIMES} times off {last}, and not confirmed by a second source: {quotes}"


def _all(failures: list[UpstreamError]) -> str:
    return "; ".join(map(str, failures))[:400] or "no source is configured"
