"""The FLUX price in US dollars, from whichever source answers (upstream.md 6)."""

from __future__ import annotations

from datetime import date

import structlog

from fluxtracker.upstream.errors import Unavailable, UpstreamError
from fluxtracker.upstream.http import Http
from fluxtracker.upstream.price_feeds import (
    DAY,
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

__all__ = ["Days", "Quote", "daily_prices", "live_price"]

log = structlog.get_logger(__name__)

NOW = (coingecko_now, explorer_currency, explorer_market, binance_now, cryptocompare_now)
BY_DAY = (coingecko_days, binance_days, cryptocompare_days)


def live_price(http: Http) -> Quote:
    """The price now, from the first source that tells one. UpstreamError when none does."""
    failures: list[UpstreamError] = []
    for feed in NOW:
        try:
            quote = feed(http)
        except UpstreamError as error:
            failures.append(error)
            continue
        if quote is not None:
            for failure in failures:
                log.warning("price_source_failed", error=str(failure), used_instead=quote.source)
            return quote
    raise Unavailable("prices", "now", _all(failures))


def daily_prices(http: Http, first: date, last: date, today: date) -> Days:
    """Prices of the UTC days `first` to `last` and before `today`, as far as the sources have them.

    UpstreamError only when every source that was asked failed.
    """
    found: Days = {}
    failures: list[UpstreamError] = []
    asked = 0
    for feed in BY_DAY:
        missing = [day for day in _days(first, min(last, today - DAY)) if day not in found]
        if not missing:
            break
        try:
            days = feed(http, missing[0], missing[-1], today)
        except UpstreamError as error:
            failures.append(error)
            days = {}
        if days is not None:
            asked += 1
            found |= {day: days[day] for day in missing if day in days}
    if asked and len(failures) == asked:
        raise Unavailable("prices", "by day", _all(failures))
    for failure in failures:
        log.warning("price_source_failed", error=str(failure))
    return found


def _days(first: date, last: date) -> list[date]:
    return [first + DAY * number for number in range((last - first).days + 1)]


def _all(failures: list[UpstreamError]) -> str:
    return "; ".join(map(str, failures))[:400] or "no source is configured"
