"""Select decentralisation and node changes, now and by day."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import orjson

from fluxtracker.periods import Span
from fluxtracker.upstream.records import TIERS
from metrics.models import CensusDay, NodeChange, Source

Report = dict[str, Any]

OPERATORS = ("by_payment_address", "by_zelid", "by_pubkey")
OF_LIST = ("tiers",)
OF_FACTS = ("countries", "continents", "providers", "versions", "concentration", "arcane_percent", "arcane")
YEARS_KEPT = 3
CHANGES = ("joins", "leaves", "moves")
CHANGED = ("since", *CHANGES)
Change = Mapping[str, Any]
"""Changes of a tier: CHANGED."""
UNKNOWN: Change = dict.fromkeys(CHANGES)
NO_CENSUS = "No census was taken in this range of days."
NO_LIST = "The node list was not read on {day}."
NO_FACTS = "The statistics of the nodes were not read on {day}."
NO_KEYS = "No node in the list reports a public key."
NO_ZELIDS = "No node reports a ZelID."
NO_ARCANE = "No node reports its system."
FIRST_DAY = "Earlier days are unknown: the first census is of {day}."
NOT_COMPARED = "Node changes are known once two node lists have been read."
OTHER_KEY = "SECRET_KEY was changed: the addresses of some days cannot be compared."


def census_stamp() -> object:
    """Return a stamp that changes with every census. One query."""
    return tuple(Source.objects.filter(name__in=Source.Census.values).values_list("name", "read_at").order_by("name"))


def decentralisation(start: date, end: date) -> Report:
    """Return the distribution of nodes: complete for the last known day of the range, short for each day.

    Three queries for any range.
    """
    rows = CensusDay.objects.filter(day__range=(start, end)).order_by("day")
    days = {row[0]: _written(*row) for row in rows.values_list("day", "nodes", "facts")}
    newest = rows.last()
    first = CensusDay.objects.order_by("day").values_list("day", flat=True).first()
    known = _figures(newest.nodes, newest.facts) if newest else _figures(None, None)
    if newest and newest.lists:
        known |= orjson.loads(zlib.decompress(newest.lists))
    coverage = known.pop("coverage") | {"days": len(days), "firstDay": first and first.isoformat()}
    return {
        **known,
        "date": newest and newest.day,
        "data": [days.get(day) or _written(day, None, None) for day in _days(start, end, first, days)],
        "as_of": newest and max(filter(None, (newest.nodes_at, newest.facts_at)), default=None),
        "coverage": coverage,
        "notes": _notes(newest, known, start, first),
    }


def records(start: date, end: date, *, of_list: bool = True, of_facts: bool = True) -> Iterator[tuple[date, Report]]:
    """Yield each day's records of node list and node facts, without days that have neither. One query."""
    rows = CensusDay.objects.filter(day__range=(start, end)).order_by()
    columns = ["nodes"] * of_list + ["facts"] * of_facts
    for day, *texts in rows.values_list("day", *columns):
        yield day, {key: value for text in texts if text for key, value in orjson.loads(text).items()}


def _figures(nodes: str | None, facts: str | None) -> Report:
    """Return the figures of a day, None for each that is not known."""
    of_list, of_facts = (orjson.loads(text) if text else {} for text in (nodes, facts))
    both = {**of_list, **of_facts}
    return {
        "operators": {name: both.get(name) for name in OPERATORS},
        **{name: both.get(name) for name in (*OF_LIST, *OF_FACTS)},
        "coverage": of_list.get("coverage", {}) | of_facts.get("coverage", {}),
    }


@lru_cache(maxsize=YEARS_KEPT * 366)
def _written(day: date, nodes: str | None, facts: str | None) -> orjson.Fragment:
    """Return the short JSON of one day. Cached, as past days do not change and three years are 4 MB."""
    figures = _figures(nodes, facts)
    del figures["coverage"]
    return orjson.Fragment(orjson.dumps({"date": day.isoformat(), **figures}))


def _days(start: date, end: date, first: date | None, known: Mapping[date, Any]) -> list[date]:
    """Return the days from the first census on, including days without a record."""
    last = max(known, default=None)
    return [] if first is None or last is None else Span(max(start, first), min(end, last)).days()


def _notes(newest: CensusDay | None, known: Report, start: date, first: date | None) -> dict[str, str]:
    """Return why each null figure is not known."""
    if newest is None:
        return dict.fromkeys(("operators", *OF_LIST, *OF_FACTS, "asOf"), NO_CENSUS)
    notes = {} if first is None or start >= first else {"data": FIRST_DAY.format(day=first)}
    by = known["operators"]
    missing: dict[str, tuple[Any, str | None, str]] = {
        "tiers": (known["tiers"], newest.nodes, NO_LIST),
        "operators.by_payment_address": (by["by_payment_address"], newest.nodes, NO_LIST),
        "operators.by_pubkey": (by["by_pubkey"], newest.nodes, NO_LIST if newest.nodes is None else NO_KEYS),
        "operators.by_zelid": (by["by_zelid"], newest.facts, NO_FACTS if newest.facts is None else NO_ZELIDS),
        **{name: (known[name], newest.facts, NO_FACTS) for name in OF_FACTS},
    }
    if newest.facts is not None:
        missing["arcane_percent"] = (known["arcane_percent"], newest.facts, NO_ARCANE)
    return notes | {name: words.format(day=newest.day) for name, (value, _, words) in missing.items() if value is None}


def node_changes(start: date, end: date) -> Report:
    """Return joins, leaves and moves by day and tier, null on days without a comparison. Two queries."""
    changes: dict[date, dict[str, Change]] = {}
    for day, tier, *values in NodeChange.objects.filter(day__range=(start, end)).values_list("day", "tier", *CHANGED):
        changes.setdefault(day, {})[tier] = dict(zip(CHANGED, values, strict=True))
    first = NodeChange.objects.order_by("day").values_list("day", flat=True).first()
    data = [_changed(day, changes.get(day, {})) for day in _days(start, end, first, changes)]
    known = [row["total"] for row in data if row["since"] is not None]
    notes = {} if first is None or start >= first else {"data": FIRST_DAY.format(day=first)}
    if first is None or not known:
        notes = dict.fromkeys(("total", "data"), NOT_COMPARED if first is None else NO_CENSUS)
    elif any(total["moves"] is None for total in known):
        notes["total.moves"] = OTHER_KEY
    return {
        "data": data,
        "total": {name: _sum(total[name] for total in known) for name in CHANGES},
        "coverage": {"days": len(known), "firstDay": first and first.isoformat()},
        "as_of": Source.objects.filter(name=Source.Census.NODE_LIST).values_list("read_at", flat=True).first(),
        "notes": notes,
    }


def _changed(day: date, rows: Mapping[str, Change]) -> Report:
    tiers = {tier.lower(): rows.get(tier, UNKNOWN) for tier in TIERS}
    total = {name: _sum(tier[name] for tier in tiers.values()) for name in CHANGES}
    since: datetime | None = min((row["since"] for row in rows.values()), default=None)
    return {"date": day, "since": since, **tiers, "total": total}


def _sum(numbers: Any) -> int | None:
    """Return the sum, None if empty or if a part is not known."""
    values = list(numbers)
    return None if not values or None in values else sum(values)
