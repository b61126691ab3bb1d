"""The sources of FLUX prices, one pair of questions each: now, and by UTC day (upstream.md 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.conf import settings

from fluxtracker import money
from fluxtracker.upstream.errors import BadAnswer
from fluxtracker.upstream.http import MEDIUM, Http, Params
from fluxtracker.upstream.wire import WRONG_SHAPE

COIN = "zelcash"  # FLUX at CoinGecko
PAIR = "FLUXUSDT"
COINGECKO_DAYS = 365  # the longest history without a key
KLINES_A_CALL = 1000
HISTODAYS_A_CALL = 2000
FLUX_SINCE = date(2021, 1, 1)  # before, CryptoCompare's symbol FLUX was another coin
DAY = timedelta(days=1)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Quote:
    """US dollars for one FLUX, and who said so."""

    price: Decimal
    source: str


Days = dict[date, Quote]


def _ask(
    http: Http,
    base: str,
    path: str,
    params: Params,
    read: Callable[[Any], T],
    headers: Mapping[str, str] | None = None,
) -> T:
    """The answer as `read` understands it; whatever it stumbles over makes it a BadAnswer."""
    answer = http.get_json(base + path, params, headers=headers, max_bytes=MEDIUM, endpoint=base, patient=False)
    try:
        return read(answer)
    except WRONG_SHAPE as error:
        parts = urlsplit(base + path)
        detail = f"no usable price ({type(error).__name__}: {error})"[:200]
        raise BadAnswer(parts.netloc.rpartition("@")[2], parts.path, detail) from None


def coingecko_now(http: Http) -> Quote:
    def read(answer: Any) -> Quote:
        return Quote(money.price(answer[COIN]["usd"]), "coingecko")

    return _ask(http, settings.COINGECKO_URL, "/simple/price", {"ids": COIN, "vs_currencies": "usd"}, read)


def coingecko_days(http: Http, first: date, last: date, today: date) -> Days | None:
    """One point a day at midnight, and a last one that is now. None where all days are too old to ask for."""
    if today - last >= timedelta(days=COINGECKO_DAYS):
        return None
    reach = min((today - first).days + 1, COINGECKO_DAYS)
    params: Params = {"vs_currency": "usd", "days": reach, "interval": "daily"}
    path = f"/coins/{COIN}/market_chart"
    return _ask(http, settings.COINGECKO_URL, path, params, lambda answer: _first_points(answer["prices"]))


def _first_points(points: Any) -> Days:
    """The first point of each UTC day. The very last is "now": no day's price unless it stands at midnight."""
    days: Days = {}
    rows = _filled(points)
    for number, row in enumerate(rows, 1):
        moment, quote = _point(row, 0, 1, "coingecko")
        if quote and moment and (number < len(rows) or moment.time() == time.min):
            days.setdefault(moment.date(), quote)
    return days


def explorer_currency(http: Http) -> Quote:
    """upstream.md 0.3: the rate is nested today and was not before."""

    def read(answer: Any) -> Quote:
        data = answer.get("data")
        return Quote(money.price((data if isinstance(data, dict) else answer)["rate"]), "explorer")

    return _ask(http, settings.FLUX_EXPLORER_URL, "/currency", {}, read)


def explorer_market(http: Http) -> Quote:
    def read(answer: Any) -> Quote:
        return Quote(money.price(answer["price"]), "explorer")

    return _ask(http, settings.FLUX_EXPLORER_URL, "/markets/info", {}, read)


def binance_now(http: Http) -> Quote:
    """The close of today's open candle is the last trade."""

    def read(answer: Any) -> Quote:
        return Quote(money.price(answer[-1][4]), "binance")

    return _ask(http, settings.BINANCE_URL, "/klines", {"symbol": PAIR, "interval": "1d", "limit": 1}, read)


def binance_days(http: Http, first: date, last: date, today: date) -> Days:
    """The closes of the daily candles, 1,000 a call. Days before the listing are absent, today's is still open."""
    days: Days = {}
    while first <= last:
        params: Params = {"symbol": PAIR, "interval": "1d", "limit": KLINES_A_CALL, "startTime": _unix(first) * 1000}
        rows = _ask(http, settings.BINANCE_URL, "/klines", params, _list if days else _filled)
        closes = [_point(row, 0, 4, "binance") for row in rows]
        news = {
            moment.date(): quote for moment, quote in closes if moment and quote and first <= moment.date() <= today
        }
        days |= news
        if len(rows) < KLINES_A_CALL or not news:
            break
        first = max(news) + DAY
    return {day: quote for day, quote in days.items() if day < today}


def cryptocompare_now(http: Http) -> Quote | None:
    """None without a key: it is not asked then."""

    def read(answer: Any) -> Quote:
        return Quote(money.price(answer["USD"]), "cryptocompare")

    if not settings.CRYPTOCOMPARE_API_KEY:
        return None
    params = {"fsym": "FLUX", "tsyms": "USD"}
    return _ask(http, settings.CRYPTOCOMPARE_URL, "/price", params, read, _cryptocompare_key())


def cryptocompare_days(http: Http, first: date, last: date, today: date) -> Days | None:
    """Closes, oldest first; a close of 0 means that there is none. None without a key."""

    def read(answer: Any) -> list[Any]:
        return _list(answer["Data"]["Data"])

    if not settings.CRYPTOCOMPARE_API_KEY:
        return None
    params: Params = {"fsym": "FLUX", "tsym": "USD", "limit": min((today - first).days, HISTODAYS_A_CALL)}
    rows = _ask(http, settings.CRYPTOCOMPARE_URL, "/v2/histoday", params, read, _cryptocompare_key())
    closes = [_point(row, "time", "close", "cryptocompare", unit=1) for row in rows]
    return {
        moment.date(): quote for moment, quote in closes if moment and quote and FLUX_SINCE <= moment.date() < today
    }


def _cryptocompare_key() -> dict[str, str]:
    return {"Authorization": f"Apikey {settings.CRYPTOCOMPARE_API_KEY}"}


def _point(
    row: Any, when: int | str, price: int | str, source: str, unit: int = 1000
) -> tuple[datetime | None, Quote | None]:
    """Instant and price of one row of a history, Nones where it is not usable: the others still are."""
    try:
        return datetime.fromtimestamp(row[when] / unit, UTC), Quote(money.price(row[price]), source)
    except (*WRONG_SHAPE, OverflowError, OSError):
        return None, None


def _list(answer: Any) -> list[Any]:
    if not isinstance(answer, list):
        raise ValueError("no list")
    return answer


def _filled(answer: Any) -> list[Any]:
    """A list with something in it: today's candle is there whatever was asked for."""
    if not _list(answer):
        raise ValueError("an empty list")
    return _list(answer)


def _unix(day: date) -> int:
    return int(datetime.combine(day, time.min, UTC).timestamp())
