"""What each job may be told: the bodies of the POST endpoints and the forms of the admin.

What can be asked for as a job: one table. Doors are told by dotted name: they stand in rooms above.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.utils import timezone
from django.utils.module_loading import import_string
from rest_framework import serializers

from fluxtracker.api.fields import Day, Seconds, TrueOrFalse, Whole, require_order

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
    Verb("revenue-sync", "revenue.services.sync_revenue", "sync_revenue",
         "Read new payments from the chain; full: from the first height, deletes nothing.", {"full": "full"}),
    Verb("reset-revenue-sync", "revenue.services.reset_revenue_sync", "sync_revenue",
         "Restart the sync from the first block; keeps all data.", destructive=True),
    Verb("clear-revenue-data", "revenue.services.clear_revenue_data", "sync_revenue",
         "Delete payments, daily totals, cursors and quarantine.", confirm="clear", destructive=True),
    Verb("backfill-app-names", "revenue.services.backfill_app_names", "backfill_app_names",
         "Look for app names of payments that have none yet.", {"batchSize": "batch_size", "all": "everything"}),
    Verb("backfill-app-types", "revenue.services.backfill_app_types", "backfill_app_types",
         "Find out which named payments are git and which docker deployments."),
    Verb("backfill-usd", "revenue.services.backfill_usd", "backfill_usd",
         "Price every payment that has no USD value yet; force: price all payments of these days again.",
         {"from": "first", "to": "last", "force": "force"}),
    Verb("audit-transactions", "revenue.services.audit_revenue", "audit_revenue",
         "Check the ledger's last blocks against the chain; fix: mend what differs.",
         {"blocks": "blocks", "fix": "fix"}, writes_ledger="fix"),
    Verb("prune", "revenue.services.prune", "prune", "Apply the retention policy."),
    Verb("snapshot", "snapshots.services.take_snapshot", "take_snapshot",
         "Take today's snapshot; force: take it again.", {"force": "force"}),
    Verb("check-snapshot", "snapshots.services.check_snapshot", "take_snapshot",
         "Take today's snapshot if it is time and there is none."),
    Verb("backfill", "snapshots.services.backfill_snapshots", "take_snapshot",
         "Fill missing days; force: also rebuild backfilled days.",
         {"days": "days", "force": "force"}),
    Verb("collect-metrics", "metrics.services.collect_metrics", "collect_metrics",
         "Read what the network is now: nodes, capacity, running apps and the price."),
    Verb("test-services", "metrics.services.check_services", "check_services",
         "Check that each upstream answers, and that tracked games and crypto nodes still run."),
    Verb("refresh-carousel", "carousel.services.refresh_carousel", "refresh_carousel",
         "Rebuild the carousel's lists."),
    Verb("backup", "ops.backup.services.back_up", "backup", "Write a backup of every table and verify it."),
)  # fmt: skip

BY_NAME = {verb.name: verb for verb in VERBS}
NAMES = list(BY_NAME)


def find(name: str) -> Verb:
    try:
        return BY_NAME[name]
    except KeyError:
        raise UnknownVerb(f"there is no job {name}; there are: {', '.join(BY_NAME)}") from None


LONGEST_WAIT_S = 60
Form = type[serializers.Serializer[Any]]


class NothingToSay(serializers.Serializer[Any]):
    """No parameters."""


class SyncForm(serializers.Serializer[Any]):
    full = TrueOrFalse(default=False, help_text="From the first height; deletes nothing.")


SAY_CLEAR = 'expected "clear": this deletes the ledger'


class ClearForm(serializers.Serializer[Any]):
    confirm = serializers.CharField(
        trim_whitespace=False,
        help_text='Type "clear" to confirm.',
        error_messages=dict.fromkeys(("required", "null", "blank", "invalid"), SAY_CLEAR),
    )

    def validate_confirm(self, value: str) -> str:
        if value != "clear":
            raise serializers.ValidationError(SAY_CLEAR)
        return value


class NamesForm(serializers.Serializer[Any]):
    batchSize = Whole(default=500, cut_to=2000, help_text="Payments a batch.")  # noqa: N815  the wire name
    all = TrueOrFalse(default=False, help_text="Every batch, whatever the pauses.")


class PastDay(Day):
    """A UTC day up to today; not required."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, error_messages={"null": "expected a day as YYYY-MM-DD"}, **kwargs)

    def to_internal_value(self, value: Any) -> date:
        found = super().to_internal_value(value)
        if found > timezone.now().date():
            raise serializers.ValidationError("must not be in the future")
        return found


class DaysForm(serializers.Serializer[Any]):
    """Takes a range of days. A misspelt key is refused: without it the range would be wider."""

    NOT_OURS = ("wait", "csrfmiddlewaretoken")

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Days as text: parameters of jobs are stored as JSON."""
        unknown = [key for key in self.initial_data if key not in self.fields and key not in self.NOT_OURS]
        if unknown:
            raise serializers.ValidationError(
                {key: [f"unknown; there are {', '.join(self.fields)}"] for key in unknown}
            )
        require_order(values, "from", "to")
        return {key: value.isoformat() if isinstance(value, date) else value for key, value in values.items()}


UsdForm = type(
    "UsdForm",
    (DaysForm,),
    {
        "from": PastDay(help_text="First UTC day; without it from the first payment on."),  # a word of Python
        "to": PastDay(help_text="Last UTC day; without it up to today."),
        "force": TrueOrFalse(default=False, help_text="Price again what has a price; closed days stay as they are."),
    },
)


class BackfillForm(serializers.Serializer[Any]):
    days = Whole(default=365, maximum=3650, help_text="How many days back.")
    force = TrueOrFalse(default=False, help_text="Backfilled days anew, never taken ones.")


class AuditForm(serializers.Serializer[Any]):
    blocks = Whole(default=4320, cut_to=100_000_000, help_text="How many blocks; cut to the chain.")
    fix = TrueOrFalse(default=False, help_text="Mend what differs.")


class SnapshotForm(serializers.Serializer[Any]):
    force = TrueOrFalse(default=False, help_text="Take today's again.")


class WaitQuery(serializers.Serializer[Any]):
    """How long the answer may wait for the result."""

    wait = Seconds(default=25.0, longest=LONGEST_WAIT_S, help_text="Seconds, 0 to 60; then the answer is a 202.")


FORMS: Mapping[str, Form] = {
    "revenue-sync": SyncForm,
    "clear-revenue-data": ClearForm,
    "backfill-app-names": NamesForm,
    "backfill-usd": UsdForm,
    "backfill": BackfillForm,
    "audit-transactions": AuditForm,
    "snapshot": SnapshotForm,
}


def form_of(verb: Verb) -> Form:
    return FORMS.get(verb.name, NothingToSay)


def checked(verb: Verb, params: Any) -> dict[str, Any]:
    """The parameters, complete with their defaults. ValidationError says what is allowed; unknown keys are ignored."""
    if not isinstance(params, Mapping):
        raise serializers.ValidationError("expected a JSON object")
    form = form_of(verb)(data=params)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)
