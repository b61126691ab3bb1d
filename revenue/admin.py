"""The ledger in the Django admin: to look at, to search, and to send quarantined transactions into the next try."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from fluxtracker import figures
from fluxtracker.admin import UNKNOWN, CappedPaginator, LargeTableAdmin, ReadOnlyAdmin, link, list_link
from revenue.explorer import transaction_url
from revenue.listing import Wanted, select
from revenue.models import (
    App,
    Cursor,
    DailyPrice,
    DailyTotal,
    LedgerState,
    LivePrice,
    Message,
    Payment,
    Quarantined,
)
from revenue.pages import page_rows

MOST_FOUND = 1_000  # payments that a search lists


class PaymentPaginator(CappedPaginator):
    """All payments are counted by the daily totals; what a filter leaves is counted up to the cap."""

    @cached_property
    def count(self) -> int:
        if self._rows.query.where:
            return min(self._counted, self.cap)
        closed = LedgerState.objects.values_list("closed_through", flat=True).first()
        totals = DailyTotal.objects.filter(day__gt=closed) if closed else DailyTotal.objects.all()
        return totals.summed()["payments"]

    @property
    def capped(self) -> bool:
        return bool(self._rows.query.where) and super().capped


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


@admin.register(Payment)
class PaymentAdmin(LargeTableAdmin):
    list_display = ("time", "amount", "dollars", "app_name", "sender", "txid_short")
    list_display_links = ("time",)
    list_select_related = ("app",)
    list_filter = ("paid_at", WaitingFilter)
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
        """As the API searches: by indexes, on either engine."""
        term = search_term.strip()
        if not term:
            return queryset, False
        selection = select(Wanted(search=term))
        found = page_rows(selection, selection.count(), 0, MOST_FOUND)
        return queryset.filter(pk__in=[row[0] for row in found]), False

    @admin.display(description="time, UTC", ordering="paid_at")
    def time(self, payment: Payment) -> str:
        return clock(payment.paid_at)

    @admin.display(description="FLUX", ordering="amount_sat")
    def amount(self, payment: Payment) -> str:
        return figures.flux(payment.amount_sat, 8)

    @admin.display(description="USD")
    def dollars(self, payment: Payment) -> str:
        return UNKNOWN if payment.usd_micro is None else figures.usd(payment.usd_micro)

    @admin.display(description="USD for 1 FLUX", empty_value=UNKNOWN)
    def price(self, payment: Payment) -> str | None:
        return None if payment.price_usd is None else figures.price(payment.price_usd)

    @admin.display(description="app", empty_value=UNKNOWN)
    def app_name(self, payment: Payment) -> SafeString | None:
        return link(payment.app) if payment.app else None

    @admin.display(description="from", empty_value=UNKNOWN)
    def sender(self, payment: Payment) -> SafeString | None:
        return (
            list_link(Payment, shortened(payment.from_address), q=payment.from_address)
            if payment.from_address
            else None
        )

    @admin.display(description="to")
    def received_by(self, payment: Payment) -> SafeString:
        return list_link(DailyTotal, payment.address, address=payment.address)

    @admin.display(description="transaction")
    def txid_short(self, payment: Payment) -> SafeString:
        return shortened(payment.txid)

    @admin.display(description="transaction")
    def transaction(self, payment: Payment) -> SafeString:
        return format_html('<a href="{}">{}</a>', transaction_url(payment.txid), payment.txid)

    @admin.display(description="message", empty_value=UNKNOWN)
    def message(self, payment: Payment) -> SafeString | None:
        row = Message.objects.filter(hash=payment.message_hash).first()
        return link(row) if row else None


@admin.register(App)
class AppAdmin(LargeTableAdmin):
    list_display = ("name", "revenue", "paid", "average", "last_paid_at")
    ordering = ("-revenue_sat", "name")
    sortable_by = ("name", "revenue")
    search_fields = ("name",)
    fields = ("name", "revenue", "paid", "average", "first_paid_at", "last_paid_at")

    @admin.display(description="FLUX", ordering="revenue_sat")
    def revenue(self, app: App) -> str:
        return figures.flux(app.revenue_sat, 8)

    @admin.display(description="payments")
    def paid(self, app: App) -> SafeString:
        return list_link(Payment, figures.whole(app.payments), app__id__exact=app.pk)

    @admin.display(description="FLUX a payment", empty_value=UNKNOWN)
    def average(self, app: App) -> str | None:
        return figures.flux(app.revenue_sat // app.payments, 8) if app.payments else None


@admin.register(Message)
class MessageAdmin(LargeTableAdmin):
    list_display = ("hash", "app_name", "app_type", "attempts", "next_attempt_at")
    list_display_links = ("hash",)
    list_select_related = ("app",)
    ordering = ("hash",)
    sortable_by = ("hash",)
    search_fields = ("hash__exact",)
    search_help_text = "The whole hash of a message."
    fields = ("hash", "app_name", "app_type", "attempts", "next_attempt_at")

    @admin.display(description="app", empty_value=UNKNOWN)
    def app_name(self, message: Message) -> SafeString | None:
        return link(message.app) if message.app else None


@admin.register(DailyTotal)
class DailyTotalAdmin(ReadOnlyAdmin):
    list_display = ("day", "address", "revenue", "paid", "dollars", "unpriced")
    list_display_links = ("day",)
    list_filter = ("day", "address")
    ordering = ("-day", "address")
    search_fields = ("address__exact",)
    fields = ("day", "address", "revenue", "paid", "dollars", "unpriced")

    @admin.display(description="FLUX", ordering="revenue_sat")
    def revenue(self, total: DailyTotal) -> str:
        return figures.flux(total.revenue_sat, 8)

    @admin.display(description="payments", ordering="payments")
    def paid(self, total: DailyTotal) -> SafeString:
        where = {"day": total.day.isoformat(), "address": total.address}
        return list_link(Payment, figures.whole(total.payments), **where)

    @admin.display(description="USD", empty_value=UNKNOWN)
    def dollars(self, total: DailyTotal) -> str | None:
        return figures.usd(total.usd_micro) if total.priced or not total.payments else None

    @admin.display(description="without a price")
    def unpriced(self, total: DailyTotal) -> str:
        return figures.whole(total.payments - total.priced)


@admin.register(Cursor)
class CursorAdmin(ReadOnlyAdmin):
    list_display = ("address", "first_height", "height", "tip_height", "listed_total", "updated_at")
    ordering = ("address",)


@admin.register(LedgerState)
class LedgerStateAdmin(ReadOnlyAdmin):
    list_display = ("tip_height", "tip_source", "tip_changed_at", "completed_at", "closed_through")


@admin.register(Quarantined)
class QuarantinedAdmin(LargeTableAdmin):
    """Uncounted transactions. Retrying is the one thing that an operator does by hand."""

    list_display = ("txid_short", "to", "height", "why", "attempts", "first_seen_at", "next_attempt_at")
    list_filter = ("reason",)
    ordering = ("next_attempt_at", "id")
    search_fields = ("txid__startswith", "address__exact")
    actions = ("retry",)
    fields = ("transaction", "address", "height", "reason", "detail", "attempts", "first_seen_at", "next_attempt_at")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("revenue.change_quarantined")

    @admin.action(description="Try again at the next sync", permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Quarantined]) -> None:
        chosen = queryset.update(next_attempt_at=timezone.now())
        words = figures.plural(chosen, "transaction")
        self.message_user(request, f"{words} will be tried again at the next sync.", messages.SUCCESS)

    @admin.display(description="transaction", ordering="txid")
    def txid_short(self, row: Quarantined) -> SafeString:
        return shortened(row.txid)

    @admin.display(description="to", ordering="address")
    def to(self, row: Quarantined) -> SafeString:
        return shortened(row.address)

    @admin.display(description="what could not be read", ordering="reason")
    def why(self, row: Quarantined) -> str:
        return "the sender" if row.reason == Quarantined.Reason.SENDER else "the record"

    @admin.display(description="transaction")
    def transaction(self, row: Quarantined) -> SafeString:
        return format_html('<a href="{}">{}</a>', transaction_url(row.txid), row.txid)


@admin.register(DailyPrice)
class DailyPriceAdmin(ReadOnlyAdmin):
    list_display = ("day", "price", "source", "attempts", "next_attempt_at")
    list_filter = ("day", "source")
    ordering = ("-day",)
    fields = ("day", "price", "source", "attempts", "next_attempt_at")

    @admin.display(description="USD for 1 FLUX", ordering="price_usd", empty_value=UNKNOWN)
    def price(self, row: DailyPrice) -> str | None:
        return figures.price(row.price_usd) if row.price_usd is not None else None


@admin.register(LivePrice)
class LivePriceAdmin(ReadOnlyAdmin):
    list_display = ("price", "source", "read_at")
    fields = ("price", "source", "read_at")

    @admin.display(description="USD for 1 FLUX")
    def price(self, row: LivePrice) -> str:
        return figures.price(row.price_usd)


def clock(instant: datetime) -> str:
    """A UTC time to the second."""
    return f"{instant:%Y-%m-%d %H:%M:%S}"


def shortened(text: str) -> SafeString:
    """A long identifier, whole on hover."""
    return format_html('<span title="{}">{}</span>', text, figures.short(text))
