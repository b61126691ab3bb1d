"""Before the first messages are read: every endpoint answers, and no read writes."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from deployments.models import MessagesState

PATHS = (
    "apps/x", "owners/x", "payers/x", "economics/kinds", "economics/cohorts", "economics/accrual", "economics/forecast",
    "network/fill", "revenue/sources", "revenue/categories", "analytics/apps", "export/fees",
)  # fmt: skip


@pytest.mark.engine
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", PATHS)
def test_an_empty_database_is_read_and_not_written(path):
    with CaptureQueriesContext(connection) as queries:
        code = Client().get(f"/api/{path}").status_code
    assert code == (404 if path.endswith("/x") else 200)
    assert len(queries) > 0
    assert [query["sql"] for query in queries if query["sql"].lstrip().startswith(("INSERT", "UPDATE"))] == []
    assert not MessagesState.objects.exists()
