"""Show and search the ledger in the admin, retry quarantined transactions, and price days again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core import signing
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from fluxtracker import formatting
from fluxtracker.admin import (
    UNKNOWN,
    AnyModelAdmin,
    CappedPaginator,
    LargeTableAdmin,
    ReadOnlyAdmin,
    column,
    link,
    list_link,
    user_of,
)
from fluxtracker.periods import midnight
from fluxtracker.timestamps import parse_day
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.errors import UpstreamError
from fluxtracker.upstream.trusted_price import Quote
from ops import admin_site, audit_log
from ops.leases import LeaseHeld, LeaseLost
from revenue import jobs, labels, ledger, pricing
from revenue.models import (
    App,
    ChangedDay,
    Cursor,
    DailyPrice,
    DailyTotal,
    Label,
    LedgerState,
    LivePrice,
    Message,
    Payment,
    PendingPayments,
    PrunedPayment,
    Quarantined,
    RemovedPayment,
    ShareRule,
)
from revenue.payments.filters import select
from revenue.payments.pagination import page_rows
from revenue.selectors import open_totals, transaction_url

MOST_DAYS = 100  # priced again in one request
SALT, SHOWN_FOR_S = "revenue.price_again", 3600
LEASE_WAIT_S = 5.0


class DaysFilter(admin.ListFilter):
    """Filter from one UTC day to another, inclusive, either optional; an invalid day is shown and filters nothing."""

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
        """Yield the page's other parameters, which the form must keep."""
        kept = {key: values[-1] for key, values in changelist.filter_params.items() if key not in self.keys}
        kept |= {"q": changelist.query} if changelist.query else {}
        return iter([{"name": name, "value": value} for name, value in kept.items()])

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        first, last = parse_day(self.first), parse_day(self.last)
        if first:
            queryset = queryset.filter(paid_at__gte=midnight(first))
        return queryset.filter(paid_at__lt=midnight(last + timedelta(days=1))) if last else queryset


class WaitingFilter(admin.SimpleListFilter):
    """Filter payments that lack a name or price; both choices read a partial index."""

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
    """Count all payments from the daily totals, and filtered ones up to the cap."""

    @cached_property
    def count(self) -> int:
        if self._rows.query.where:
            return min(self._counted, self.cap)
        return open_totals().sum_of("payments")

    @property
    def capped(self) -> bool:
        return bool(self._rows.query.where) and super().capped


@admin.register(Payment)
class PaymentAdmin(LargeTableAdmin):
    list_display = ("time", "amount", "dollars", "app_name", "sender", "txid_short")
    list_display_links = ("time",)
    list_select_related = ("app",)
    list_filter = (DaysFilter, "app_type", WaitingFilter)  # `kind` would scan a ledger that has none
    ordering = ("-paid_at", "-id")
    sortable_by = ("time", "amount")
    search_fields = ("txid",)  # shows the box; `get_search_results` searches
    search_help_text = (
        "Start of a txid or address, part of an app name, an exact amount, a day or a month: "
        f"the newest {MOST_FOUND:,} matches."
    )
    paginator = PaymentPaginator
    fieldsets = (
        (None, {"fields": ("amount", "dollars", "price", "time", "received_by", "from_address")}),
        ("App", {"fields": ("app_name", "app_type", "kind", "message")}),
        ("Chain", {"fields": ("transaction", "vout", "height", "block_hash", "source")}),
    )

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Search as the API does, by index on either engine."""
        term = search_term.strip()
        if not term:
            return queryset, False
        selection = select({"search": term})
        rows = page_rows(selection, selection.count(), 0, MOST_FOUND)
        return queryset.filter(pk__in=[row["id"] for row in rows]), False

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
    """Return a shortened identifier that shows the whole one on hover."""
    return format_html('<span title="{}">{}</span>', text, formatting.short(text))


@admin.register(App)
class AppAdmin(LargeTableAdmin):
    list_display = ("name", "revenue", "paid", "average", "last_paid_at")
    ordering = ("-revenue_sat", "name")
    sortable_by = ("name", "revenue")
    search_fields = ("name",)
    fields = ("name", "revenue", "paid", "average", "first_paid_at", "last_paid_at")

    revenue = column("FLUX", lambda app: formatting.flux(app.revenue_sat, 8), ordering="revenue_sat")
    paid = column("payments", lambda app: list_link(Payment, formatting.whole(app.payments), app__id__exact=app.pk))

    @admin.display(description="FLUX per payment")
    def average(self, app: App) -> str:
        return formatting.flux(app.revenue_sat // app.payments, 8) if app.payments else UNKNOWN


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

    app_name = column("app", lambda message: link(message.app) if message.app else None)


@admin.register(DailyTotal)
class DailyTotalAdmin(ReadOnlyAdmin):
    list_display = ("day", "address", "revenue", "paid", "dollars", "unpriced")
    list_display_links = ("day",)
    list_filter = ("day", "address")
    ordering = ("-day", "address")
    search_fields = ("address__exact",)
    fields = ("day", "address", "revenue", "paid", "dollars", "unpriced")

    revenue = column("FLUX", lambda total: formatting.flux(total.revenue_sat, 8), ordering="revenue_sat")

    @admin.display(description="payments", ordering="payments")
    def paid(self, total: DailyTotal) -> SafeString:
        where = {"day": total.day.isoformat(), "address": total.address}
        return list_link(Payment, formatting.whole(total.payments), **where)

    @admin.display(description="USD")
    def dollars(self, total: DailyTotal) -> str:
        return formatting.usd(total.usd_micro) if total.priced or not total.payments else UNKNOWN

    unpriced = column("without a price", lambda total: formatting.whole(total.payments - total.priced))


admin.site.register(
    Cursor, ReadOnlyAdmin, ordering=("address",),
    list_display=("address", "first_height", "height", "tip_height", "listed_total", "updated_at"),
)  # fmt: skip
admin.site.register(
    LedgerState, ReadOnlyAdmin,
    list_display=(
        "tip_height", "tip_ahead", "tip_source", "tip_changed_at", "completed_at", "settled_at", "closed_through",
        "unproved_height",
    ),
)  # fmt: skip


@admin.register(RemovedPayment)
class RemovedPaymentAdmin(LargeTableAdmin):
    list_display = ("txid", "vout", "day", "flux", "usd")
    ordering = ("-day", "txid", "vout")
    fields = ("txid", "vout", "day", "flux", "usd")

    flux = column("FLUX", lambda row: formatting.flux(row.amount_sat, 8))
    usd = column("USD", lambda row: formatting.usd(row.usd_micro))


@admin.register(Quarantined)
class QuarantinedAdmin(LargeTableAdmin):
    """Uncounted transactions, which operators can retry."""

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
        """End their pause and request a sync; if one is running, the next one retries them."""
        chosen = queryset.update(next_attempt_at=timezone.now())
        sync = admin_site.start(jobs.sync_revenue, {}, request=request)
        words = f"{formatting.plural(chosen, 'transaction')} will be tried again at the next sync. {sync.message}"
        self.message_user(request, words, messages.SUCCESS if sync.is_started else messages.WARNING)

    txid_short = column("transaction", lambda row: shortened(row.txid), ordering="txid")
    to = column("to", lambda row: shortened(row.address), ordering="address")

    @admin.display(description="what could not be read", ordering="reason")
    def why(self, row: Quarantined) -> str:
        return "the sender" if row.reason == Quarantined.Reason.SENDER else "the record"

    @admin.display(description="transaction")
    def transaction(self, row: Quarantined) -> SafeString:
        return format_html('<a href="{}">{}</a>', transaction_url(row.txid), row.txid)


@admin.register(DailyPrice)
class DailyPriceAdmin(ReadOnlyAdmin):
    list_display = ("day", "price", "source", "doubt", "attempts", "next_attempt_at")
    list_filter = ("day", "source")
    ordering = ("-day",)
    actions = ("price_again",)
    fields = ("day", "price", "source", "doubt", "attempts", "next_attempt_at")

    @admin.display(description="USD for 1 FLUX", ordering="price_usd")
    def price(self, row: DailyPrice) -> str:
        return formatting.price(row.price_usd) if row.price_usd is not None else UNKNOWN

    def has_price_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("revenue.change_dailyprice")

    @admin.action(description="Price this day again", permissions=["price"])
    def price_again(self, request: HttpRequest, queryset: QuerySet[DailyPrice]) -> HttpResponse | None:
        """Show old and new price of each day, and store the prices shown once confirmed."""
        try:
            if "prices" not in request.POST:
                return self._show(request, list(queryset.order_by("day")[: MOST_DAYS + 1]))
            self._replace(request)
        except (UpstreamError, LeaseHeld, LeaseLost) as error:
            self.message_user(request, f"No price was changed: {error}.", messages.ERROR)
        except signing.BadSignature:
            self.message_user(
                request, "No price was changed: the page has expired. Select the days again.", messages.ERROR
            )
        return None

    def _show(self, request: HttpRequest, rows: list[DailyPrice]) -> HttpResponse | None:
        closed_through = LedgerState.load().closed_through or date.min
        rows = [row for row in rows if row.day > closed_through]
        if not rows or len(rows) > MOST_DAYS:
            words = "these days are closed" if not rows else f"select at most {MOST_DAYS} days"
            self.message_user(request, f"No price was changed: {words}.", messages.WARNING)
            return None
        days = [row.day for row in rows]
        offers = pricing.offers(days, http=Http.from_settings(), now=timezone.now()).found
        payments = dict(DailyTotal.objects.filter(day__in=days).values_list("day").annotate(Sum("payments")))
        shown = {day.isoformat(): (f"{offers[day].price:f}", offers[day].source) for day in days if day in offers}
        context = {
            **self.admin_site.each_context(request),
            "title": "Price these days again",
            "opts": self.opts,
            "rows": [
                (
                    row.day.isoformat(),
                    _price_words(Quote(row.price_usd, row.source) if row.price_usd else None, UNKNOWN),
                    _price_words(offers.get(row.day), "No price can be trusted: the old one stays."),
                    payments.get(row.day, 0),
                )
                for row in rows
            ],
            "prices": signing.dumps(shown, salt=SALT) if shown else "",
        }
        return TemplateResponse(request, "admin/revenue/dailyprice/price_again.html", context)

    def _replace(self, request: HttpRequest) -> None:
        shown = signing.loads(request.POST["prices"], salt=SALT, max_age=SHOWN_FOR_S)
        closes = {date.fromisoformat(day): Quote(Decimal(price), source) for day, (price, source) in shown.items()}
        actor = pricing.Actor(user_of(request).get_username(), audit_log.address_of(request))
        report = jobs.replace_day_prices(closes=closes, actor=actor, trigger="admin", wait=LEASE_WAIT_S)
        days, payments = formatting.plural(len(closes), "day"), formatting.plural(report["updated"], "payment")
        words = f"{days} and {payments} priced again."
        self.message_user(request, words, messages.SUCCESS)


def _price_words(quote: Quote | None, unknown: str) -> str:
    return f"{formatting.price(quote.price)} ({quote.source})" if quote else unknown


@admin.register(LivePrice)
class LivePriceAdmin(ReadOnlyAdmin):
    list_display = ("price", "source", "read_at")
    fields = ("price", "source", "read_at")

    price = column("USD for 1 FLUX", lambda row: formatting.price(row.price_usd))


@admin.register(PendingPayments)
class PendingPaymentsAdmin(ReadOnlyAdmin):
    list_display = ("number", "unreadable", "is_cut", "source", "read_at")
    fields = ("payments", "unreadable", "is_cut", "source", "read_at")

    number = column("payments", lambda row: len(row.payments))


@admin.register(PrunedPayment)
class PrunedPaymentAdmin(LargeTableAdmin):
    list_display = ("day", "amount", "payments", "kind", "txid_short")
    ordering = ("-day", "-id")
    sortable_by = ()
    search_fields = ("txid__exact",)
    search_help_text = "The whole txid."

    amount = column("FLUX", lambda row: formatting.flux(row.amount_sat, 8))
    txid_short = column("transaction", lambda row: shortened(row.txid))


@admin.register(ChangedDay)
class ChangedDayAdmin(ReadOnlyAdmin):
    ordering = ("-day",)
    search_fields = ("day",)


class EditedAdmin(AnyModelAdmin):
    """Rows that staff edit; their changes are in the audit log."""

    show_facets = admin.ShowFacets.NEVER

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        with ledger.writing():
            before = self.model.objects.filter(pk=obj.pk).first()
            obj.save()
            self.follow([row for row in (before, obj) if row])

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.delete_queryset(request, self.model.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        with ledger.writing():
            rows = list(queryset)
            queryset.delete()
            self.follow(rows)

    def follow(self, rows: list[Any]) -> None:
        """Note what must be computed again."""


@admin.register(Label)
class LabelAdmin(EditedAdmin):
    list_display = ("subject", "category", "words", "kind", "valid_from", "valid_to")
    list_filter = ("category", "kind")
    search_fields = ("subject", "words")

    def follow(self, rows: list[Any]) -> None:
        labels.mark(row.subject for row in rows)


@admin.register(ShareRule)
class ShareRuleAdmin(EditedAdmin):
    list_display = ("from_height", "from_day", "foundation_ppm", "operators_ppm", "words")
    search_fields = ("words",)
