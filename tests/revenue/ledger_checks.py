"""What must hold of the ledger whenever somebody looks."""

from django.db.models import Count, Sum

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
    by_app = (
        Payment.objects.exclude(app=None).order_by().values_list("app__name").annotate(Count("id"), Sum("amount_sat"))
    )
    assert set(App.objects.filter(payments__gt=0).values_list("name", "payments", "revenue_sat")) == set(by_app)
