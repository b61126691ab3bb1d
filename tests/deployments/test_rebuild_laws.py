"""Whatever the order in which messages and payments come and go, the same lives, events and accruals follow."""

import pytest
from django.db.models import Count, Sum
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from deployments import accrual, message_facts, rebuild_lives, stored_block_times
from deployments.categories import Catalogue
from deployments.models import (
    AppEvent,
    AppLife,
    BlockTime,
    ChangedApp,
    DailyAccrual,
    KindDay,
    MessageFact,
    MessagesState,
)
from ops.jobs import runs
from revenue import ledger
from revenue.models import DailyTotal, Payment
from revenue.querysets import SUMMED
from tests.deployments.messages import MONTH, OWNER, START, STRANGER, at, register, update
from tests.factories import MAIN, pay
from tests.marks import examples, law

TIP = START + 3 * MONTH
STEPS = st.tuples(
    st.sampled_from((register, update)),
    st.integers(0, 60),  # of a twentieth of a month
    st.sampled_from((1, 100, 20_160, MONTH, 2 * MONTH, None)),
    st.sampled_from((OWNER, STRANGER)),
    st.sampled_from(("One", "TWO")),
    st.integers(0, 3),  # FLUX that are paid for it
)


def state():
    rows = DailyAccrual.objects.order_by("day").values()
    accruals = [row for row in rows if any(value for key, value in row.items() if key != "day")]
    columns = (*rebuild_lives.COLUMNS, "app", "position", "day", "left_usd_micro", "added_s")
    events = AppEvent.objects.order_by("app", "position").values(*columns)
    return list(AppLife.objects.order_by("app_key").values()), list(events), accruals


def assert_kinds_are_sums_of_events():
    rows = KindDay.objects.exclude(messages=0).values_list("day", "kind", "messages", *SUMMED)
    events = AppEvent.objects.order_by().values_list("day", "kind").annotate(Count("id"), *map(Sum, SUMMED))
    assert set(rows) == set(events)
    assert not any(any(sums) for sums in KindDay.objects.filter(messages=0).values_list(*SUMMED))


def pay_for(message, flux):
    return pay(str(flux), message_hash=message.hash, txid=message.txid, height=message.height, at=at(message.height))


def settle_days(days):
    with ledger.writing():
        ledger.recompute_days({(day, MAIN) for day in days})
        rebuild_lives.rebuild(rebuild_lives.touched(days))
        accrual.recompute_cash(days)


@law
@pytest.mark.engine
class Laws(TestCase):
    @hypothesis_settings(max_examples=examples(30), deadline=None)
    @given(steps=st.lists(STEPS, min_size=1, max_size=8), data=st.data())
    def test_the_order_of_arrival_does_not_matter(self, steps, data):
        BlockTime.objects.create(height=START, at=at(START), day=at(START).date())
        MessagesState.load()
        MessagesState.objects.update(tip_height=TIP)
        told = {}
        for kind, place, term, owner, name, flux in steps:
            message = kind(START + place * MONTH // 20, term, owner=owner, name=name)
            told[message.hash] = message, flux
        arrivals = [("message", one) for one in told] + [("payment", one) for one in told if told[one][1]]
        removed = data.draw(st.sets(st.sampled_from(sorted(told))))
        with runs.run("sync_messages", trigger="test") as run:
            for what, key in data.draw(st.permutations(arrivals)):
                message, flux = told[key]
                if what == "message":
                    message_facts.Writer(run, Catalogue.load()).store([message])
                    rebuild_lives.rebuild_changed(run)
                else:
                    settle_days({pay_for(message, flux).day})
            for key in removed & {one for one in told if told[one][1]}:  # a reorganisation takes it away
                payment = Payment.objects.get(message_hash=key)
                payment.delete()
                settle_days({payment.day})
            incremental = state()
            assert_kinds_are_sums_of_events()
            AppLife.objects.all().delete()
            KindDay.objects.all().delete()
            DailyAccrual.objects.all().delete()
            ChangedApp.objects.bulk_create([ChangedApp(app_key=key) for key in {m.app_key for m, _ in told.values()}])
            rebuild_lives.rebuild_changed(run)
            accrual.recompute_cash(set(DailyTotal.objects.values_list("day", flat=True)))
        assert MessageFact.objects.count() == len(told)
        assert stored_block_times.timeline().time_of(START) == at(START)
        assert state() == incremental
        assert_kinds_are_sums_of_events()
        assert_rates_are_those_of_the_pools()


def assert_rates_are_those_of_the_pools():
    """What each event leaves is what the pool of its app has, were there no later one."""
    for life in AppLife.objects.all():
        told = list(AppEvent.objects.filter(app=life).order_by("position"))
        for number, event in enumerate(told, 1):
            if accrual.is_assigned(event):
                left = accrual.balance(one for one in told[:number] if one.life == event.life)
                assert event.left_usd_micro == left.usd_micro
