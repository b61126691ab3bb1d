"""The query parameters of this room's endpoints."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from fluxtracker.api.params import Day, Flux, OneOf, PageQuery, Whole, Words, require_order
from revenue.apps_listing import APP_ORDERS, DEFAULT_APP_ORDER
from revenue.listing import DEFAULT_ORDER, ORDERS, Wanted
from revenue.models import AppType


class TransactionsQuery(PageQuery):
    search = Words(
        help_text="Beginning of a txid or an address (4 characters or more), part of an app name, "
        "an exact amount of FLUX, a day YYYY-MM-DD or a month YYYY-MM."
    )
    app = Words(help_text="Exact app name.")
    sort = OneOf(list(ORDERS), default=DEFAULT_ORDER, help_text="A minus means descending.")
    type = OneOf(list(AppType.values), required=False, help_text="How the app was deployed.")
    address = Words(help_text="Exact address that was paid.")
    sender = Words(help_text="Exact address that paid.")
    min_amount = Flux(required=False, help_text="FLUX, included.")
    max_amount = Flux(required=False, help_text="FLUX, included.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return super().get_fields() | {
            "from": Day(required=False, help_text="First UTC day, included."),
            "to": Day(required=False, help_text="Last UTC day, included."),
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        require_order(attrs, "from", "to")
        require_order(attrs, "min_amount", "max_amount")
        return attrs


def wanted(values: dict[str, Any]) -> Wanted:
    """What the checked query asks for."""
    return Wanted(
        first=values.get("from"),
        last=values.get("to"),
        address=values.get("address", ""),
        sender=values.get("sender", ""),
        app=values.get("app", ""),
        app_type=values.get("type", ""),
        min_sat=values.get("min_amount"),
        max_sat=values.get("max_amount"),
        search=values.get("search", ""),
        sort=values["sort"],
    )


class AppsQuery(PageQuery):
    search = Words(help_text="Part of an app name.")
    sort = OneOf(list(APP_ORDERS), default=DEFAULT_APP_ORDER, help_text="A minus means descending.")


class DailyQuery(serializers.Serializer[Any]):
    days = Whole(default=30, maximum=3650, help_text="Days back from today, today included.")
