"""What each job may be told: the bodies of the POST endpoints and the forms of the admin."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from fluxtracker.api.params import Day, Seconds, TrueOrFalse, Whole, require_order
from ops.jobs_table import Verb

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
        help_text='"clear": without it nothing is deleted.',
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
