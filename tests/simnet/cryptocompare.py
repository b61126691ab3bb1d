"""The prices of CryptoCompare (docs/upstream.md#prices), which the demo does not ask: it has no key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from fluxtracker.simnet import history, prices, records
from fluxtracker.simnet.records import Answer, json, whole
from fluxtracker.simnet.world import World


def cryptocompare(world: World, path: str, query: Mapping[str, str], authorization: str) -> Answer:
    if not (authorization.startswith("Apikey ") or query.get("api_key")):
        return json({"Response": "Error", "Message": "API key required", "Type": 99}, 401)
    if path == "price":
        return json({"USD": round(world.live_price(), 6)})
    if path != "v2/histoday":
        return json({"Response": "Error", "Message": "Path does not exist"}, 404)
    if query.get("fsym") != "FLUX" or query.get("tsym") != "USD":
        return json({"Response": "Error", "Message": "fsym param is invalid", "Type": 2, "Data": {}})
    return json(_histoday(world, query))


def _histoday(world: World, query: Mapping[str, str]) -> dict[str, Any]:
    """Return `limit` + 1 rows, oldest first, up to the day of `toTs`; a close of 0 means no price."""
    last = records.day_of(whole(query, "toTs", int(world.now())))
    limit = max(1, min(whole(query, "limit", 30), 2000))
    rows = [_histoday_row(world, last - timedelta(days=limit - n)) for n in range(limit + 1)]
    span = {"Aggregated": False, "TimeFrom": rows[0]["time"], "TimeTo": rows[-1]["time"]}
    head = {"Response": "Success", "Message": "", "HasWarning": False, "Type": 100, "RateLimit": {}}
    return {**head, "Data": {**span, "Data": rows}}


def _histoday_row(world: World, day: date) -> dict[str, Any]:
    known = day >= history.EPOCH
    first, last = (history.price_on(world.seed, day), history.close_on(world.seed, day)) if known else (0, 0)
    row: dict[str, Any] = {"time": prices.midnight_ms(day) // 1000, "high": max(first, last)}
    row |= {"low": min(first, last), "open": first, "close": last}
    row |= {"volumefrom": 1200.5, "volumeto": 88.1} if known else {"volumefrom": 0, "volumeto": 0}
    return row | {"conversionType": "direct", "conversionSymbol": ""}
