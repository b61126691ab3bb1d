"""How complete and how fresh the ledger behind the list is, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from fluxtracker import figures
from fluxtracker.fresh import is_fresh
from revenue.models import LedgerState, Quarantined
from revenue.reports import STALE
from revenue.standing import last_sync_block


@dataclass(frozen=True, slots=True)
class Standing:
    """`completed_at`: when a sync last reached its tip; None before the first one did."""

    completed_at: datetime | None
    read_until: datetime | None
    closed_through: date | None
    height: int | None
    quarantined: int
    stale: bool

    @classmethod
    def load(cls, now: datetime) -> Standing:
        """At most three small queries."""
        state = LedgerState.objects.filter(id=1).first() or LedgerState()
        stale = state.completed_at is not None and not is_fresh(state.completed_at, now, STALE)
        height = last_sync_block() if stale or state.completed_at is None else None
        waiting = Quarantined.objects.count()
        return cls(state.completed_at, state.read_until, state.closed_through, height, waiting, stale)

    @property
    def up_to(self) -> str:
        """What a reader of a ledger that is not fresh may still rely on."""
        if self.height is None:
            return ""
        return f"Payments up to block {figures.whole(self.height)} are complete; newer ones will follow."

    @property
    def partial(self) -> str:
        """That the first sync is still under way; empty when it is not, or has read nothing."""
        if self.completed_at is not None or self.height is None:
            return ""
        return (
            f"The first sync is under way and has read up to block {figures.whole(self.height)}: the rest will follow."
        )

    @property
    def missing(self) -> str:
        """Transactions that nobody could read yet."""
        if not self.quarantined:
            return ""
        count, one = self.quarantined, self.quarantined == 1
        return (
            f"{figures.plural(count, 'transaction')} could not be read and {'is' if one else 'are'} not listed yet; "
            f"{'it is' if one else 'they are'} tried again by {'itself' if one else 'themselves'}."
        )

    def closed(self, first: date | None) -> str:
        """That the list does not reach back as far as it was asked for; None: as far as it goes."""
        if self.closed_through is None or (first is not None and first > self.closed_through):
            return ""
        return (
            f"The list begins after {self.closed_through.day} {self.closed_through:%b %Y}: older payments are kept "
            "as the totals of their days only."
        )
