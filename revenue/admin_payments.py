"""Show and search payments in the admin. They are read-only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from fluxtracker import formatting
from fluxtracker.admin import UNKNOWN, CappedPaginator, LargeTableAdmin, column, link, list_link
from fluxtracker.periods import midnight
from fluxtracker.timestamps import parse_day
from revenue.models import DailyTotal, Message, Payment
from revenue.payments.filters import select
from revenue.payments.pagination import page_rows
from revenue.selectors import open_totals, transaction_url


class DaysFilter(admin.ListFilter):
    """From one UTC day to another, both included, either optional; a wrong day filters nothing and is shown."""

    title = "day"
    template = "admin/days_filter.html"
    keys = ("from", "to")

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        given = {key: params.pop(key)[-1] for key in self.keys if key in params}
        self.used_parameters.update(given)
        self.first, self.last = (given.get(key, "") for key in self.keys)
        self.wrong = [text for text in (self.first, self.last) if text and parse_day(text) is None]

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.keys)

    def choices(self, changelist: ChangeList) -> Iterator[Mapping[str, object]]:
        """Return the other parameters of the page, which the form has to keep."""
        kept = {key: values[-1] for key, values in changelist.filter_params.items() if key not in self.keys}
        kept |= {"q": changelist.query} if changelist.query else {}
        return iter([{"name": name, "value": value} for name, value in kept.items()])

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        first, last = parse_day(self.first), parse_day(self.last)
        if first:
            queryset = queryset.filter(paid_at__gte=midnight(first))
        return queryset.filter(paid_at__lt=midnight(last + timedelta(days=1))) if last else queryset


class WaitingFilter(admin.SimpleListFilter):
    """Payments that lack something; both choices read a partial index."""

    title = "waiting for"
    parameter_name = "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("name", "an app name"), ("price", "a price")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "name":
            return queryset.unnamed()
        return queryset.unpriced() if self.value() == "price" else queryset


MOST_FOUND = 1_000  # payments that a search lists


class PaymentPaginator(CappedPaginator):
    """All payments are counted by the daily totals; what a filter leaves is counted up to the cap."""

    @cached_property
    def count(self) -> int:
        if self._rows.query.where:
            return min(self._counted, self.cap)
        return open_totals().summed()["payments"]

    @property
    def capped(self) -> bool:
        return bool(self._rows.query.where) and super().capped


@admin.register(Payment)
class PaymentAdmin(LargeTableAdmin):
    list_display = ("time", "amount", "dollars", "app_name", "sender", "txid_short")
    list_display_links = ("time",)
    list_select_related = ("app",)
    list_filter = (DaysFilter, "app_type", WaitingFilter)  # `kind` would scan a ledger without such
    ordering = ("-paid_at", "-id")
    sortable_by = ("time", "amount")
    search_fields = ("txid",)  # shows the box; `get_search_results` searches
    search_help_text = (
        "A txid or address by its beginning, part of an app name, an exact amount, a day or a month: "
        f"the newest {MOST_FOUND:,} that fit."
    )
    paginator = PaymentPaginator
    fieldsets = (
        (None, {"fields": ("amount", "dollars", "price", "time", "received_by", "from_address")}),
        ("App", {"fields": ("app_name", "app_type", "kind", "message")}),
        ("Chain", {"fields": ("transaction", "vout", "height", "block_hash", "source")}),
    )

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Search as the API does: by indexes, on either engine."""
        term = search_term.strip()
        if not term:
            return queryset, False
        selection = select({"search": term})
        found = page_rows(selection, selection.count(), 0, MOST_FOUND)
        return queryset.filter(pk__in=[row["id"] for row in found]), False

    time = column("time, UTC", lambda payment: clock(payment.paid_at), ordering="paid_at")
    amount = column("FLUX", lambda payment: formatting.flux(payment.amount_sat, 8), ordering="amount_sat")
    dollars = column("USD", lambda payment: UNKNOWN if payment.usd_micro is None else formatting.usd(payment.usd_micro))

    @admin.display(description="USD for 1 FLUX")
    def price(self, payment: Payment) -> str:
        return UNKNOWN if payment.price_usd is None else formatting.price(payment.price_usd)

    app_name = column("app", lambda payment: link(payment.app) if payment.app else None)
    sender = column("from", lambda payment: _payments_from(payment.from_address))
    received_by = column("to", lambda payment: list_link(DailyTotal, payment.address, address=payment.address))
    txid_short = column("transaction", lambda payment: shortened(payment.txid))

    @admin.display(description="transaction")
    def transaction(self, payment: Payment) -> SafeString:
        return format_html('<a href="{}">{}</a>', transaction_url(payment.txid), payment.txid)

    @admin.display(description="message")
    def message(self, payment: Payment) -> str:
        row = Message.objects.filter(hash=payment.message_hash).first()
        return link(row) if row else UNKNOWN


def _payments_from(address: str) -> SafeString | None:
    return list_link(Payment, shortened(address), q=address) if address else None


def clock(instant: datetime) -> str:
    """Return a UTC time to the second."""
    return f"{instant:%Y-%m-%d %H:%M:%S}"


def shortened(text: str) -> SafeString:
    """Return a long identifier, whole on hover."""
    return format_html('<span title="{}">{}</span>', text, formatting.short(text))
