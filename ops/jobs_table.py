"""What can be asked for as a job: one table. Doors are told by dotted name: they stand in rooms above."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.module_loading import import_string

Params = Mapping[str, Any]


class UnknownVerb(Exception):
    """There is no job of that name."""


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb as a job: its name in the URL, its door, and the lease that it takes."""

    name: str
    door: str
    lease: str
    words: str
    keywords: Mapping[str, str] = field(default_factory=dict)
    """Parameters, by the door's word for each."""
    writes_ledger: str = ""
    """The parameter with which it takes the sync's lease instead."""
    confirm: str = ""
    """What `confirm` has to say."""
    destructive: bool = False
    """Something is lost that the job alone does not bring back: pages ask once more."""

    def lease_for(self, params: Params) -> str:
        return "sync_revenue" if self.writes_ledger and params.get(self.writes_ledger) else self.lease

    def call(self, params: Params, *, trigger: str, wait: float) -> dict[str, Any]:
        """Go through the door. The report is the command's."""
        door: Callable[..., dict[str, Any]] = import_string(self.door)
        words = {self.keywords[key]: value for key, value in params.items() if key in self.keywords}
        return door(trigger=trigger, wait=wait, **words)


VERBS = (
    Verb("revenue-sync", "revenue.doors.sync_revenue", "sync_revenue",
         "Read new payments from the chain; full: from the first height, deletes nothing.", {"full": "full"}),
    Verb("reset-revenue-sync", "revenue.doors.reset_revenue_sync", "sync_revenue",
         "Forget how far the chain was read: the next sync reads everything again.", destructive=True),
    Verb("clear-revenue-data", "revenue.doors.clear_revenue_data", "sync_revenue",
         "Delete payments, daily totals, cursors and quarantine.", confirm="clear", destructive=True),
    Verb("backfill-app-names", "revenue.doors.backfill_app_names", "backfill_app_names",
         "Look for app names of payments that have none yet.", {"batchSize": "batch_size", "all": "everything"}),
    Verb("backfill-app-types", "revenue.doors.backfill_app_types", "backfill_app_types",
         "Find out which named payments are git and which docker deployments."),
    Verb("backfill-usd", "revenue.doors.backfill_usd", "backfill_usd",
         "Price every payment that has no USD value yet; force: price all payments of these days again.",
         {"from": "first", "to": "last", "force": "force"}),
    Verb("audit-transactions", "revenue.doors.audit_revenue", "audit_revenue",
         "Check the ledger's last blocks against the chain; fix: mend what differs.",
         {"blocks": "blocks", "fix": "fix"}, writes_ledger="fix"),
    Verb("prune", "revenue.doors.prune", "prune", "Apply the retention policy."),
    Verb("snapshot", "snapshots.doors.take_snapshot", "take_snapshot",
         "Take today's snapshot; force: take it again.", {"force": "force"}),
    Verb("check-snapshot", "snapshots.doors.check_snapshot", "take_snapshot",
         "Take today's snapshot if it is time and there is none."),
    Verb("backfill", "snapshots.doors.backfill_snapshots", "take_snapshot",
         "Make the days without a snapshot; force: make backfilled days anew, never taken ones.",
         {"days": "days", "force": "force"}),
    Verb("collect-metrics", "metrics.doors.collect_metrics", "collect_metrics",
         "Read what the network is now: nodes, capacity, running apps and the price."),
    Verb("test-services", "metrics.doors.check_services", "check_services",
         "Check that each upstream answers, and that tracked games and crypto nodes still run."),
    Verb("refresh-carousel", "carousel.doors.refresh_carousel", "refresh_carousel",
         "Make the three lists of the carousel anew."),
    Verb("backup", "ops.backup_doors.back_up", "backup", "Write a backup of every table and verify it."),
)  # fmt: skip

BY_NAME = {verb.name: verb for verb in VERBS}
NAMES = list(BY_NAME)


def find(name: str) -> Verb:
    try:
        return BY_NAME[name]
    except KeyError:
        raise UnknownVerb(f"there is no job {name}; there are: {', '.join(BY_NAME)}") from None
