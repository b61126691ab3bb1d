"""Hand-made rows of two months: what was paid, the closes and the snapshots."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from deployments.models import AppEvent, AppLife, DailySplit, MessagesState
from fluxtracker.money import SAT
from fluxtracker.periods import Span
from revenue.models import DailyPrice
from snapshots.models import Snapshot
from tests.factories import pay, settle
from tests.reports.conftest import NOW, noon

SEPTEMBER, OCTOBER = Span(date(2026, 9, 1), date(2026, 9, 30)), Span(date(2026, 10, 1), date(2026, 10, 31))
CLOUD = {
    "total_cpu_cores": 1_000.0, "used_cpu_cores": 250.0,
    "total_ram_gb": 2_000.0, "used_ram_gb": 500.0,
    "total_storage_gb": 4_000.0, "used_storage_gb": 1_000.0,
}  # fmt: skip


def ledger() -> None:
    """300 FLUX at 0.10 in September, 450 FLUX at 0.08 in October: 30 and 36 dollars."""
    for day in (1, 15, 30):
        pay("100", at=noon(date(2026, 9, day)), price_usd=Decimal("0.10"))
    for day in (1, 10, 31):
        pay("150", at=noon(date(2026, 10, day)), price_usd=Decimal("0.08"))
    settle(NOW)
    closes(SEPTEMBER, "0.10")
    closes(OCTOBER, "0.08")


def closes(span: Span, price: str) -> None:
    DailyPrice.objects.bulk_create(DailyPrice(day=day, price_usd=Decimal(price)) for day in span.days())


def snapshots(span: Span, *, without: tuple[date, ...] = (), **values: Any) -> None:
    """The same values on each day."""
    common = {"node_cumulus": 30, "node_nimbus": 20, "node_stratus": 10, "node_total": 60, "total_apps": 100, **CLOUD}
    Snapshot.objects.bulk_create(
        Snapshot(day=day, source="taken", made_at=datetime(2026, 11, 1, tzinfo=UTC), **{**common, **values})
        for day in span.days()
        if day not in without
    )


def messages_read() -> None:
    MessagesState.objects.update_or_create(id=1, defaults={"complete_at": NOW, "read_at": NOW})


def split(day: date, dimension: str, **flux: int) -> None:
    """What parts of a day's revenue are, in whole FLUX by key; `nobody` stands for an unknown app or owner."""
    DailySplit.objects.bulk_create(
        DailySplit(
            day=day, dimension=dimension, key="" if key == "nobody" else key, revenue_sat=amount * SAT,
            payments=1, usd_micro=0, priced=0,
        )
        for key, amount in flux.items()
    )  # fmt: skip


def event(kind: str, day: date, **values: Any) -> AppEvent:
    """An event of an app of its own, at noon."""
    number = AppLife.objects.count()
    life = AppLife.objects.create(app_key=f"app{number}", name=f"app{number}", category="other")
    common = {"position": 1, "life": 1, "height": 2_990_000, "at": noon(day), "day": day}
    return AppEvent.objects.create(app=life, kind=kind, **{**common, **values})
