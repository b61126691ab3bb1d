"""Serve prices like CoinGecko, Binance and the Flux explorer (docs/upstream.md#prices)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from fluxtracker.simnet import history, records
from fluxtracker.simnet.records import Answer, json, whole
from fluxtracker.simnet.world import World

FREE_DAYS = 365  # what CoinGecko gives without a key
DAY_MS = 86_400_000
TOO_OLD = (
    "Your request exceeds the allowed time range. Public API users are limited to querying historical "
    "data within the past 365 days."
)


def midnight_ms(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1000


# CoinGecko


def coingecko(world: World, path: str, query: Mapping[str, str]) -> Answer:
    if path == "simple/price":
        return _simple_price(world, query)
    if path == "coins/zelcash/market_chart":
        return _market_chart(world, query)
    return json({"error": "coin not found"}, 404)


def _simple_price(world: World, query: Mapping[str, str]) -> Answer:
    if "zelcash" not in query.get("ids", "").split(","):
        return json({})
    found = {"usd": world.live_price()}
    if query.get("include_last_updated_at") == "true":
        found["last_updated_at"] = int(world.now())
    return json({"zelcash": found})


def _market_chart(world: World, query: Mapping[str, str]) -> Answer:
    """Answer points at fixed times and a last one "now"; hourly for 2 to 90 days unless `interval` is daily.

    The point at 00:00 of a day is the close of the day before.
    """
    days = whole(query, "days", 0)
    if query.get("days") == "max" or days > FREE_DAYS:
        return json({"error": {"status": {"error_code": 10012, "error_message": TOO_OLD}}}, 401)
    if days < 1:
        return json({"error": "Invalid days parameter"}, 422)
    now = world.now()
    step = 86_400 if days > 90 or query.get("interval") == "daily" else 3600 if days > 1 else 300
    last = int(now) - int(now) % step
    times = range(last - (days * 86_400 // step - 1) * step, last + 1, step)
    points = [[int(seconds * 1000), _price_at(world, seconds)] for seconds in (*times, now)]
    caps = [[ms, price * 392_000_000] for ms, price in points]
    return json({"prices": points, "market_caps": caps, "total_volumes": [[ms, 2.7e6] for ms, _ in points]})


def _price_at(world: World, seconds: float) -> float:
    if seconds % 86_400 == 0:
        return history.price_on(world.seed, records.day_of(seconds))
    return history.live(world.seed, seconds)


# Binance


def binance(world: World, path: str, query: Mapping[str, str]) -> Answer:
    """Answer daily candles as strings, oldest first; the last one is today's and still open."""
    if path != "klines":
        return json({"code": -1, "msg": "Unknown path"}, 404)
    if query.get("symbol") != "FLUXUSDT":
        return json({"code": -1121, "msg": "Invalid symbol."}, 400)
    if query.get("interval") != "1d":
        return json({"code": -1120, "msg": "Invalid interval."}, 400)
    limit = max(1, min(whole(query, "limit", 500), 1000))
    today = records.day_of(world.now())
    start, end = whole(query, "startTime", -1), whole(query, "endTime", 2**53)
    count = (today - history.LISTED_ON_BINANCE).days + 1
    days = [history.LISTED_ON_BINANCE + timedelta(days=n) for n in range(count)]
    days = [day for day in days if start <= midnight_ms(day) <= end]
    chosen = days[:limit] if start >= 0 else days[-limit:]
    return json([_candle(world, day, today) for day in chosen])


def _candle(world: World, day: date, today: date) -> list[Any]:
    first = history.price_on(world.seed, day)
    last = world.live_price() if day == today else history.close_on(world.seed, day)
    low, high = min(first, last) * 0.985, max(first, last) * 1.012
    texts = [f"{value:.4f}" for value in (first, high, low, last)]
    opened = midnight_ms(day)
    tail = [opened + DAY_MS - 1, "91234.50000000", 4321, "600000.00000000", "44000.10000000", "0"]
    return [opened, *texts, "1234567.00000000", *tail]


# The Flux explorer


def explorer(world: World, path: str, query: Mapping[str, str]) -> Answer:
    if path == "currency":
        return json({"status": 200, "data": {"rate": world.live_price(), "short": "FLUX"}})
    if path == "markets/info":
        found = {"price": world.live_price(), "price_btc": 8.948188131180772e-7}
        found |= {"market_cap_usd": 31_554_811, "total_volume_24h": 2_726_087.2708579153}
        return json(found | {"delta_24h": 2.6700000762939453})
    return json("Not found", 404)
