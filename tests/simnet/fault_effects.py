"""The effect of each fault: on the rows or prices of a successful answer, on the whole answer, or on the connection."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import orjson

from fluxtracker.simnet.records import Answer, failure, json
from tests.simnet.control import OF_PRICES, OF_ROWS, Fault, Kind

TIMES = 1000
AGE_S = 200 * 86_400


def spoil_prices(answer: Answer, fault: Fault) -> Answer:
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


GONE = object()
ODD_VALUES: tuple[Any, ...] = (GONE, None, "12 or so", -1, True, [], "7")
"""What replaces a number of a bad row."""
STOPPED = (
    {"State": "exited", "Status": "Exited (137) 3 hours ago"},
    {"State": "restarting", "Status": "Restarting (1) 5 seconds ago"},
    {"State": "paused", "Status": "Up 2 days (Paused)"},
    {"State": "Created", "Status": "Created"},
)
ODD_ROWS: tuple[Any, ...] = (None, "row", 7, [])
"""What replaces a whole bad row."""


def spoil_rows(answer: Answer, fault: Fault) -> Answer:
    """The same answer with other rows: the list or object under `data`, or the whole where there is none."""
    raw = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    whole = orjson.loads(raw)
    makers: dict[Kind, Callable[[Any], Any]] = {
        Kind.BAD_ROWS: lambda rows: _bad(rows, fault.share),
        Kind.FEW_ROWS: lambda rows: _few(rows, 1, 3),
        Kind.ZERO_ROWS: lambda rows: _numbers(rows, 0),
        Kind.EMPTY_NAMES: _nameless,
        Kind.BAD_RESOURCES: lambda rows: _bad_half(rows, fault.share, "apps", "resources"),
        Kind.BAD_BENCHMARKS: lambda rows: _bad_half(rows, fault.share, "benchmark", "bench"),
        Kind.REPEATED_ROWS: lambda rows: _repeated(rows, fault.share),
        Kind.LAGGING: lambda rows: _few(rows, 1000 - round(fault.share * 1000), 1000),
        Kind.STOPPED: lambda rows: _stopped(rows, fault.share),
    }
    make = makers[fault.kind]
    inside = isinstance(whole, dict) and "data" in whole
    body = orjson.dumps(whole | {"data": make(whole["data"])} if inside else make(whole))
    return Answer(body, answer.status, dict(answer.headers))


def bad(count: int, share: float = 0.3) -> list[int]:
    """Which of so many rows `bad_rows` spoils: evenly spread."""
    return [number for number in range(count) if int(number * share) != int((number + 1) * share)]


def _bad(rows: Any, share: float) -> Any:
    """No number of a bad row is left, nor what it says of its containers."""
    if isinstance(rows, dict):
        keys = list(rows)
        wrong = {keys[number]: turn for turn, number in enumerate(bad(len(keys), share))}
        return _without_gone({k: _odd(v, wrong[k]) if k in wrong else v for k, v in rows.items()})
    if not isinstance(rows, list):
        return _odd(rows, 1)
    for turn, number in enumerate(bad(len(rows), share)):
        rows[number] = _odd(rows[number], turn)
    return rows


def _odd(row: Any, turn: int) -> Any:
    kinds = len(ODD_VALUES) + len(ODD_ROWS)
    number = turn % kinds
    if number >= len(ODD_VALUES):
        return ODD_ROWS[number - len(ODD_VALUES)]
    return _numbers(row, ODD_VALUES[number])


def _numbers(value: Any, put: Any) -> Any:
    """The same with something else for each number, and for the containers unless it is one, too."""
    if isinstance(value, dict):
        return _without_gone({k: _replaced(k, v, put) for k, v in value.items()})
    if isinstance(value, list):
        return [item for item in (_numbers(item, put) for item in value) if item is not GONE]
    return put if isinstance(value, int | float) and not isinstance(value, bool) else value


def _replaced(key: str, value: Any, put: Any) -> Any:
    return put if key == "runningapps" and put != 0 else _numbers(value, put)


def _without_gone(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not GONE}


def _few(rows: Any, part: int, whole: int) -> Any:
    """The first `part` of `whole`, such as a third; of an object of counts that of each, of one of points the first."""
    if isinstance(rows, list):
        return rows[: len(rows) * part // whole]
    if isinstance(rows, dict):
        if all(isinstance(value, dict) for value in rows.values()):
            return dict(list(rows.items())[: len(rows) * part // whole])
        return {key: value * part // whole if type(value) is int else value for key, value in rows.items()}
    return rows


def _bad_half(rows: Any, share: float, tree: str, half: str) -> Any:
    """Spoil the numbers of one half of a share of the rows, by turns each of them or the first alone."""
    if not isinstance(rows, list):
        return rows
    for turn, number in enumerate(bad(len(rows), share)):
        place = rows[number].get(tree)
        if isinstance(place, dict) and half in place:
            put = ODD_VALUES[turn % len(ODD_VALUES)]
            numbers = place[half] if turn % 2 else dict(list(place[half].items())[:1])
            place[half] = _without_gone(place[half] | dict.fromkeys(numbers, put))
    return rows


def _repeated(rows: Any, share: float) -> Any:
    if not isinstance(rows, list):
        return rows
    again = [rows[number] for number in bad(len(rows), share)]
    return [*rows, *(row if turn % 2 else _unreached(row) for turn, row in enumerate(again))]


def _unreached(row: dict[str, Any]) -> dict[str, Any]:
    """The same node's row when it was unreachable."""
    zeros = {tree: _numbers(row[tree], 0) for tree in ("benchmark", "apps") if tree in row}
    if "runningapps" in zeros.get("apps", {}):
        zeros["apps"]["runningapps"] = []
    return row | zeros | {"error": {}, "geolocation": {"ip": ""}}


def _stopped(rows: Any, share: float) -> Any:
    if not isinstance(rows, list):
        return rows
    containers = [one for row in rows for one in row.get("apps", {}).get("runningapps", [])]
    for turn, number in enumerate(bad(len(containers), share)):
        containers[number] |= STOPPED[turn % len(STOPPED)]
    return rows


def _nameless(rows: Any) -> Any:
    """Containers tell neither name nor image."""
    if isinstance(rows, dict):
        found = {key: _nameless(value) for key, value in rows.items() if key != "Image"}
        return found | ({"Names": []} if "Names" in rows else {})
    return [_nameless(item) for item in rows] if isinstance(rows, list) else rows


HTML = {"Content-Type": "text/html; charset=utf-8"}
PAGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>checking</body></html>"
FLOOD_CHUNK = b" " * 65_536
DRIP_PAUSE = 0.2  # seconds between two bytes


def spoil(answer: Answer, fault: Fault, path: str, before: bytes | None) -> Answer:
    """The answer that goes out instead; faults of the connection leave it as it is."""
    if fault.kind in OF_PRICES:
        return spoil_prices(answer, fault)
    if fault.kind in OF_ROWS:
        return spoil_rows(answer, fault)
    match fault.kind:
        case Kind.HTTP_500:
            return json({"error": "Internal server error"}, 500)
        case Kind.HTTP_503_HTML:
            return Answer(PAGE, 503, dict(HTML))
        case Kind.HTTP_429:
            return _too_many(fault)
        case Kind.HTML_200:
            return Answer(PAGE, 200, dict(HTML))
        case Kind.STATUS_ERROR_200:
            return failure("Unable to answer for the moment", -1)
        case Kind.MALFORMED:
            return Answer(_start(answer) + b'"},,,]', 200)
        case Kind.EMPTY_SUCCESS | Kind.EMPTY_WITH_TOTAL:
            return _empty(answer, path, total=fault.kind == Kind.EMPTY_WITH_TOTAL)
        case Kind.REPEAT_PAGE:
            return answer if before is None else Answer(before)
        case Kind.REDIRECT:
            return Answer(b"", 302, {"Location": "http://other-host.invalid/"})
    return answer


def _too_many(fault: Fault) -> Answer:
    answer = json({"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit."}}, 429)
    if fault.retry_after is not None:
        answer.headers["Retry-After"] = fault.retry_after
    return answer


def _start(answer: Answer) -> bytes:
    """The first half of a body, of a streamed one its first pieces."""
    if isinstance(answer.body, bytes):
        return answer.body[: max(1, len(answer.body) // 2)]
    return b"".join(piece for piece, _ in zip(answer.body, range(2), strict=False))


def _empty(answer: Answer, path: str, *, total: bool) -> Answer:
    """A success that holds nothing, in the words of the upstream that is asked."""
    if not path.startswith("/blockbook"):
        return _empty_elsewhere(path)
    found = orjson.loads(answer.body) if isinstance(answer.body, bytes) else {}
    if "/address/" not in path or "address" not in found:
        return json({})
    found.pop("transactions", None)
    found.pop("txids", None)
    nothing: dict[str, Any] = {"page": 1, "totalPages": 1}
    if not total:
        nothing |= {"balance": "0", "totalReceived": "0", "totalSent": "0", "txs": 0}
    return json({key: nothing.get(key, value) for key, value in found.items()})


def _empty_elsewhere(path: str) -> Answer:
    if path.startswith("/binance"):
        return json([])
    if path.startswith(("/coingecko", "/cryptocompare", "/explorer")):
        return json({"prices": []} if "market_chart" in path else {})
    return json({"status": "success", "data": []})


def disturb(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault, released: threading.Event) -> bool:
    """Do what goes wrong on the connection itself. True when there is nothing more to send."""
    match fault.kind:
        case Kind.TIMEOUT:
            released.wait(fault.seconds)
        case Kind.SLOW:
            released.wait(fault.seconds)
            return False
        case Kind.DROP_CONNECTION:
            pass
        case Kind.TRUNCATED:
            _truncate(handler, answer)
        case Kind.DRIP:
            _drip(handler, answer, fault, released)
        case Kind.FLOOD:
            _flood(handler, released)
        case _:
            return False
    return True


def _head(handler: BaseHTTPRequestHandler, length: int) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(length))
    handler.end_headers()


def _truncate(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    half = _start(answer)
    _head(handler, len(answer.body) if isinstance(answer.body, bytes) else 2 * len(half))
    handler.wfile.write(half)


def _drip(handler: BaseHTTPRequestHandler, answer: Answer, fault: Fault, released: threading.Event) -> None:
    body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    _head(handler, len(body))
    for number in range(min(len(body), int(fault.seconds / DRIP_PAUSE))):
        handler.wfile.write(body[number : number + 1])
        if released.wait(DRIP_PAUSE):
            return


def _flood(handler: BaseHTTPRequestHandler, released: threading.Event) -> None:
    _head(handler, 2**40)
    while not released.is_set():
        handler.wfile.write(FLOOD_CHUNK)
