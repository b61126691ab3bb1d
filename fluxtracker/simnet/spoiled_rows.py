"""Faults of the rows inside an answer that is a success otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from fluxtracker.simnet.answers import Answer
from fluxtracker.simnet.faults import Fault, Kind

GONE = object()
ODD_VALUES: tuple[Any, ...] = (GONE, None, "12 or so", -1, True, [], "7")
"""What stands for a number of a bad row."""
STOPPED = (
    {"State": "exited", "Status": "Exited (137) 3 hours ago"},
    {"State": "restarting", "Status": "Restarting (1) 5 seconds ago"},
    {"State": "paused", "Status": "Up 2 days (Paused)"},
    {"State": "Created", "Status": "Created"},
)
ODD_ROWS: tuple[Any, ...] = (None, "row", 7, [])
"""What stands for a whole bad row."""


def spoil(answer: Answer, fault: Fault) -> Answer:
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
    """The same node's row when nobody reached it."""
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
