"""Price sources that answer what a test says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from fluxtracker.upstream.http.errors import Unavailable
from fluxtracker.upstream.trusted_price import DayPrices, Quote


class FakePrices:
    """What the price sources answer; None: they fail. Notes what they are asked."""

    def __init__(self) -> None:
        self.live: Decimal | None = Decimal("0.08")
        self.by_day: Mapping[date, Decimal] | None = {}
        self.doubted: set[date] = set()
        self.live_asked = 0
        self.spans: list[tuple[date, date]] = []

    def live_price(self, http: Any, now: Any, known: Any) -> Quote:
        self.live_asked += 1
        if self.live is None:
            raise Unavailable("prices", "now", "HTTP 500")
        return Quote(self.live, "coingecko")

    def daily_prices(self, http: Any, first: date, last: date, now: Any, known: Any) -> DayPrices:
        self.spans.append((first, last))
        if self.by_day is None:
            raise Unavailable("prices", "by day", "HTTP 500")
        told = {day: Quote(price, "binance") for day, price in self.by_day.items() if first <= day <= last}
        doubted = {day: quote for day, quote in told.items() if day in self.doubted}
        return DayPrices({day: quote for day, quote in told.items() if day not in doubted}, doubted)
