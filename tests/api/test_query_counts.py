"""How many queries an answer takes that no cache has: as many with many rows as with few."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import pay, settle

pytestmark = pytest.mark.django_db

MOST = {
    "/api/revenue/transactions": 6,  # the stamp, where open days begin, their sum, the keys, the rows, the tip
    "/api/revenue/transactions?page=2&limit=5": 6,
    "/api/revenue/daily?days=365": 6,  # the stamp, the totals, the ledger, the cursors, the quarantine, a part of a day
    "/api/revenue/monthly": 6,
    "/api/analytics/apps": 3,
    "/api/metrics/current": 9,
    "/api/stats": 14,
    "/api/carousel/stats": 2,
}


@pytest.mark.parametrize("path", MOST)
def test_an_answer_takes_few_queries(client, path):
    for _ in range(12):
        pay(app="minecraft1")
    settle()
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    asked = [query["sql"] for query in queries if query["sql"].lstrip().startswith(("SELECT", "WITH"))]
    assert 0 < len(asked) <= MOST[path]
