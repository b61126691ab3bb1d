import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from fluxtracker.upstream.http.errors import Unavailable
from fluxtracker.upstream.records import AppMessage
from revenue import ledger
from revenue.models import App, LedgerState, Message, Payment
from revenue.naming import resolve_names, retype_apps
from tests.revenue.ledger_checks import assert_sums_hold

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ADDRESS = "t3NryfAQLGeFs9jEoeqsxmBN2QLRaRKFLUX"


def hash_of(text):
    return hashlib.sha256(str(text).encode()).hexdigest()


class FakeRegistry:
    """Knows messages; counts what it is asked. `fails_after` single answers it is down."""

    def __init__(self):
        self.messages = {}
        self.specs = {}
        self.asked = []
        self.dumps = 0
        self.specification_lists = 0
        self.fails_after = None
        self.broken = set()

    def know(self, *texts, name=None, git=False):
        for text in texts:
            self.messages[hash_of(text)] = AppMessage(hash_of(text), name or f"app-{text}", git)

    def message(self, message_hash):
        if self.fails_after is not None and len(self.asked) >= self.fails_after:
            raise Unavailable("api", "/apps/permanentmessages", "HTTP 503")
        self.asked.append(message_hash)
        return self.messages.get(message_hash)

    def dump(self, wanted):
        self.dumps += 1
        return self._all("dump", self.messages, wanted)

    def specifications(self, wanted):
        self.specification_lists += 1
        return self._all("specifications", self.specs, wanted)

    def _all(self, what, known, wanted):
        if what in self.broken:
            raise Unavailable("api", f"/apps/{what}", "HTTP 503")
        return {one: known[one] for one in wanted if one in known}


@pytest.fixture(autouse=True)
def _state():
    LedgerState.load()


@pytest.fixture
def registry():
    return FakeRegistry()


def pay(text, *, age=timedelta(hours=1), kind="app", vout=0, **more):
    paid_at = NOW - age
    return Payment.objects.create(
        **{
            "txid": hash_of(f"tx {text} {age} {vout}"),
            "vout": vout,
            "address": ADDRESS,
            "from_address": "t1sender",
            "amount_sat": 100,
            "height": 10,
            "paid_at": paid_at,
            "day": paid_at.date(),
            "kind": kind,
            "message_hash": hash_of(text) if kind == "app" else "",
        }
        | more
    )


def resolve(registry, now=NOW, limit=500, **how):
    report = resolve_names(registry=registry, now=now, limit=limit, **how)
    apps = App.objects.filter(payments=0)
    assert not Payment.objects.filter(app__in=apps).exists()
    for app in App.objects.all():
        rows = Payment.objects.filter(app=app)
        assert app.payments == rows.count()
        assert app.revenue_sat == sum(rows.values_list("amount_sat", flat=True))
        assert app.first_paid_at == min(rows.values_list("paid_at", flat=True), default=None)
        assert app.last_paid_at == max(rows.values_list("paid_at", flat=True), default=None)
    return report


def names():
    return dict(Payment.objects.values_list("message_hash", "app__name"))


def test_a_payment_gets_its_apps_name_and_type(registry):
    registry.know("a", git=True)
    payment = pay("a")
    report = resolve(registry)
    payment.refresh_from_db()
    assert (payment.app.name, payment.app_type) == ("app-a", "git")
    assert (report.processed, report.updated, report.not_found, report.remaining) == (1, 1, 0, 0)


def test_other_apps_are_docker_apps(registry):
    registry.know("a")
    payment = pay("a")
    resolve(registry)
    payment.refresh_from_db()
    assert payment.app_type == "docker"


def test_all_payments_of_a_hash_are_named_with_one_question(registry):
    registry.know("a")
    pay("a")
    pay("a", age=timedelta(days=400), vout=1)
    assert resolve(registry, limit=1).updated == 2
    assert registry.asked == [hash_of("a")]


def test_apps_of_one_name_are_one(registry):
    registry.know("a", "b", name="same")
    pay("a")
    pay("b")
    resolve(registry)
    assert App.objects.get().payments == 2


def test_payments_without_a_hash_are_only_counted(registry):
    pay("x", kind="plain")
    pay("y", kind="fluxdrive")
    report = resolve(registry)
    assert (report.no_hash, report.processed, report.remaining) == (2, 2, 0)
    assert registry.asked == []


@pytest.mark.parametrize(("options", "no_hash"), [({"limit": 4}, 1), ({"limit": 3}, 0), ({"everything": True}, 2)])
def test_what_was_processed_is_what_came_of_it(registry, options, no_hash):
    """Payments without a hash take the places of the batch that are left."""
    registry.know("a", "b")
    for word in "abc":
        pay(word)
    pay("x", kind="plain")
    pay("y", kind="fluxdrive")
    report = resolve(registry, **options)
    assert (report.updated, report.not_found, report.no_hash) == (2, 1, no_hash)
    assert report.processed == report.updated + report.no_hash + report.not_found


def test_a_message_that_is_not_known_yet_is_asked_for_again_with_growing_pauses(registry):
    pay("a")
    assert resolve(registry, NOW).not_found == 1
    now = NOW
    for hours in (0.5, 1, 2, 4, 8, 16, 24, 24):
        before = len(registry.asked)
        now += timedelta(hours=hours)
        assert resolve(registry, now - timedelta(seconds=1)).remaining == 1
        assert len(registry.asked) == before, hours
        report = resolve(registry, now)
        assert (report.not_found, report.remaining) == (1, 1)
        assert len(registry.asked) > before, hours


def test_a_message_that_came_late_names_its_payment(registry):
    pay("a")
    resolve(registry)
    registry.know("a")
    assert resolve(registry, NOW + timedelta(minutes=29)).updated == 0
    assert resolve(registry, NOW + timedelta(minutes=30)).updated == 1
    assert resolve(registry, NOW + timedelta(days=2)).processed == 0


def test_a_payment_that_comes_after_its_message_needs_no_question(registry):
    registry.know("a")
    pay("a")
    resolve(registry)
    pay("a", age=timedelta(minutes=1))
    assert resolve(registry).updated == 1
    assert len(registry.asked) == 1


def test_the_newest_payments_come_first(registry):
    for n in range(5):
        pay(n, age=timedelta(hours=n))
    resolve(registry, limit=2)
    assert registry.asked == [hash_of(0), hash_of(1)]


def test_pausing_payments_do_not_stand_in_the_way_of_older_ones(registry):
    for n in range(4):
        pay(n, age=timedelta(hours=n))
    resolve(registry, limit=2)
    resolve(registry, limit=2)
    assert registry.asked == [hash_of(n) for n in range(4)]


def test_only_recent_payments_are_looked_at_when_asked_to(registry):
    pay("old", age=timedelta(days=31))
    pay("new", age=timedelta(days=29))
    resolve(registry, within=timedelta(days=30))
    assert registry.asked == [hash_of("new")]


def test_fifty_unknown_hashes_are_asked_for_one_by_one(registry):
    for n in range(50):
        pay(n)
    resolve(registry)
    assert (registry.dumps, len(registry.asked)) == (0, 50)


def test_more_than_fifty_take_the_dump_and_the_specifications_once(registry):
    for n in range(60):
        pay(n)
    registry.know(*range(40))
    registry.specs = {hash_of(45): AppMessage(hash_of(45), "running", True)}
    report = resolve(registry)
    assert (registry.dumps, registry.specification_lists, registry.asked) == (1, 1, [])
    assert (report.processed, report.updated, report.not_found, report.remaining) == (60, 41, 19, 19)
    assert names()[hash_of(45)] == "running"


def test_the_specifications_are_not_taken_when_the_dump_has_all(registry):
    for n in range(60):
        pay(n)
    registry.know(*range(60))
    resolve(registry)
    assert (registry.dumps, registry.specification_lists) == (1, 0)


def test_what_the_dump_lacks_is_asked_for_later_one_by_one(registry):
    for n in range(80):
        pay(n)
    resolve(registry)
    assert resolve(registry, NOW + timedelta(minutes=29)).processed == 0
    report = resolve(registry, NOW + timedelta(minutes=31), limit=70)
    assert (registry.dumps, len(registry.asked)) == (1, 70)
    assert report.not_found == 70


def test_the_limit_holds_for_the_dump_too(registry):
    for n in range(100):
        pay(n, age=timedelta(hours=n))
    registry.know(*range(100))
    assert resolve(registry, limit=60).updated == 60
    assert resolve(registry, limit=60).remaining == 0
    assert (registry.dumps, len(registry.asked)) == (1, 40)


def test_everything_goes_on_to_the_end_whatever_the_pauses(registry):
    for n in range(120):
        pay(n)
    resolve(registry)
    registry.know(*range(120))
    report = resolve(registry, limit=10, everything=True)
    assert (report.updated, report.remaining, registry.dumps) == (120, 0, 2)


def test_everything_of_a_few_is_asked_one_by_one(registry):
    for n in range(5):
        pay(n)
    resolve(registry)
    resolve(registry, limit=1, everything=True)
    assert (registry.dumps, len(registry.asked)) == (0, 10)


def test_a_registry_that_fails_half_way_keeps_what_it_told(registry):
    for n in range(10):
        pay(n, age=timedelta(hours=n))
    registry.know(*range(6))
    registry.fails_after = 8
    with pytest.raises(Unavailable):
        resolve(registry)
    assert Payment.objects.exclude(app=None).count() == 6
    assert Message.objects.filter(app=None).count() == 2  # those were answered: no source knows them
    registry.fails_after = None
    registry.asked.clear()
    resolve(registry)
    assert registry.asked == [hash_of(8), hash_of(9)]


def test_a_dump_that_fails_changes_nothing(registry):
    for n in range(60):
        pay(n)
    registry.broken = {"dump"}
    with pytest.raises(Unavailable):
        resolve(registry)
    assert not Message.objects.exists()
    assert not App.objects.exists()


def test_specifications_that_fail_undo_nothing_and_condemn_nobody(registry):
    for n in range(60):
        pay(n)
    registry.know(*range(55))
    registry.broken = {"specifications"}
    with pytest.raises(Unavailable):
        resolve(registry)
    assert Payment.objects.exclude(app=None).count() == 55
    assert not Message.objects.filter(app=None).exists()


def test_totals_of_the_days_are_left_alone(registry):
    registry.know("a")
    payment = pay("a")
    with ledger.writing():
        ledger.recompute_days({(payment.day, payment.address)})
    resolve(registry)
    assert_sums_hold()


def test_thousands_are_named_with_few_statements(registry, django_assert_max_num_queries):
    Payment.objects.bulk_create(
        Payment(
            txid=hash_of(n),
            vout=0,
            address=ADDRESS,
            amount_sat=n,
            height=n,
            paid_at=NOW - timedelta(minutes=n),
            day=(NOW - timedelta(minutes=n)).date(),
            kind="app",
            message_hash=hash_of(n % 2500),
        )
        for n in range(3000)
    )
    registry.know(*range(2500), name="one")
    with django_assert_max_num_queries(60):
        report = resolve_names(registry=registry, now=NOW, limit=3000)
    assert (report.updated, report.remaining) == (3000, 0)
    assert App.objects.get().revenue_sat == sum(range(3000))


# Types


def named(text, *, message=True, **more):
    app, _ = App.objects.get_or_create(name=f"app-{text}")
    if message:
        Message.objects.get_or_create(hash=hash_of(text), defaults={"app": app})
    return pay(text, app=app, **more)


def test_an_unknown_type_is_asked_for(registry):
    registry.know("a", git=True)
    payment = named("a")
    report = retype_apps(registry=registry, now=NOW)
    payment.refresh_from_db()
    assert (payment.app_type, Message.objects.get().app_type) == ("git", "git")
    assert (report.updated, report.unknown) == (1, 0)


def test_a_type_that_is_known_is_not_asked_for(registry):
    named("a", app_type="docker")
    assert retype_apps(registry=registry, now=NOW).updated == 0
    assert registry.asked == []


def test_a_type_that_nobody_knows_stays_unknown(registry):
    named("a")
    report = retype_apps(registry=registry, now=NOW)
    assert (report.updated, report.unknown) == (0, 1)


def test_a_payment_without_message_takes_the_type_of_its_app(registry):
    registry.know("a", git=True)
    named("a")
    provisional = named("a", kind="plain", message=False, age=timedelta(days=2))
    assert retype_apps(registry=registry, now=NOW).updated == 2
    provisional.refresh_from_db()
    assert provisional.app_type == "git"


def test_many_unknown_types_take_the_dump(registry):
    for n in range(51):
        named(n)
    registry.know(*range(51))
    assert retype_apps(registry=registry, now=NOW).updated == 51
    assert (registry.dumps, registry.asked) == (1, [])
