"""Who changes the ledger leaves the comparisons warm: what they say is what a reader would make."""

from datetime import timedelta

import pytest
from django.utils import timezone

from revenue.models import Payment
from snapshots import tasks
from snapshots.comparison import cache
from snapshots.models import Snapshot, WarmComparison
from tests.snapshots.comparing import SPANS, ask

pytestmark = [pytest.mark.django_db, pytest.mark.warm]


@pytest.fixture
def synced(build, in_process):
    sim = build(payments=60)
    assert in_process("sync_revenue").code == 0
    return sim


def stamps():
    return dict(WarmComparison.objects.values_list("period", "stamp"))


def assert_warm(client):
    """Every period is answered from the rows, and says what is made of the tables as they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(cache, "_make")  # no reader has to make one
        told = {period: ask(client, period) for period in SPANS}
    WarmComparison.objects.all().delete()
    for period, answer in told.items():
        fresh = ask(client, period)
        for one in (answer, fresh):
            del one["madeAt"], one["revenue"]["toDate"]  # these go with the clock
        assert answer == fresh


def test_a_sync_does(synced, client):
    assert set(stamps()) == set(SPANS)
    assert_warm(client)


def test_so_does_one_that_finds_nothing_new(synced, in_process, client):
    before = stamps()
    assert in_process("sync_revenue").code == 0
    assert not set(before.items()) & set(stamps().items())  # the ledger is fresher now
    assert_warm(client)


@pytest.mark.parametrize("words", ["clear_revenue_data --yes", "reset_revenue_sync", "prune", "audit_revenue --fix"])
def test_so_do_commands_that_change_the_ledger(synced, in_process, client, settings, words):
    settings.RETENTION_DAYS = 30
    if words.startswith("audit"):
        Payment.objects.order_by("-height").first().delete()
    assert in_process(*words.split()).code == 0
    assert_warm(client)


def test_so_does_pricing(synced, in_process, client):
    Payment.objects.filter(pk__in=Payment.objects.order_by("-id").values("pk")[:5]).update(
        price_usd=None, usd_micro=None
    )
    assert in_process("backfill_usd").code == 0
    assert not Payment.objects.filter(usd_micro=None).exists()
    assert_warm(client)


def test_one_that_changes_nothing_leaves_them_as_they_are(synced, in_process):
    before = list(WarmComparison.objects.order_by("period").values())
    for words in ("audit_revenue", "backfill_usd", "backfill_app_types"):
        assert in_process(words).code == 0
    assert list(WarmComparison.objects.order_by("period").values()) == before


def test_the_snapshot_s_check_makes_them_anew_though_it_takes_none(client, clock):
    clock.shift(-timedelta(minutes=8))
    tasks.check_snapshot()
    assert not Snapshot.objects.exists()
    assert set(WarmComparison.objects.values_list("period", "made_at")) == {
        (period, timezone.now()) for period in SPANS
    }
    assert_warm(client)
