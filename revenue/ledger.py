"""Writing to the ledger: rows, totals and cursor move together, in one database transaction.

Laws that hold at every commit: a DailyTotal of an open day equals the sum of its rows, an App's sums equal
the sum of its rows, and a closed day (pruned and frozen) neither changes nor gets rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import TypeVar

from django.db import transaction
from django.db.models import Count, F, Max, Min, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from revenue.models import App, DailyTotal, LedgerState, Payment

T = TypeVar("T")
CHUNK = 5_000  # ids in one statement: SQLite takes at most 32,766 parameters


@contextmanager
def writing() -> Iterator[LedgerState]:
    """A transaction that only one writer of the ledger is in at a time, on either engine."""
    with transaction.atomic():
        state = LedgerState.objects.select_for_update().filter(id=1).first()
        yield state or LedgerState.load()
        LedgerState.objects.filter(id=1).update(version=F("version") + 1)


def recompute_days(keys: Collection[tuple[date, str]]) -> None:
    """Bring the totals of these (day, address) in line with their rows. Closed days stay as they are."""
    closed_through = LedgerState.objects.values_list("closed_through", flat=True).get(id=1)
    wanted = {key for key in keys if closed_through is None or key[0] > closed_through}
    for days in chunks(sorted({day for day, _ in wanted})):
        rows = Payment.objects.filter(day__in=days).day_sums()
        sums = {(row["day"], row["address"]): row for row in rows}
        here = {key for key in wanted if days[0] <= key[0] <= days[-1]}
        _store_totals([sums[key] for key in here & sums.keys()])
        for day, address in here - sums.keys():
            DailyTotal.objects.filter(day=day, address=address).delete()


def _store_totals(sums: list[dict[str, object]]) -> None:
    DailyTotal.objects.bulk_create(
        [DailyTotal(**row) for row in sums],
        update_conflicts=True,
        unique_fields=["day", "address"],
        update_fields=["revenue_sat", "payments", "usd_micro", "priced"],
    )


def recompute_apps(app_ids: Iterable[int]) -> None:
    """Bring the sums of these apps in line with their rows."""
    for ids in chunks(sorted(set(app_ids))):
        App.objects.filter(id__in=ids).update(
            payments=Coalesce(_of_app(Count("id")), 0),
            revenue_sat=Coalesce(_of_app(Sum("amount_sat")), 0),
            usd_micro=Coalesce(_of_app(Sum("usd_micro")), 0),
            priced=Coalesce(_of_app(Count("usd_micro")), 0),
            first_paid_at=_of_app(Min("paid_at")),
            last_paid_at=_of_app(Max("paid_at")),
        )


def _of_app(aggregate: Count | Sum | Min | Max) -> Subquery:
    """The aggregate over the rows of the App that the outer query is at."""
    rows: QuerySet[Payment] = Payment.objects.filter(app=OuterRef("pk")).order_by()
    return Subquery(rows.values("app").annotate(value=aggregate).values("value"))


def chunks(items: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
