"""Find the rows of one page, fast at any size on both engines.

Without a free filter the daily totals locate a page. Otherwise few matches are gathered by index and sorted, and
many are read by a bounded walk along the default order, which falls back to gathering.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db.models import BigIntegerField, DateTimeField, F, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from fluxtracker.batches import chunks
from fluxtracker.database import long_read_snapshot
from revenue.models import LedgerState, Payment
from revenue.payments.filters import Selection, within
from revenue.querysets import PaymentQuerySet

NEAR = 2_000  # rows from either end within which a walk reaches a page, without the days
GATHER = 5_000  # matches up to which keys are fetched and sorted here
WALK_MARGIN = 4  # a walk gives up after this multiple of its expected rows
BATCH = 1_000  # rows in memory when all are read
SHORT_WALK = 3  # days; an address whose rows lie further apart is looked up by day

COLUMNS = (
    "id", "txid", "vout", "address", "from_address", "amount_sat", "usd_micro", "height", "paid_at", "day",
    "app__name", "app_type", "source", "kind", "message_hash", "price_usd", "block_hash",
)  # fmt: skip

Row = dict[str, Any]

UNINDEXED_ORDER: dict[str, Combinable] = {
    "paid_at": Coalesce(F("paid_at"), F("paid_at"), output_field=DateTimeField()),
    "amount_sat": Coalesce(F("amount_sat"), F("amount_sat"), output_field=BigIntegerField()),
    "height": Coalesce(F("height"), F("height"), output_field=BigIntegerField()),
}


def page_rows(selection: Selection, total: int, offset: int, limit: int) -> list[Row]:
    """Return the rows from `offset` on, as dicts of COLUMNS; empty past the end."""
    if offset >= total:
        return []
    return _fetch(_ids(selection, total, offset, min(limit, total - offset)))


def every_row(selection: Selection) -> Iterator[list[Row]]:
    """Yield all matching rows in the requested order, in batches, each in its own short transaction.

    Only their keys are read at once, 8 bytes per row. A row that stays is yielded once, despite concurrent changes.
    """
    with long_read_snapshot():
        ids = array("q", _every_id(selection))
    yield from map(_fetch, chunks(ids, BATCH))


def _every_id(selection: Selection) -> Iterable[int]:
    """Return all ids: few matches are gathered, otherwise one statement walks the order's index."""
    total = selection.count()
    if not selection.is_plain and total <= GATHER:
        return _gather(selection, 0, total)
    column, descending = selection.order
    sign = "-" if descending else ""
    return selection.walk().order_by(f"{sign}{column}", f"{sign}id").values_list("id", flat=True).iterator()


def _fetch(ids: Sequence[int]) -> list[Row]:
    """Fetch rows in this order, skipping deleted ones."""
    values = Payment.objects.filter(id__in=ids).values_list(*COLUMNS)
    rows = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in values}
    return [rows[key] for key in ids if key in rows]


def tip_height() -> int | None:
    """Return the last block as its source counts. One query."""
    return LedgerState.objects.values_list(F("tip_height") + F("tip_ahead"), flat=True).first()


def with_confirmations(rows: list[Row], tip: int | None) -> list[Row]:
    """Add each payment's confirmations, None while no tip is known."""
    for row in rows:
        row["confirmations"] = None if tip is None else max(tip - row["height"] + 1, 0)
    return rows


def _ids(selection: Selection, total: int, offset: int, limit: int) -> list[int]:
    column, _ = selection.order
    if selection.is_plain and column == "paid_at":
        if selection.has("address") or min(offset, total - offset - limit) > NEAR:
            return _by_days(selection, offset, limit)
        return _slice(selection.rows(), selection, total, offset, limit)
    if selection.is_plain:
        return _slice(selection.rows(), selection, total, offset, limit)
    if total <= GATHER:
        return _gather(selection, offset, limit)
    if column != "paid_at":
        return _slice(selection.matches(), selection, total, offset, limit)
    walked = _walk(selection, total, offset, limit)
    return _sort(selection, total, offset, limit) if walked is None else walked


def _by_days(selection: Selection, offset: int, limit: int) -> list[int]:
    """Find the days from daily totals, then the rows by key within them."""
    _, descending = selection.order
    place = selection.days.place(offset, limit, oldest_first=not descending)
    first, last = min(place.days), max(place.days)
    rows = (selection.walk() if selection.has("address") else selection.rows()).filter(within(first, last))
    if selection.has("address") and (last - first).days >= SHORT_WALK:
        rows = Payment.objects.filter(day__in=place.days, address=selection.values["address"])
    return _slice(rows, selection, place.rows, place.skip, limit)


def _gather(selection: Selection, offset: int, limit: int) -> list[int]:
    """Fetch all matching keys, each meaning by its own index, and sort here."""
    column, descending = selection.order
    conditions = [Q()] if selection.meanings is None else [meaning.indexed for meaning in selection.meanings]
    keys: dict[int, Any] = {}
    for condition in conditions:
        keys.update(selection.rows(condition).order_by().values_list("id", column))
    ordered = sorted(((key, row) for row, key in keys.items()), reverse=descending)
    return [row for _, row in ordered[offset : offset + limit]]


def _walk(selection: Selection, total: int, offset: int, limit: int) -> list[int] | None:
    """Walk the default order until the page is full. None if sorting the matches is cheaper."""
    _, descending = selection.order
    ahead = min(offset + limit, total - offset)  # matches to pass, from the nearer end
    expected = ahead * selection.days.total // total
    if expected > total:
        return None
    newest_first = descending == (ahead == offset + limit)
    enough = expected * WALK_MARGIN + GATHER
    bound = selection.days.since(enough) if newest_first else selection.days.until(enough)
    rows = selection.walk()
    if bound is not None:
        rows = rows.filter(Q(paid_at__gte=bound) if newest_first else Q(paid_at__lt=bound))
    ids = _slice(rows, selection, total, offset, limit)
    return ids if len(ids) == limit else None


def _sort(selection: Selection, total: int, offset: int, limit: int) -> list[int]:
    """Let the database gather the matches by index and sort them."""
    column, _ = selection.order
    rows = selection.matches().alias(key=UNINDEXED_ORDER[column])
    return _slice(rows, selection, total, offset, limit, key="key")


def _slice(
    rows: PaymentQuerySet, selection: Selection, total: int, offset: int, limit: int, key: str = ""
) -> list[int]:
    """Return the ids from `offset` on, read from the nearer end of the `total` rows."""
    column, descending = selection.order
    limit = min(limit, total - offset)
    from_end = offset > total - offset - limit
    start = total - offset - limit if from_end else offset
    sign = "-" if descending != from_end else ""
    ids = list(rows.order_by(f"{sign}{key or column}", f"{sign}id").values_list("id", flat=True)[start : start + limit])
    return ids[::-1] if from_end else ids
