"""Reads see one moment and leave nothing behind."""

import pytest
from django.db import OperationalError, connection, transaction

from fluxtracker.database import read_snapshot
from revenue.models import Payment
from tests.factories import pay, settle

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


@pytest.mark.parametrize("path", ["revenue/transactions", "revenue/daily", "analytics/apps"])
def test_a_request_leaves_no_transaction_open(get, path):
    pay(app="presearch")
    settle()
    for _ in range(2):
        get(path)
        assert connection.get_autocommit()
        assert not connection.in_atomic_block
    settle(change=lambda: pay(app="presearch"))  # writers are not blocked
    assert get("revenue/transactions")["total"] == 2


def test_an_error_ends_the_moment_too():
    with pytest.raises(OperationalError), read_snapshot():
        raise OperationalError("gone")
    assert pay().pk


def test_inside_of_a_transaction_it_is_that_one_s_moment():
    with transaction.atomic():
        pay()
        with read_snapshot():
            assert Payment.objects.count() == 1
        transaction.set_rollback(True)
    assert Payment.objects.count() == 0
