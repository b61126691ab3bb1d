"""Four sources of prices."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest

from fluxtracker.upstream import trusted_price as upstream_prices
from fluxtracker.upstream.trusted_price import Quote

GECKO = "https://gecko.example/api/v3"
BINANCE = "https://binance.example/api/v3"
EXPLORER = "https://explorer.example/api"
COMPARE = "https://compare.example/data"
NOW_AT_GECKO, CHART = f"{GECKO}/simple/price", f"{GECKO}/coins/zelcash/market_chart"
KLINES, HISTODAY = f"{BINANCE}/klines", f"{COMPARE}/v2/histoday"
NOW = datetime(2026, 10, 4, 1, 2, 20, tzinfo=UTC)
TODAY = NOW.date()
DAY = timedelta(days=1)
USUAL = Decimal("0.0747")


@pytest.fixture(autouse=True)
def _feeds(settings):
    settings.COINGECKO_URL, settings.BINANCE_URL = GECKO, BINANCE
    settings.FLUX_EXPLORER_URL, settings.CRYPTOCOMPARE_URL = EXPLORER, COMPARE
    settings.CRYPTOCOMPARE_API_KEY = ""


def quote(price, source):
    return Quote(Decimal(price), source)


def ms(day):
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def candle(day, close, volume="5", trades=3):
    return [ms(day), "1", "1", "1", close, volume, ms(day) + 86_399_999, "5", trades, "2", "2", "0"]


def histoday(day, close, volume=1.5):
    return {"time": ms(day) // 1000, "close": close, "volumefrom": volume, "volumeto": volume}


def live_price(http, known=USUAL, now=NOW):
    return upstream_prices.live_price(http, now, known)


def day_prices(http, first, last, today=TODAY, known=None):
    now = datetime.combine(today, NOW.time(), UTC)
    return upstream_prices.daily_prices(http, first, last, now, {first - DAY * 9: USUAL} if known is None else known)


def daily_prices(http, first, last, today=TODAY, known=None):
    return day_prices(http, first, last, today, known).found


class Candles:
    """Binance, with a candle a day from a listing day to today."""

    def __init__(self, web, since):
        self.days = [since + timedelta(days=n) for n in range((TODAY - since).days + 1)]
        self.starts = []
        web.add_callback("GET", KLINES, self._answer)

    def _answer(self, request):
        query = parse_qs(urlsplit(request.url).query)
        start, limit = int(query["startTime"][0]), int(query["limit"][0])
        self.starts.append(start)
        rows = [candle(day, f"0.07{day:%d}") for day in self.days if ms(day) >= start]
        return 200, {}, json.dumps(rows[:limit])
