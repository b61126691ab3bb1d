"""Read FLUX prices from each source: now, and by UTC day (docs/upstream.md#prices)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from django.conf import settings

from fluxtracker import money
from fluxtracker.periods import DAY, midnight
from fluxtracker.upstream.http.client import MEDIUM, Http, Params, Upstream
from fluxtracker.upstream.parsing import MAX_TIME, WRONG_SHAPE

COIN = "zelcash"  # FLUX at CoinGecko
PAIR = "FLUXUSDT"
COINGECKO_DAYS = 365  # the longest history without a key
KLINES_A_CALL = 1000
HISTODAYS_A_CALL = 2000
FLUX_SINCE = date(2021, 1, 1)  # before, CryptoCompare's symbol FLUX was another coin
NOT_NOW = timedelta(hours=1)  # a price changed longer ago than this is not current
MIDNIGHT_FROM, MIDNIGHT_TO = -timedelta(hours=1), timedelta(minutes=10)  # where a point counts as the close

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Quote:
    """US dollars per FLUX, and the source."""

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
    """Return the answer parsed by `read`; parsing errors become BadAnswer."""
    source = Upstream(http, base)
    answer = source.get(path, params, headers=headers, max_bytes=MEDIUM, patient=False)
    try:
        return read(answer)
    except WRONG_SHAPE as error:
        raise source.bad(path, f"no usable price ({type(error).__name__}: {error})"[:200]) from None


def coingecko_now(http: Http, now: datetime) -> Quote:
    """Return the price, unless CoinGecko reports it as older than an hour."""

    def read(answer: Any) -> Quote:
        row = answer[COIN]
        changed = row.get("last_updated_at")
        if changed is not None and now - _instant(changed) > NOT_NOW:
            raise ValueError(f"the price is of {_instant(changed):%Y-%m-%d %H:%M} UTC")
        return Quote(money.price(row["usd"]), "coingecko")

    params: Params = {"ids": COIN, "vs_currencies": "usd", "include_last_updated_at": "true"}
    return _ask(http, settings.COINGECKO_URL, "/simple/price", params, read)


def coingecko_days(http: Http, first: date, last: date, now: datetime) -> Days | None:
    """Return one point per day at midnight, and a last one for now. None if all days are too old."""
    today = now.date()
    if today - last > timedelta(days=COINGECKO_DAYS):
        return None
    reach = min((today - first).days + 1, COINGECKO_DAYS)
    params: Params = {"vs_currency": "usd", "days": reach, "interval": "daily"}
    path = f"/coins/{COIN}/market_chart"
    return _ask(http, settings.COINGECKO_URL, path, params, lambda answer: _closes(_filled(answer["prices"])))


def _closes(rows: list[Any]) -> Days:
    """Return the close of each UTC day: the point nearest to the midnight that ends the day.

    Points are hourly or finer if daily ones are unavailable, and may be slightly off. The very last one is "now" and
    not a close unless exactly at midnight; a midnight not reached by the list has no close either.
    """
    points = [_point(row, 0, 1, "coingecko") for row in rows]
    moments = [moment for moment, _ in points if moment]
    if points[-1][0] and points[-1][0].time() != time.min:
        points.pop()
    nearest: dict[datetime, tuple[timedelta, Quote]] = {}
    for moment, quote in points:
        if moment and quote:
            end = midnight((moment + DAY / 2).date())
            off = moment - end
            is_near = MIDNIGHT_FROM <= off <= MIDNIGHT_TO and end <= max(moments)
            if is_near and (end not in nearest or abs(off) < nearest[end][0]):
                nearest[end] = abs(off), quote
    return {end.date() - DAY: quote for end, (_, quote) in nearest.items()}


def explorer_currency(http: Http, now: datetime) -> Quote:
    """Return the rate, nested now but not formerly (docs/upstream.md#common-traps). It has no time."""

    def read(answer: Any) -> Quote:
        data = answer.get("data")
        return Quote(money.price((data if isinstance(data, dict) else answer)["rate"]), "explorer")

    return _ask(http, settings.FLUX_EXPLORER_URL, "/currency", {}, read)


def explorer_market(http: Http, now: datetime) -> Quote:
    price = _ask(http, settings.FLUX_EXPLORER_URL, "/markets/info", {}, lambda answer: money.price(answer["price"]))
    return Quote(price, "explorer")


def binance_now(http: Http, now: datetime) -> Quote | None:
    """Return the last trade: the close of today's open candle, None before the day's first one."""

    def read(answer: Any) -> Quote | None:
        row = _filled(answer)[-1]
        opened = _instant(row[0] / 1000).date()
        if opened != now.date():
            raise ValueError(f"the last candle is of {opened}")
        return Quote(money.price(row[4]), "binance") if _is_traded(_volumes(row)) else None

    return _ask(http, settings.BINANCE_URL, "/klines", {"symbol": PAIR, "interval": "1d", "limit": 1}, read)


def binance_days(http: Http, first: date, last: date, now: datetime) -> Days:
    """Return the closes of the daily candles, 1,000 per call.

    Days before the listing are absent; today's is still open.
    """
    today = now.date()
    days: Days = {}
    is_first = True
    while first <= last:
        start_ms = int(midnight(first).timestamp()) * 1000
        params: Params = {"symbol": PAIR, "interval": "1d", "limit": KLINES_A_CALL, "startTime": start_ms}
        rows = _ask(http, settings.BINANCE_URL, "/klines", params, _filled if is_first else _list)
        is_first = False
        candles = [(*_point(row, 0, 4, "binance"), row) for row in rows]
        opened = {moment.date() for moment, _, _ in candles if moment and first <= moment.date() <= today}
        days |= {
            moment.date(): quote
            for moment, quote, row in candles
            if moment and quote and moment.date() in opened and _is_traded(_volumes(row))
        }
        if len(rows) < KLINES_A_CALL or not opened:
            break
        first = max(opened) + DAY
    return {day: quote for day, quote in days.items() if day < today}


def _volumes(candle: Any) -> list[Any]:
    """Return the volume, and the number of trades if the candle has it."""
    return [*candle[5:6], *candle[8:9]]


def cryptocompare_now(http: Http, now: datetime) -> Quote | None:
    """Return the price, None without a key, when it is not asked."""

    if not settings.CRYPTOCOMPARE_API_KEY:
        return None
    params = {"fsym": "FLUX", "tsyms": "USD"}
    return _cryptocompare(http, "/price", params, lambda answer: Quote(money.price(answer["USD"]), "cryptocompare"))


def cryptocompare_days(http: Http, first: date, last: date, now: datetime) -> Days | None:
    """Return closes, oldest first, without those with a close or volume of 0. None without a key."""

    if not settings.CRYPTOCOMPARE_API_KEY:
        return None
    today = now.date()
    params: Params = {"fsym": "FLUX", "tsym": "USD", "limit": min((today - first).days, HISTODAYS_A_CALL)}
    rows = _cryptocompare(http, "/v2/histoday", params, lambda answer: _list(answer["Data"]["Data"]))
    closes = [(*_point(row, "time", "close", "cryptocompare", unit=1), row) for row in rows]
    return {
        moment.date(): quote
        for moment, quote, row in closes
        if moment and quote and FLUX_SINCE <= moment.date() < today
        and _is_traded(row[name] for name in ("volumefrom", "volumeto") if name in row)
    }  # fmt: skip


def _cryptocompare(http: Http, path: str, params: Params, read: Callable[[Any], T]) -> T:
    key = {"Authorization": f"Apikey {settings.CRYPTOCOMPARE_API_KEY}"}
    return _ask(http, settings.CRYPTOCOMPARE_URL, path, params, read, key)


def _point(
    row: Any, when: int | str, price: int | str, source: str, unit: int = 1000
) -> tuple[datetime | None, Quote | None]:
    """Return instant and price of one row of a history, None for each unusable one."""
    try:
        moment = _instant(row[when] / unit)
    except WRONG_SHAPE:
        return None, None
    try:
        return moment, Quote(money.price(row[price]), source)
    except WRONG_SHAPE:
        return moment, None


def _instant(seconds: object) -> datetime:
    """Return the instant of unix seconds; ValueError for anything else, including `true`."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < MAX_TIME:
        raise ValueError("a time must be unix seconds")
    return datetime.fromtimestamp(seconds, UTC)


def _is_traded(volumes: Iterable[object]) -> bool:
    """Return whether each of these volumes is above 0."""
    try:
        return all(Decimal(str(volume)) > 0 for volume in volumes)
    except ArithmeticError:
        return False


def _list(answer: Any) -> list[Any]:
    if not isinstance(answer, list):
        raise ValueError("no list")
    return answer


def _filled(answer: Any) -> list[Any]:
    """Return a list that is not empty, as today's candle is always included."""
    if not _list(answer):
        raise ValueError("an empty list")
    return _list(answer)
