"""GET /api/revenue/transactions: shape, order, pages, filters."""

from datetime import UTC, date, datetime, timedelta

import pytest

from fluxtracker import money
from revenue.models import Payment
from tests.factories import MAIN, NOON, SECOND, SENDER, TIP, PaymentFactory, imported, pay, settle
from tests.remembered import again

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

PATH = "revenue/transactions"


def txids(answer):
    return [row["txid"] for row in answer["transactions"]]


def days_back(days):
    return NOON - timedelta(days=days)


def of_two_months():
    for n in range(130):
        at = days_back(n * n % 60) + timedelta(seconds=n % 7)
        pay(f"{1 + n % 5}.5", at=at, address=SECOND if n % 4 == 0 else MAIN, app=f"app{n % 3}")
    settle()


@pytest.fixture
def year():
    """130 payments, uneven over 60 days and two addresses, some in the same second."""
    again(of_two_months)
    rows = Payment.objects.select_related("app")
    return sorted(rows, key=lambda row: (row.paid_at, row.id), reverse=True)


def test_a_row_has_the_keys_and_meanings_of_the_contract(get):
    row = pay("25.93", app="presearch", at=NOON, height=TIP - 100)
    settle()
    assert get(PATH)["transactions"] == [
        {
            "txid": row.txid,
            "vout": 0,
            "address": MAIN,
            "from_address": SENDER,
            "amount": 25.93,
            "amount_sat": 2_593_000_000,
            "amount_usd": 1.94475,
            "price_usd": 0.075,
            "block_height": TIP - 100,
            "block_hash": row.block_hash,
            "confirmations": 101,
            "timestamp": int(NOON.timestamp()),
            "date": "2026-11-20",
            "app_name": "presearch",
            "app_type": "docker",
            "kind": "app",
            "message_hash": row.message_hash,
            "source": "blockbook",
        }
    ]


def test_what_nobody_knows_is_null_and_not_zero(get):
    imported(app=None, price_usd=None, usd_micro=None, from_address=None, block_hash="", message_hash="")
    settle()
    (row,) = get(PATH)["transactions"]
    unknown = ("vout", "app_name", "amount_usd", "price_usd", "from_address", "block_hash", "message_hash")
    assert {key: row[key] for key in unknown} == dict.fromkeys(unknown)
    assert row["source"] == "import"


def test_an_empty_ledger_is_an_empty_page(get):
    assert get(PATH) == {"transactions": [], "total": 0, "page": 1, "limit": 50, "totalPages": 0}


def test_the_newest_come_first_and_fifty_a_page(get, year):
    answer = get(PATH)
    assert txids(answer) == [row.txid for row in year[:50]]
    assert {key: answer[key] for key in ("total", "page", "limit", "totalPages")} == {
        "total": 130, "page": 1, "limit": 50, "totalPages": 3,
    }  # fmt: skip


@pytest.mark.parametrize("limit", [1, 7, 50, 129, 130, 1000])
def test_the_pages_together_are_every_row_once(get, year, limit):
    pages = [get(PATH, page=page, limit=limit) for page in range(1, -(-130 // limit) + 1)]
    assert [txid for page in pages for txid in txids(page)] == [row.txid for row in year]
    assert {page["total"] for page in pages} == {130}


@pytest.mark.parametrize("page", [4, 1_000, 10**15])
def test_a_page_past_the_end_is_empty_with_the_true_total(get, year, page):
    answer = get(PATH, page=page)
    assert (answer["transactions"], answer["total"], answer["page"]) == ([], 130, page)


def test_a_limit_above_a_thousand_counts_as_a_thousand(get, year):
    assert get(PATH, limit=5_000)["limit"] == get(PATH, limit="9" * 40)["limit"] == 1_000


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "abc", "", "1e3", "٣", "9" * 5000])
@pytest.mark.parametrize("key", ["page", "limit"])
def test_a_page_or_limit_that_is_no_number_from_one_is_refused(refused, key, value):
    assert f"{key}: expected a whole number from 1" in refused(PATH, **{key: value})


@pytest.mark.parametrize(
    ("sort", "key", "descending"),
    [
        ("-timestamp", lambda row: row.paid_at, True),
        ("timestamp", lambda row: row.paid_at, False),
        ("date", lambda row: row.paid_at, False),
        ("amount", lambda row: row.amount_sat, False),
        ("-amount", lambda row: row.amount_sat, True),
        ("block_height", lambda row: row.height, False),
        ("-block_height", lambda row: row.height, True),
    ],
)
@pytest.mark.parametrize("page", [1, 5, 13])
def test_sort_orders_by_the_column_then_by_the_row(get, year, sort, key, descending, page):
    expected = sorted(year, key=lambda row: (key(row), row.id), reverse=descending)
    found = get(PATH, sort=sort, page=page, limit=10)
    assert txids(found) == [row.txid for row in expected[(page - 1) * 10 : page * 10]]


def test_an_unknown_sort_is_refused_with_what_is_allowed(refused):
    assert "sort: expected one of -timestamp, timestamp" in refused(PATH, sort="colour")


def test_from_and_to_are_days_and_both_included(get, year):
    first, last = days_back(40).date(), days_back(10).date()
    answer = get(PATH, from_=first.isoformat(), to=last.isoformat(), limit=1000)
    assert txids(answer) == [row.txid for row in year if first <= row.day <= last]
    assert answer["total"] == len(answer["transactions"])


def test_one_side_of_the_range_is_enough(get, year):
    day = days_back(20).date()
    assert get(PATH, from_=day.isoformat())["total"] == sum(row.day >= day for row in year)
    assert get(PATH, to=day.isoformat())["total"] == sum(row.day <= day for row in year)
    assert get(PATH, to="9999-12-31")["total"] == 130
    assert get(PATH, from_="0001-01-01")["total"] == 130


def test_the_last_second_of_a_day_belongs_to_it(get):
    late, early = datetime(2026, 11, 19, 23, 59, 59, tzinfo=UTC), datetime(2026, 11, 20, 0, 0, tzinfo=UTC)
    rows = [pay(at=late), pay(at=early)]
    settle()
    assert txids(get(PATH, to="2026-11-19")) == [rows[0].txid]
    assert txids(get(PATH, from_="2026-11-20")) == [rows[1].txid]


@pytest.mark.parametrize("value", ["2026-1-5", "2026-02-30", "20260105", "today", "2026-W01-1", ""])
@pytest.mark.parametrize("key", ["from_", "to"])
def test_a_malformed_day_is_refused(refused, key, value):
    assert "expected a day as YYYY-MM-DD" in refused(PATH, **{key: value})


def test_a_reversed_range_is_refused(refused):
    assert "must not be after `to`" in refused(PATH, from_="2026-11-02", to="2026-11-01")


def test_every_wrong_value_is_named_at_once(client):
    fields = client.get(f"/api/{PATH}?page=0&limit=x&from=y").json()["fields"]
    assert set(fields) == {"page", "limit", "from"}


@pytest.mark.parametrize("key", ["colour", "Page", "_"])
def test_a_key_that_is_unknown_is_refused_with_those_that_are_known(client, year, key):
    answer = client.get(f"/api/{PATH}", {key: "2"})
    assert answer.status_code == 400
    assert f"{key}: unknown; expected one of" in answer.json()["error"]
    assert "min_amount, owner" in answer.json()["error"]


@pytest.mark.parametrize("page", [1, 2, 4])
def test_app_filters_by_the_exact_name(get, year, page):
    mine = [row.txid for row in year if row.app.name == "app1"]
    answer = get(PATH, app="app1", limit=10, page=page)
    assert (txids(answer), answer["total"]) == (mine[(page - 1) * 10 : page * 10], len(mine))
    assert get(PATH, app="app")["total"] == 0
    assert get(PATH, app="APP1")["total"] == 0


@pytest.mark.parametrize("page", [1, 2, 6])
def test_address_filters_by_who_was_paid(get, year, page):
    mine = [row.txid for row in year if row.address == SECOND]
    answer = get(PATH, address=SECOND, limit=5, page=page)
    assert (txids(answer), answer["total"]) == (mine[(page - 1) * 5 : page * 5], len(mine))
    assert get(PATH, address=MAIN[:-1])["total"] == 0


def test_filters_and_search_narrow_each_other(get, year):
    first = days_back(30).date()
    answer = get(
        PATH, app="app2", address=MAIN, from_=first.isoformat(), min_amount="2.5", max_amount="4.5",
        sender=SENDER, type="docker", search="app", limit=1000,
    )  # fmt: skip
    expected = [
        row.txid
        for row in year
        if row.app.name == "app2" and row.address == MAIN and row.day >= first
        and 250_000_000 <= row.amount_sat <= 450_000_000
    ]  # fmt: skip
    assert expected
    assert (txids(answer), answer["total"]) == (expected, len(expected))


@pytest.mark.parametrize("query", [{"type": "git"}, {"sender": "t1nobody"}, {"min_amount": "5.50000001"}])
def test_a_filter_that_fits_nothing_is_an_empty_page(get, year, query):
    assert get(PATH, **query)["total"] == 0


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"type": "cloud"}, "type: expected one of git, docker, unknown"),
        ({"min_amount": "lots"}, "min_amount: expected an amount of FLUX"),
        ({"max_amount": "0.000000001"}, "max_amount: expected an amount of FLUX"),
        ({"max_amount": "-1"}, "max_amount: expected an amount of FLUX"),
        ({"min_amount": "2", "max_amount": "1"}, "min_amount: must not be after `max_amount`"),
        ({"search": "x" * 129}, "search: "),
        ({"search": "a\x00b"}, "search: "),
    ],
)
def test_other_wrong_values_are_refused_with_what_is_allowed(refused, query, words):
    assert words in refused(PATH, **query)


def test_several_outputs_of_one_transaction_are_several_rows(get):
    first = PaymentFactory(vout=0)
    PaymentFactory(txid=first.txid, vout=3, paid_at=first.paid_at)
    settle()
    answer = get(PATH)
    assert {(row["txid"], row["vout"]) for row in answer["transactions"]} == {(first.txid, 0), (first.txid, 3)}
    assert answer["total"] == 2


def test_pages_go_on_being_right_when_old_days_are_closed(get, year):
    """A closed day keeps its total and has no rows."""
    closed = days_back(30).date()
    settle(closed_through=closed, change=lambda: Payment.objects.filter(day__lte=closed).delete())
    left = [row.txid for row in year if row.day > closed]
    pages = [get(PATH, page=page, limit=20) for page in range(1, -(-len(left) // 20) + 1)]
    assert [txid for page in pages for txid in txids(page)] == left
    assert {page["total"] for page in pages} == {len(left)}
    assert get(PATH, search=str(closed)[:7])["total"] == sum(
        str(row.day)[:7] == str(closed)[:7] and row.day > closed for row in year
    )


def test_amounts_keep_every_satoshi(get):
    for amount in ("0.00000001", "123456.78901234", "9000000.00000001"):
        pay(amount)
    settle()
    rows = get(PATH)["transactions"]
    assert {row["amount_sat"] for row in rows} >= {1, 12_345_678_901_234, 900_000_000_000_001}
    for row in rows:
        assert round(row["amount"] * money.SAT) == row["amount_sat"]


def test_the_day_of_a_row_is_utc(get):
    pay(at=datetime(2026, 11, 20, 0, 30, tzinfo=UTC))
    settle()
    assert get(PATH)["transactions"][0]["date"] == date(2026, 11, 20).isoformat()
