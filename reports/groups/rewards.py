"""Compute how much of the rewards of nodes the fees cover."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from deployments import clock
from fluxtracker.money import SAT
from fluxtracker.periods import Period
from reports.figures import Group, How, Known, Spec, Unit, ratio, unknown
from reports.subsidy import issued_sat
from revenue.models import LedgerState

SPECS = (Spec("reward_coverage", Group.NETWORK, "Rewards covered by fees", Unit.PERCENT, How.RATIO),)


def coverage(*periods: Period, known: Mapping[Period, Mapping[str, Known]]) -> dict[Period, Known]:
    """Return fees / (block subsidy x blocks x mean price) of each period. Two queries."""
    ledger, timeline = LedgerState.known(), clock.timeline()
    found = {}
    for period in periods:
        if ledger.tip_height is None:
            found[period] = unknown("no block has been read yet")
            continue
        low, high = (timeline.height_at(at) + 1 for at in (period.start, period.end))
        try:
            issued = Decimal(issued_sat(low, high)) / SAT
        except ValueError as error:
            found[period] = unknown(str(error))
            continue
        price = known[period]["flux_price_usd"]
        rewards = price if price.value is None else Known(Decimal(price.value) * issued, price.coverage)
        found[period] = ratio(known[period]["fees_usd"], rewards)
    return found
