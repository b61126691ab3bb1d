"""The ledger in the Django admin: to look at, to search, and to send quarantined transactions into the next try."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from fluxtracker import figures
from fluxtracker.admin import LargeTableAdmin, ReadOnlyAdmin, link, list_link, told
from ops import admin_work, jobs_table
from ops.admin_work import Works
from revenue.admin_payments import shortened
from revenue.explorer import transaction_url
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

SYNC = "revenue-sync"


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

    @told("FLUX a payment")
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

    @told("app")
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

    @told("USD")
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
    list_display = ("tip_height", "tip_source", "tip_changed_at", "completed_at", "settled_at", "closed_through")


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

    @admin.action(description="Try again now", permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Quarantined]) -> None:
        """Their pause is over, and a sync is asked for; where one is under way, the next one takes them."""
        chosen = queryset.update(next_attempt_at=timezone.now())
        asked = admin_work.ask(Works.of(jobs_table.find(SYNC)), {}, request=request)
        words = f"{figures.plural(chosen, 'transaction')} will be tried again at the next sync. {asked.words}"
        self.message_user(request, words, messages.SUCCESS if asked.started else messages.WARNING)

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

    @told("USD for 1 FLUX", ordering="price_usd")
    def price(self, row: DailyPrice) -> str | None:
        return figures.price(row.price_usd) if row.price_usd is not None else None


@admin.register(LivePrice)
class LivePriceAdmin(ReadOnlyAdmin):
    list_display = ("price", "source", "read_at")
    fields = ("price", "source", "read_at")

    @admin.display(description="USD for 1 FLUX")
    def price(self, row: LivePrice) -> str:
        return figures.price(row.price_usd)
