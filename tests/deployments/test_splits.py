"""Whatever happens to payments, names, prices, labels and messages: the parts of a day add up to its total."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments import jobs
from deployments.models import DailySplit, MessageFact, PeriodSplit
from deployments.splits import daily
from deployments.splits.daily import Key, Splits
from fluxtracker.env import TrackedAddress
from ops.jobs import runs
from revenue import labels, ledger, naming, pricing
from revenue.models import ChangedDay, DailyTotal, Message, Payment
from revenue.sync.engine import sync_revenue
from tests.factories import MAIN, NOON, SECOND, AppFactory, digest, pay, settle
from tests.marks import examples
from tests.revenue.fake_chain import START, FakeChain, Source

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

DAY = date(2026, 11, 20)
CARD, TEAM = "t1XktDZ9Z1QiefMYE5nMFohe8VG2c2BD5A5", "t1gjUUxBpBeVC1sWwAFrtSsVCbSaFdZx8UY"
PLATFORM, STRANGER = "t1Mzja9iJcEYeW5B4m4s1tJG8M42odFZ16A", "t1Stranger"
DIMENSIONS = ("source", "category", "app", "owner")


def update():
    return jobs.update_economics(trigger="command")["days"]


def message(payment, *, owner="owner1", category="gaming", name="web", **values):
    """Store the facts of the message that the payment is for."""
    facts = {"kind": "register", "version": 7, "encrypted": False, "height": payment.height} | values
    facts |= {"txid": payment.txid} if "txid" not in values else {}
    return MessageFact.objects.create(
        hash=payment.message_hash, name=name, app_key=name.lower(), owner=owner, category=category, **facts
    )


def parts(dimension):
    rows = DailySplit.objects.filter(dimension=dimension).values_list("day", "key", "revenue_sat")
    return {(day, key): sat for day, key, sat in rows}


def assert_whole():
    """Every dimension of every day adds up to the day's total, and is what a split of everything would be."""
    columns = ("revenue_sat", "payments", "usd_micro", "priced")
    totals = {row["day"]: tuple(row[name] for name in columns) for row in DailyTotal.objects.all().by_day()}
    sums = {}
    for dimension, day, *part in DailySplit.objects.values_list("dimension", "day", *columns):
        before = sums.get((dimension, day), (0, 0, 0, 0))
        sums[dimension, day] = tuple(a + b for a, b in zip(before, part, strict=True))
    whole = {day: total for day, total in totals.items() if any(total)}
    assert sums == {(dimension, day): total for day, total in whole.items() for dimension in DIMENSIONS}
    stored = {
        Key(dimension, day, key): tuple(part)
        for dimension, day, key, *part in DailySplit.objects.values_list("dimension", "day", "key", *columns)
    }
    assert stored == daily.compute(list(totals))
    assert not ChangedDay.objects.exists()
    assert_periods_are_sums(stored)


def assert_periods_are_sums(stored):
    """What apps and owners paid by month and year is what their days add up to."""
    expected = {}
    for (dimension, day, key), part in stored.items():
        for bucket, first in (("month", day.replace(day=1)), ("year", date(day.year, 1, 1))):
            if dimension in ("app", "owner"):
                before = expected.get((dimension, bucket, first, key), (0, 0, 0, 0))
                expected[dimension, bucket, first, key] = tuple(a + b for a, b in zip(before, part, strict=True))
    columns = ("dimension", "bucket", "first", "key", "revenue_sat", "payments", "usd_micro", "priced")
    assert {tuple(row[:4]): tuple(row[4:]) for row in PeriodSplit.objects.values_list(*columns)} == expected


def test_a_payment_is_split_by_its_sender_category_app_and_owner():
    first = pay("10", app="Web1", from_address=CARD)
    message(first, name="web1")
    message(pay("5", from_address=TEAM), name="game2", owner="owner2", category="crypto")
    pay("3", from_address=PLATFORM, kind="fluxdrive", message_hash="")
    pay("2", from_address=STRANGER)
    pay("1", from_address=None, kind="plain", message_hash="", price_usd=None)
    settle()
    assert update() == 1
    flux = 100_000_000
    assert parts("source") == {
        (DAY, "card"): 10 * flux, (DAY, "team"): 5 * flux, (DAY, "platform"): 3 * flux, (DAY, "other"): 3 * flux,
    }  # fmt: skip
    assert parts("category") == {
        (DAY, "gaming"): 10 * flux, (DAY, "crypto"): 5 * flux, (DAY, "fluxdrive"): 3 * flux, (DAY, "unknown"): 3 * flux,
    }  # fmt: skip
    assert parts("app") == {(DAY, "Web1"): 10 * flux, (DAY, "game2"): 5 * flux, (DAY, ""): 6 * flux}
    assert parts("owner") == {(DAY, "owner1"): 10 * flux, (DAY, "owner2"): 5 * flux, (DAY, ""): 6 * flux}
    assert_whole()


def test_a_hash_that_another_transaction_used_tells_nothing():
    message(pay("10"), txid=digest("another"))
    settle()
    update()
    assert set(parts("category")) == {(DAY, "unknown")}
    assert set(parts("owner")) == {(DAY, "")}


def test_a_label_holds_on_its_days_alone():
    for back in range(4):
        pay("1", from_address=STRANGER, at=NOON - timedelta(days=back))
    settle()
    update()
    days = {"valid_from": DAY - timedelta(days=2), "valid_to": DAY - timedelta(days=1)}
    assert labels.put(STRANGER, category="team", words="x", **days).days == 4
    update()
    team = {day for day, key in parts("source") if key == "team"}
    assert team == {DAY - timedelta(days=2), DAY - timedelta(days=1)}
    labels.put(STRANGER, category="platform", words="x")
    update()
    assert {key for _, key in parts("source")} == {"team", "platform"}
    assert labels.remove(STRANGER, first=days["valid_from"]).labels == 1
    update()
    assert {key for _, key in parts("source")} == {"platform"}
    assert labels.remove(STRANGER).labels == 1
    update()
    assert {key for _, key in parts("source")} == {"other"}
    assert_whole()


def test_a_label_of_an_address_that_never_paid_touches_no_day():
    pay()
    settle()
    update()
    assert labels.put("t1Never", category="team", words="x").days == 0
    assert update() == 0


def test_what_was_pruned_before_rows_were_kept_is_unknown():
    pay("10", from_address=CARD)
    settle()
    update()
    with ledger.writing() as state:
        Payment.objects.all().delete()
        state.closed_through = DAY
        state.save()
        ChangedDay.mark([DAY])
    update()
    assert {key for _, key in parts("source")} == {"unknown"}
    assert {key for _, key in parts("owner")} == {""}
    assert_whole()


def test_only_changed_days_are_written_again():
    pay(at=NOON)
    pay(at=NOON - timedelta(days=1))
    settle()
    assert update() == 2
    before = set(DailySplit.objects.filter(day=DAY - timedelta(days=1)).values_list("id", "revenue_sat"))
    pay(at=NOON)
    with ledger.writing():
        ledger.recompute_days({(DAY, MAIN)})
    assert update() == 1
    assert set(DailySplit.objects.filter(day=DAY - timedelta(days=1)).values_list("id", "revenue_sat")) == before
    assert update() == 0


def test_clearing_the_ledger_clears_its_splits():
    pay()
    settle()
    update()
    with runs.run("clear_revenue_data", trigger="command") as run:
        ledger.clear(run=run)
    update()
    assert not DailySplit.objects.exists()
    assert_whole()


def test_readers_split_a_few_changed_days_themselves_and_know_nothing_of_many():
    for back in range(40):
        pay("1", from_address=CARD, at=NOON - timedelta(days=back))
    settle()
    few = Splits.load("source", DAY - timedelta(days=30), DAY)
    assert few.of([DAY, DAY - timedelta(days=30)]) == {"card": (200_000_000, 2, 150_000, 2)}
    many = Splits.load("source", DAY - timedelta(days=39), DAY)
    assert many.of([DAY]) is None
    update()
    assert Splits.load("source", DAY - timedelta(days=39), DAY).of([DAY]) == {"card": (100_000_000, 1, 75_000, 1)}


def test_a_day_in_two_addresses_is_one_whole():
    pay("1", address=MAIN)
    pay("2", address=SECOND)
    settle()
    update()
    assert_whole()


senders = st.sampled_from([CARD, TEAM, PLATFORM, STRANGER])
number = st.integers(0, 3)
step = st.one_of(
    st.tuples(st.just("mine"), st.lists(st.tuples(senders, number), max_size=3), st.integers(1, 90)),
    st.tuples(st.just("reorg"), st.integers(1, 6), st.randoms(use_true_random=False)),
    st.tuples(st.just("name"), number),
    st.tuples(st.just("price"), st.integers(1, 9), st.integers(0, 8)),
    st.tuples(st.just("label"), senders, st.sampled_from(["card", "team", "other"]), st.integers(0, 8)),
    st.tuples(st.just("unlabel"), senders),
    st.tuples(st.just("message"), number, st.sampled_from(["gaming", "vpn"]), st.booleans()),
    st.tuples(st.just("prune")),
)
steps = st.lists(st.tuples(step, st.booleans()), min_size=5, max_size=25)


class World:
    """A ledger, its chain and what is told about it."""

    def __init__(self):
        with runs.run("clear_revenue_data", trigger="command") as run:
            ledger.clear(run=run)
        for model in (MessageFact, Message):
            model.objects.all().delete()
        self.chain = FakeChain()
        self.chain.mine()
        self.mine([(CARD, 1)], 1)

    def mine(self, payments, hours):
        at = self.chain.blocks[-1].time + timedelta(hours=hours)
        self.chain.mine(*(self.pay(*payment) for payment in payments), at=at)
        for _ in range(8):
            self.chain.mine()
        self.sync()

    def pay(self, sender, number):
        text = f"FLUXDRIVE{number}" if number == 3 else digest("message", number)
        return self.chain.pay(MAIN, 100 + number, 7, sender=sender, op_return=text.encode())

    def reorg(self, depth, chance):
        kept = [tx for tx in self.chain.last(depth) if chance.random() < 0.7]
        self.chain.reorg(min(depth, len(self.chain.blocks) - 1), kept, 1)
        self.sync()

    def sync(self):
        with runs.run("sync_revenue", trigger="command") as run:
            second = Source("second", self.chain)
            sync_revenue(sources=[self.chain, second], now=timezone.now(), run=run)

    def name(self, number):
        with ledger.writing():
            app = AppFactory(name=f"app{number}")
            Message.objects.update_or_create(hash=digest("message", number), defaults={"app": app})
            naming.name_known_payments()

    def price(self, cents, back):
        day = self.chain.blocks[-1].time.date() - timedelta(days=back)
        with ledger.writing():
            rows = list(Payment.objects.filter(day=day).values_list(*pricing.COLUMNS))
            pricing._set_prices(rows, {day: Decimal(cents) / 100})

    def label(self, sender, category, back):
        first = self.chain.blocks[-1].time.date() - timedelta(days=back)
        labels.put(sender, category=category, words="x", valid_from=first)

    def unlabel(self, sender):
        labels.remove(sender)

    def message(self, number, category, agrees):
        text = digest("message", number)
        paid = Payment.objects.filter(message_hash=text).order_by("id").first()
        txid = paid.txid if paid and agrees else digest("another")
        with ledger.writing():
            old = MessageFact.objects.filter(hash=text).values_list("txid", flat=True).first()
            facts = {"txid": txid, "category": category, "owner": f"owner{number}", "name": "n", "app_key": "n"}
            facts |= {"kind": "update", "version": 8, "encrypted": True, "height": 5}
            MessageFact.objects.update_or_create(hash=text, defaults=facts)
            daily.mark({txid, old or txid})

    def prune(self):
        days = list(DailyTotal.objects.values_list("day", flat=True))
        before = daily.compute(days)
        with runs.run("prune", trigger="command") as run:
            ledger.prune(now=timezone.now(), run=run)
        assert daily.compute(days) == before

    def update(self):
        update()
        assert_whole()


@pytest.fixture
def one_address(settings):
    settings.REVENUE_ADDRESSES, settings.MIN_CONFIRMATIONS = [TrackedAddress(MAIN, 1)], 8
    settings.RETENTION_DAYS = 2


@pytest.mark.usefixtures("one_address")
@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps)
def test_the_parts_are_whole_after_any_history(steps):
    with time_machine.travel(START + timedelta(days=60), tick=False):
        world = World()
        for (what, *how), is_read in steps:
            getattr(world, what)(*how)
            if is_read:
                world.update()
        world.update()
