"""Read the daily splits of revenue for a period: by class of sender, by category, by app, by owner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import Sum

from deployments.models import DailySplit, MessagesState
from fluxtracker.formatting import plural
from fluxtracker.periods import Period
from reports.figures import Known, unknown
from revenue.models import ChangedDay

Dimension = DailySplit.Dimension
NOT_READ = "app messages have not been read completely yet"


@dataclass(frozen=True, slots=True)
class State:
    """How far the splits and the lives of apps are made."""

    waiting: frozenset[date]
    """Days whose payments changed since."""
    is_read: bool
    """Whether all app messages were read once."""

    @classmethod
    def load(cls) -> State:
        is_read = MessagesState.objects.filter(complete_at__isnull=False).exists()
        return cls(frozenset(ChangedDay.objects.values_list("day", flat=True)), is_read)

    def waits(self, period: Period) -> Known | None:
        """Return that days of the period are still to be split; None where all are."""
        days = [day for day in period.days() if day in self.waiting]
        return unknown(f"the payments of {plural(len(days), 'day')} are still being split") if days else None

    def unread(self, period: Period) -> Known | None:
        """Return why nothing that rests on app messages is known; None where it is."""
        return self.waits(period) if self.is_read else unknown(NOT_READ)


def parts(dimension: str, period: Period) -> dict[str, int]:
    """Return satoshi by key over the period, the largest first."""
    rows = DailySplit.objects.filter(dimension=dimension, day__range=(period.first_day, period.last_day))
    sums = rows.order_by().values_list("key").annotate(sat=Sum("revenue_sat"))
    return dict(sorted(sums, key=lambda row: (-row[1], row[0])))
