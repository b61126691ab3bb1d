"""What `search` finds, by every plan, against the plainest possible search in Python."""

import random
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from revenue.models import Payment
from revenue.payments import pagination
from tests.factories import MAIN, NOON, SECOND, SENDER, THIRD, PaymentFactory, digest, imported, pay, settle
from tests.marks import examples, law
from tests.remembered import again

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

PATH = "revenue/transactions"


def found(get, term, **query):
    answer = get(PATH, search=term, limit=1000, **query)
    assert answer["total"] == len(answer["transactions"])
    return {(row["txid"], row["vout"]) for row in answer["transactions"]}


def unlike():
    rows = [
        pay("25.93", app="minecraft1726", at=datetime(2026, 11, 20, 9, tzinfo=UTC), txid="abcd" + "0" * 60),
        pay("0.00000001", app="MineCraft-server", at=datetime(2026, 11, 19, 9, tzinfo=UTC), address=SECOND),
        pay(
            "2026",
            at=datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC),
            from_address="t1Mzja9iJcEYeW5B4m4s1tJG8M42odFZ16A",
        ),
        pay("25.93000001", app="100%_sure", at=datetime(2026, 10, 1, tzinfo=UTC), from_address=None),
        pay("12.5", app="o'brien\\app", at=datetime(2025, 11, 20, 9, tzinfo=UTC), txid="2026" + "f" * 60),
    ]
    assert [row.pk for row in rows] == sorted(row.pk for row in rows)
    settle()


@pytest.fixture
def five():
    """Five payments that differ in everything one can search for."""
    again(unlike)
    return list(Payment.objects.order_by("pk").values_list("txid", "vout"))


@pytest.mark.parametrize(
    ("term", "numbers"),
    [
        ("abcd", [0]),
        ("ABCD00", [0]),
        ("abcd" + "0" * 60, [0]),
        ("abc", []),  # a beginning needs four characters
        (SECOND[:4], [1]),
        (SECOND, [1]),
        (SECOND[1:], []),
        ("t1Mzja", [2]),
        ("t1mzja", []),
        ("minecraft", [0, 1]),
        ("craft-", [1]),
        ("m", [0, 1]),
        ("MINECRAFT1726", [0]),
        ("100%", [3]),
        ("%", [3]),
        ("_", [3]),
        ("'", [4]),
        ("\\", [4]),
        ("25.93", [0]),
        ("25.93000000", [0]),
        ("025.930", [0]),
        ("25.93000001", [3]),
        ("25.930000001", []),
        ("25.9", []),
        (".00000001", [1]),
        ("12.5", [4]),
        ("2026-11-20", [0]),
        ("2026-11", [0, 1]),
        ("2026-10", [2, 3]),
        ("2026-13", []),
        ("2026-02-30", []),
        ("2026", [2, 4]),  # an amount, and the beginning of a txid
        (" 25.93 ", [0]),
        ("nothing of the kind", []),
        ("0000-01", []),
        ("9999-12", []),
    ],
)
def test_search_finds_what_the_term_means(get, five, term, numbers):
    assert found(get, term) == {five[number] for number in numbers}


def test_an_empty_search_is_no_search(get, five):
    assert len(found(get, "")) == len(found(get, "   ")) == 5


def test_imported_rows_are_found_too(get):
    row = imported(txid="beef" + "1" * 60)
    settle()
    assert found(get, "beef") == {(row.txid, None)}


def test_search_narrows_within_the_days_asked_for(get, five):
    assert found(get, "minecraft", from_="2026-11-20") == {five[0]}
    assert found(get, "2026-11", to="2026-11-19") == {five[1]}
    assert found(get, SECOND[:6], address=MAIN) == set()
    assert found(get, SECOND[:6], address=SECOND) == {five[1]}


def test_terms_are_never_taken_as_sql(get, five):
    for term in ("'; DROP TABLE revenue_payment; --", '"', "\\'", "%' OR '1'='1", "𝕊", "\N{ZERO WIDTH SPACE}"):
        assert found(get, term) in (set(), {five[4]})


# Every plan answers the same as a loop over all rows.

APPS = ["presearch", "kadena-node", "minecraft1726", "beef-shop", "2026app", ""]
SENDERS = [SENDER, "t1Mzja9iJcEYeW5B4m4s1tJG8M42odFZ16A", "t3SenderOfNothingElseAtAll11111111A", None]
TERMS = ["beef", "2026", "t3Nr", "t1Mz", "t1Xk", "e", "node", "1.5", "2", "2026-11", "2026-11-18", "00", "t3Se", "dead"]


def alike():
    rng = random.Random(7)
    for n in range(300):
        start = rng.choice(["beef", "dead", "2026", "00ab", ""])
        pay(
            rng.choice(["1.5", "2", "2026", "0.1"]),
            app=rng.choice(APPS),
            at=NOON - timedelta(days=rng.choice([0, 0, 1, 2, 20, 21]), seconds=rng.randrange(9)),
            txid=(start + digest(n))[:64],
            address=rng.choice([MAIN, MAIN, MAIN, SECOND, THIRD]),
            from_address=rng.choice(SENDERS),
            app_type=rng.choice(["git", "docker"]),
        )
    settle()


@pytest.fixture
def many():
    again(alike)
    rows = list(Payment.objects.select_related("app"))
    return sorted(rows, key=lambda row: (row.paid_at, row.id), reverse=True)


def fits(row, term):
    lowered, amount = term.lower(), None
    if re.fullmatch(r"[0-9.]+", term):
        amount = Decimal(term)
    return any(
        (
            len(term) >= 4 and row.txid.startswith(lowered),
            len(term) >= 4 and row.address.startswith(term),
            len(term) >= 4 and (row.from_address or "").startswith(term),
            row.app is not None and lowered in row.app.name.lower(),
            amount is not None and Decimal(row.amount_sat).scaleb(-8) == amount,
            str(row.day) == term,
            re.fullmatch(r"[0-9]{4}-[0-9]{2}", term) and str(row.day).startswith(term),
        )
    )


@law
@pytest.mark.parametrize("gather", [0, 20, 5_000])  # matches up to which keys are gathered
@pytest.mark.parametrize("margin", [0, 4])  # how far a walk goes before it gives up
def test_every_plan_finds_the_same(get, many, monkeypatch, gather, margin):
    monkeypatch.setattr(pagination, "GATHER", gather)
    monkeypatch.setattr(pagination, "WALK_MARGIN", margin)

    @hypothesis_settings(
        max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        term=st.sampled_from(TERMS),
        page=st.integers(1, 12),
        limit=st.sampled_from([1, 7, 40]),
        sort=st.sampled_from(["-timestamp", "timestamp", "-amount"]),
        query=st.sampled_from(
            [{}, {}, {"type": "git"}, {"app": "beef-shop"}, {"address": SECOND}, {"from": "2026-11-01"},
             {"sender": SENDER, "max_amount": "2"}]
        ),
    )  # fmt: skip
    def same_as_a_loop(term, page, limit, sort, query):
        expected = [row for row in many if fits(row, term) and kept(row, query)]
        if sort == "timestamp":
            expected.reverse()
        elif sort == "-amount":
            expected.sort(key=lambda row: (row.amount_sat, row.id), reverse=True)
        answer = get(PATH, search=term, page=page, limit=limit, sort=sort, **query)
        assert answer["total"] == len(expected)
        shown = [row["txid"] for row in answer["transactions"]]
        assert shown == [row.txid for row in expected[(page - 1) * limit : page * limit]]

    same_as_a_loop()


def kept(row, query):
    return (
        (query.get("type") in (None, row.app_type))
        and ("app" not in query or (row.app is not None and row.app.name == query["app"]))
        and (query.get("address") in (None, row.address))
        and str(row.day) >= query.get("from", "")
        and (query.get("sender") in (None, row.from_address))
        and ("max_amount" not in query or row.amount_sat <= int(query["max_amount"]) * 10**8)
    )


def test_a_heap_of_old_matches_is_found_without_walking_to_it(get, monkeypatch):
    """All matches but one lie before a long time without any: the walk gives up, the answer is the same."""
    monkeypatch.setattr(pagination, "GATHER", 0)
    old = [pay(app="heap", at=NOON - timedelta(days=300, minutes=n)) for n in range(30)]
    PaymentFactory.create_batch(60, app=None, paid_at=NOON - timedelta(days=5))
    new = pay(app="heap", at=NOON)
    settle()
    answer = get(PATH, search="heap", limit=10)
    assert [row["txid"] for row in answer["transactions"]] == [row.txid for row in [new, *old[:9]]]
