"""Split each day's revenue by class of sender, category, app and owner (docs/metrics.md#splits).

In each dimension the parts of a day add up to its DailyTotal, to the satoshi; the rest is unknown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from operator import sub
from typing import NamedTuple

from django.db.models import QuerySet

from deployments.models import DailySplit, MessageFact
from deployments.splits import periods
from fluxtracker.batches import chunks
from fluxtracker.bulk_rows import write_rows
from revenue.labels import UNKNOWN, Senders
from revenue.models import App, ChangedDay, DailyTotal, Payment
from revenue.querysets import SUMMED
from revenue.selectors import Fact, facts, facts_of, is_hash_paid

SOURCE, CATEGORY, APP, OWNER = DailySplit.Dimension.values
FLUXDRIVE = "fluxdrive"
NOBODY = ""  # the key without a known app or owner
REST = {SOURCE: UNKNOWN, CATEGORY: UNKNOWN, APP: NOBODY, OWNER: NOBODY}
MOST_PENDING = 31  # changed days that a reader splits itself

Sums = tuple[int, ...]
"""Of SUMMED."""
NOTHING: Sums = (0, 0, 0, 0)


class Key(NamedTuple):
    dimension: str
    day: date
    key: str


class Message(NamedTuple):
    """Facts from a payment's message."""

    txid: str
    owner: str | None
    category: str
    name: str


Parts = Mapping[Key, Sums]


def compute(days: Collection[date], dimensions: Sequence[str] = tuple(REST)) -> Parts:
    """Return the parts of these days' totals from current payments, labels and messages."""
    payments, names, senders = list(facts(days)), _Names(), Senders.load()
    messages = _messages(days)
    adding: defaultdict[tuple[str, date, str], list[int]] = defaultdict(lambda: [*NOTHING])
    for fact in payments:
        message = messages.get(fact.message_hash)
        if message is not None and message.txid != fact.txid:
            message = None  # a hash that was already paid for: the network ignores it
        for dimension in dimensions:
            part = adding[dimension, fact.day, _key(dimension, fact, message, names, senders)]
            part[0] += fact.revenue_sat
            part[1] += fact.payments
            part[2] += fact.usd_micro
            part[3] += fact.priced
    parts = {Key(*key): tuple(sums) for key, sums in adding.items()}
    _add_rest(parts, days, dimensions)
    return {key: sums for key, sums in parts.items() if any(sums)}


def _sum(one: Sums, other: Sums) -> Sums:
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3])


def _key(dimension: str, fact: Fact, message: Message | None, names: _Names, senders: Senders) -> str:
    if dimension == SOURCE:
        return senders.class_of(fact.from_address, fact.day)
    if dimension == CATEGORY:
        return FLUXDRIVE if fact.kind == Payment.Kind.FLUXDRIVE else message.category if message else UNKNOWN
    if dimension == APP:
        return names[fact.app_id] if fact.app_id else message.name if message else NOBODY
    return (message and message.owner) or NOBODY


class _Names(dict[int, str]):
    """Names of apps by id, all read on first use."""

    def __missing__(self, key: int) -> str:
        self.update(App.objects.values_list("id", "name"))
        return self[key]


def _messages(days: Collection[date]) -> dict[str, Message]:
    """Return messages paid for on these days, by hash."""
    rows = MessageFact.objects.values_list("hash", "txid", "owner", "category", "name")
    matching = chain.from_iterable(rows.filter(is_hash_paid(batch)) for batch in chunks(sorted(days)))
    return {key: Message(txid, owner, category, name) for key, txid, owner, category, name in matching}


def _add_rest(parts: dict[Key, Sums], days: Collection[date], dimensions: Sequence[str]) -> None:
    """Add the rest of each day's total, for days pruned before transactions were stored."""
    left = _totals(days)
    for key, sums in parts.items():
        if key.dimension == dimensions[0]:
            left[key.day] = tuple(map(sub, left.get(key.day, NOTHING), sums))
    for day, sums in left.items():
        for dimension in dimensions if any(sums) else ():
            key = Key(dimension, day, REST[dimension])
            parts[key] = _sum(parts.get(key, NOTHING), sums)


def _totals(days: Collection[date]) -> dict[date, Sums]:
    totals: dict[date, Sums] = {}
    for batch in chunks(sorted(days)):
        for row in DailyTotal.objects.filter(day__in=batch).by_day():
            totals[row["day"]] = tuple(row[name] for name in SUMMED)
    return totals


def recompute(days: Collection[date]) -> None:
    """Recompute the parts of these days from their payments. Call inside `ledger.locked()`."""
    new = compute(days)
    stored = dict(_stored(days))
    removed = [pk for key, (pk, _) in stored.items() if key not in new]
    for batch in chunks(removed):
        DailySplit.objects.filter(pk__in=batch).delete()
    changed = [key for key, sums in new.items() if key not in stored or stored[key][1] != sums]
    write_rows(DailySplit, (*Key._fields, *SUMMED), ((*key, *new[key]) for key in changed), unique=Key._fields)
    periods.refresh([*changed, *(stored.keys() - new.keys())], days)


def mark(txids: Collection[str]) -> None:
    """Mark the days of these transactions, whose messages have changed. Call inside `ledger.locked()`."""
    ChangedDay.mark(fact.day for fact in facts_of(txids))


def _stored(days: Collection[date]) -> Iterator[tuple[Key, tuple[int, Sums]]]:
    for batch in chunks(sorted(days)):
        rows = DailySplit.objects.filter(dimension__in=REST, day__in=batch)
        for pk, dimension, day, key, *sums in rows.values_list("pk", *Key._fields, *SUMMED).iterator():
            yield Key(dimension, day, key), (pk, tuple(sums))


@dataclass(frozen=True, slots=True)
class Splits:
    """The parts of each day's total in one dimension."""

    parts: Mapping[date, Mapping[str, Sums]]
    unsplit: frozenset[date]
    """Changed days, too many for a reader to split: their parts are not known."""

    @classmethod
    def load(cls, dimension: str, first: date, last: date) -> Splits:
        """Load the parts in two queries, plus those to split up to MOST_PENDING changed days."""
        pending = pending_days(first, last)
        parts: defaultdict[date, dict[str, Sums]] = defaultdict(dict)
        for day, key, *sums in between(dimension, first, last).values_list("day", "key", *SUMMED):
            if day not in pending:
                parts[day][key] = tuple(sums)
        is_few = len(pending) <= MOST_PENDING
        for key, part in (compute(pending, [dimension]) if pending and is_few else {}).items():
            parts[key.day][key.key] = part
        return cls(parts, frozenset() if is_few else pending)

    def of(self, days: Iterable[date]) -> dict[str, Sums] | None:
        """Return the summed parts of these days, None if any is not split."""
        sums: dict[str, Sums] = {}
        for day in days:
            if day in self.unsplit:
                return None
            for key, part in self.parts.get(day, {}).items():
                sums[key] = _sum(sums[key], part) if key in sums else part
        return sums


def pending_days(first: date, last: date) -> frozenset[date]:
    return frozenset(ChangedDay.objects.filter(day__gte=first, day__lte=last).values_list("day", flat=True))


def between(dimension: str, first: date, last: date) -> QuerySet[DailySplit]:
    return DailySplit.objects.filter(dimension=dimension, day__gte=first, day__lte=last)
