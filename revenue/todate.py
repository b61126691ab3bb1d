"""Like for like: a calendar period so far against the one before it, cut at the same elapsed time.

Whole days come from the daily totals; of the day in which the cut lies, the rows before the cut are summed. Where
those rows are pruned, nobody can know any more what came before the cut, and that day counts whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from fluxtracker.periods import Length, Period, midnight
from revenue.models import Payment
from revenue.reports import Ledger, Sums, Totals

DAY = timedelta(days=1)

DaySums = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Cut:
    """Both periods as far as the current one has gone."""

    current: Period
    previous: Period
    whole_days: bool
    """Whether the last day of the previous period is whole although the cut lies in it: its rows are pruned."""

    @property
    def parted(self) -> date | None:
        """The day of which only the rows before the cut count; None when all days count whole."""
        last, end = self.previous.last_day, self.previous.end
        return None if end == midnight(last) + DAY else last


@dataclass(frozen=True, slots=True)
class ToDate:
    """What both sides of a cut add up to."""

    cut: Cut
    now: Sums
    before: Sums


def load(lengths: Iterable[Length], totals: Totals, now: datetime) -> dict[Length, ToDate]:
    """Return each calendar like for like. `totals` reach back to the earliest previous period. At most one query."""
    cuts = {length: cut(length, now, totals.ledger) for length in lengths}
    parted = parts(cuts.values())
    return {length: to_date(one, totals, parted) for length, one in cuts.items()}


def cut(length: Length, now: datetime, ledger: Ledger) -> Cut:
    """Where the periods of `now` end, to the second: payments have the whole seconds of their blocks."""
    now = now.replace(microsecond=0)
    whole = Period.containing(length, now)
    current, previous = whole.to_date(now), whole.previous().cut_like(whole, now)
    found = Cut(current, previous, whole_days=False)
    if found.parted and previous.start < previous.end and ledger.is_closed(found.parted):
        return Cut(current, replace(previous, end=midnight(found.parted) + DAY), whole_days=True)
    return found


def parts(cuts: Iterable[Cut]) -> dict[date, DaySums]:
    """What the parted days had received at their cuts. One query over the rows of those days; none without any."""
    instants = {one.parted: one.previous.end for one in cuts if one.parted}
    if not instants:
        return {}
    return {row["day"]: row for row in Payment.objects.until(instants).sums_by_day()}


def to_date(cut: Cut, totals: Totals, parts: Mapping[date, DaySums]) -> ToDate:
    """Sums of both sides. `totals` reach from the previous period's first day to today, `parts` hold the parted day."""
    now = totals.of(Period.of_days(cut.current.first_day, cut.current.end.date()).days())
    return ToDate(cut, now, _with_part(totals, cut, parts).of(cut.previous.days()))


def _with_part(totals: Totals, cut: Cut, parts: Mapping[date, DaySums]) -> Totals:
    if cut.parted is None:
        return totals
    rows = {day: row for day, row in totals.rows.items() if day != cut.parted}
    if cut.parted in parts:
        rows[cut.parted] = parts[cut.parted]
    return replace(totals, rows=rows)
