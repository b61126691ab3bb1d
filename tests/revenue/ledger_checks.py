"""What must be true of the ledger at any time."""

from django.db.models import Count, Sum
from django.db.models.functions import Coalesce

from revenue.models import App, DailyTotal, LedgerState, Payment


def rows():
    """The ledger as (txid, vout, satoshi, height, block hash)."""
    return set(Payment.objects.values_list("txid", "vout", "amount_sat", "height", "block_hash"))


def assert_sums_hold():
    """Totals of open days equal their rows, closed days have none, apps equal their rows."""
    closed = LedgerState.load().closed_through
    totals = DailyTotal.objects.all()
    if closed:
        totals = totals.filter(day__gt=closed)
        assert not Payment.objects.filter(day__lte=closed).exists()
    keys = ("day", "address", "revenue_sat", "payments", "usd_micro", "priced")
    stored = {tuple(row[key] for key in keys) for row in totals.values(*keys)}
    counted = {tuple(row[key] for key in keys) for row in Payment.objects.day_sums()}
    assert stored == counted
    sums = {"n": Count("id"), "sat": Sum("amount_sat"), "usd": Coalesce(Sum("usd_micro"), 0), "of": Count("usd_micro")}
    by_app = Payment.objects.exclude(app=None).order_by().values_list("app__name").annotate(**sums)
    columns = ("name", "payments", "revenue_sat", "usd_micro", "priced")
    assert set(App.objects.filter(payments__gt=0).values_list(*columns)) == set(by_app)
