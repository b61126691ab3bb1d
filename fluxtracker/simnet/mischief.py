"""How each fault spoils an answer, or the connection it goes over."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

import orjson

from fluxtracker.simnet import spoiled_prices, spoiled_rows
from fluxtracker.simnet.answers import Answer, failure, json
from fluxtracker.simnet.faults import OF_PRICES, OF_ROWS, Fault, Kind

HTML = {"Content-Type": "text/html; charset=utf-8"}
PAGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>checking</body></html>"
FLOOD_CHUNK = b" " * 65_536
DRIP_PAUSE = 0.2  # seconds between two bytes


def spoil(answer: Answer, fault: Fault, path: str, before: bytes | None) -> Answer:
    """The answer that goes out instead; faults of the connection leave it as it is."""
    if fault.kind in OF_PRICES:
        return spoiled_prices.spoil(answer, fault)
    if fault.kind in OF_ROWS:
        return spoiled_rows.spoil(answer, fault)
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
