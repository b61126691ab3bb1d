"""Faults of the prices inside an answer that is a success otherwise."""

from __future__ import annotations

from typing import Any

import orjson

from fluxtracker.simnet.answers import Answer
from fluxtracker.simnet.faults import Fault, Kind

TIMES = 1000
AGE_S = 200 * 86_400


def spoil(answer: Answer, fault: Fault) -> Answer:
    """Return the answer with other prices; errors and streams stay as they are."""
    if not isinstance(answer.body, bytes) or answer.status != 200:
        return answer
    told = orjson.loads(answer.body)
    spoilers = {Kind.ABSURD_PRICE: _absurd, Kind.OLD_CANDLE: _old, Kind.NO_TRADES: _untraded}
    spoilers[fault.kind](told)
    return Answer(orjson.dumps(told), answer.status, dict(answer.headers))


def _rows(told: Any) -> list[Any]:
    """Return the candles or points of a history, none of an answer about now."""
    if isinstance(told, list):
        return told
    data = told.get("Data")
    return list(told.get("prices") or (data["Data"] if isinstance(data, dict) and "Data" in data else []))


def _close(row: Any) -> Any:
    """Return the place of a row's close."""
    return "close" if isinstance(row, dict) else 4 if len(row) > 2 else 1


def _absurd(told: Any) -> None:
    if rows := _rows(told):
        row = rows[len(rows) // 2]
        place = _close(row)
        value = float(row[place]) * TIMES
        row[place] = f"{value:.4f}" if isinstance(row[place], str) else value
        return
    inner = next((told[key] for key in ("zelcash", "data") if isinstance(told.get(key), dict)), told)
    for key in ("usd", "rate", "price", "USD"):
        if key in inner:
            inner[key] *= TIMES


def _old(told: Any) -> None:
    if isinstance(told, list):
        told[-1][0] -= AGE_S * 1000
        told[-1][6] -= AGE_S * 1000
    elif "last_updated_at" in told.get("zelcash", {}):
        told["zelcash"]["last_updated_at"] -= AGE_S


def _untraded(told: Any) -> None:
    for row in _rows(told):
        if isinstance(row, dict):
            row |= {"volumefrom": 0, "volumeto": 0}
        elif len(row) > 2:
            row[5], row[8] = "0.00000000", 0
        else:
            row[1] = None
