"""Report daily fees in the form of DefiLlama: what users paid, and who received which part.

The tracked addresses receive the foundation's part of a payment; its size is set by rules with heights.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from deployments import stored_block_times
from fluxtracker import money
from fluxtracker.block_times import Timeline, scheduled
from fluxtracker.periods import DAY, Period, midnight
from fluxtracker.upstream.records import FORK_HEIGHT
from reports.subsidy import issued_sat
from revenue.models import DailyPrice, LedgerState, Payment, PrunedPayment, ShareRule
from revenue.period_totals import Sums, Totals
from revenue.selectors import facts

WHOLE = 1_000_000  # parts of a payment
EMISSION = "Issued by blocks to nodes and the development fund: an incentive that no user paid."


@dataclass(frozen=True, slots=True)
class Money:
    """None: not known."""

    sat: int | None
    usd_micro: int | None

    def __sub__(self, other: Money) -> Money:
        sat = None if self.sat is None or other.sat is None else self.sat - other.sat
        is_priced = self.usd_micro is not None and other.usd_micro is not None
        return Money(sat, (self.usd_micro or 0) - (other.usd_micro or 0) if is_priced else None)


@dataclass(frozen=True, slots=True)
class Issued(Money):
    label: str = EMISSION


@dataclass(frozen=True, slots=True)
class FeesDay:
    day: date
    complete: bool
    users: Money
    """Payments of users."""
    foundation: Money
    """The part that reached the tracked addresses."""
    incentives: Issued
    """Coins issued by the day's blocks, not paid by users."""
    payments: int | None
    usd_missing: int

    @property
    def operators(self) -> Money:
        """Return the part of the fees that went to node operators."""
        return self.users - self.foundation

    @property
    def begins_at(self) -> datetime:
        return midnight(self.day)

    @property
    def holders(self) -> None:
        """Return unknown: the foundation's use of its part is not on record."""


@dataclass(frozen=True, slots=True)
class Fees:
    days: Sequence[FeesDay]
    rules: Sequence[ShareRule]
    as_of: datetime | None


def fees(first: date, last: date, now: datetime) -> Fees:
    """Return the fees of each day, oldest first."""
    totals, shares = Totals.load(first, last), Shares.load()
    issued = Issue.load(totals.ledger)
    prices = dict(DailyPrice.objects.filter(day__gte=first, day__lte=last).values_list("day", "price_usd"))
    days = []
    for day in Period.of_days(first, last).days():
        sums = totals.of([day])
        users = shares.paid_by_users(day, sums)
        incentives = issued.on(day, prices.get(day))
        foundation = Money(sums.revenue_sat, sums.usd_micro)
        complete = totals.ledger.has_all_of(day, now)
        days.append(FeesDay(day, complete, users, foundation, incentives, sums.payments, sums.usd_missing))
    return Fees(days, shares.rules, totals.ledger.read_until)


@dataclass(frozen=True, slots=True)
class Shares:
    """The rules for shares, and the day each began."""

    rules: Sequence[ShareRule]
    began: Sequence[date]
    """Ascending, `date.max` for rules without a payment yet."""
    mixed: Mapping[date, Mapping[int, Money]]
    """Payments to the foundation on days when a rule began, by the rule's index."""

    @classmethod
    def load(cls) -> Shares:
        rules = list(ShareRule.objects.order_by("from_height"))
        began = [_began(rule) for rule in rules]
        return cls(rules, began, _mixed(rules, {day for day in began if date.min < day < date.max}))

    def paid_by_users(self, day: date, sums: Sums) -> Money:
        """Return what users paid for this part to reach the foundation; most days have one rule."""
        if sums.revenue_sat is None:
            return Money(None, None)
        parts = self.mixed.get(day) or {self._rule(day): Money(sums.revenue_sat, sums.usd_micro)}
        sat = sum(self._grossed(place, part.sat or 0) for place, part in parts.items())
        micro = sum(self._grossed(place, part.usd_micro or 0) for place, part in parts.items())
        return Money(sat, None if sums.usd_micro is None else micro)

    def _rule(self, day: date) -> int:
        return bisect_right(self.began, day) - 1

    def _grossed(self, place: int, part: int) -> int:
        """Return the whole payment from the foundation's part, rounded down."""
        return part * WHOLE // self.rules[place].foundation_ppm if place >= 0 else part


def _began(rule: ShareRule) -> date:
    """Return the day of the first payment under the rule."""
    if rule.from_height == 0:
        return date.min
    kept = Payment.objects.filter(height__gte=rule.from_height).order_by("height").values_list("day", flat=True)
    pruned = PrunedPayment.objects.filter(day__gte=rule.from_day - 365 * DAY, height__gte=rule.from_height)
    days = [*kept[:1], *pruned.order_by("day").values_list("day", flat=True)[:1]]
    return min(days, default=date.max)


def _mixed(rules: Sequence[ShareRule], days: set[date]) -> dict[date, dict[int, Money]]:
    heights = [rule.from_height for rule in rules]
    by_day: defaultdict[date, dict[int, Money]] = defaultdict(dict)
    for fact in facts(days) if days else ():
        place = bisect_right(heights, fact.height) - 1
        before = by_day[fact.day].get(place, Money(0, 0))
        by_day[fact.day][place] = Money((before.sat or 0) + fact.revenue_sat, (before.usd_micro or 0) + fact.usd_micro)
    return by_day


@dataclass(frozen=True, slots=True)
class Issue:
    """Coins issued by day, since the fork and as far as the chain is known."""

    times: Timeline
    instants: Sequence[datetime]
    until: datetime | None

    @classmethod
    def load(cls, ledger: LedgerState) -> Issue:
        times = stored_block_times.timeline()
        return cls(times, [block.time for block in times.known], ledger.settled_at)

    def on(self, day: date, price: Decimal | None) -> Issued:
        """Return the coins issued on the day, unknown before the fork and for days not over."""
        end = midnight(day + DAY)
        if self.until is None or end > self.until or self._height(midnight(day)) < FORK_HEIGHT:
            return Issued(None, None)
        sat = issued_sat(self._height(midnight(day)), self._height(end))
        return Issued(sat, None if price is None else money.usd_micro(sat, price))

    def _height(self, moment: datetime) -> int:
        """Return the first block at or after the moment, to within a block or two."""
        place = bisect_right(self.instants, moment)
        if place == 0:
            return 0
        low = self.times.known[place - 1]
        passed = (moment - low.time).total_seconds()
        if place == len(self.instants):
            return low.height + round(passed / 30)
        high = self.times.known[place]
        share = passed / (high.time - low.time).total_seconds()
        return low.height + round(share * (high.height - low.height)) if scheduled(low.height) >= 0 else 0
