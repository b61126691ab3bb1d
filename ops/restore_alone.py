"""Nobody else may write while a restore replaces everything: it takes the leases of all writers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from django.db import connection

from ops import leases

WRITERS = (
    "audit_revenue", "backfill_app_names", "backfill_app_types", "backfill_usd", "backup", "check_alerts",
    "check_services", "collect_metrics", "prune", "refresh_carousel", "refresh_price", "send_alerts",
    "sync_revenue", "take_snapshot",
)  # fmt: skip
"""The leases of all that writes on its own: a restore holds every one of them."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps others out, as each engine lets it."""

    stack: ExitStack
    held: tuple[leases.Held, ...]

    def begin(self) -> None:
        """Right before the transaction. On SQLite heartbeats could not write during it: it takes the leases itself."""
        if connection.vendor == "sqlite":
            self.stack.close()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Inside the transaction. Whoever was at work and lost its lease can commit nothing after it."""
        if connection.vendor == "sqlite":
            holder = leases.make_holder()
            for name in WRITERS:
                if (other := leases.try_take(name, holder)) is not None:
                    raise leases.LeaseHeld(name, other)
            yield
            for name in WRITERS:
                leases.release(name, holder)
        else:
            yield
            for lease in self.held:  # at the end: from here to the commit their rows are locked
                lease.guard()


@contextmanager
def others_kept_out(wait: float) -> Iterator[Keeper]:
    """Hold every writer's lease. LeaseHeld when one is not free within `wait` seconds."""
    with ExitStack() as stack:
        yield Keeper(stack, tuple(stack.enter_context(leases.hold(name, wait=wait)) for name in WRITERS))
