"""The OpenAPI description is true: the answers fit it, and the file in docs/ is the one that is served."""

from datetime import timedelta
from functools import cache
from io import StringIO
from pathlib import Path

import pytest
import schemathesis
import yaml
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from carousel.models import Feed
from ops.models import ServiceState
from snapshots.models import Snapshot
from tests.api.conftest import NOW
from tests.bench.days import fill_days
from tests.factories import NOON, imported, pay, settle
from tests.marks import examples, law
from tests.remembered import again

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

FILE = Path(settings.BASE_DIR) / "docs" / "openapi.yaml"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
PATHS = {
    "/api/health", "/api/health/live", "/api/health/ready", "/api/revenue/transactions", "/api/revenue/daily",
    "/api/revenue/weekly", "/api/revenue/monthly", "/api/revenue/quarterly", "/api/revenue/yearly",
    "/api/analytics/apps", "/api/analytics/comparison", "/api/metrics/current", "/api/metrics/category/{category}/top",
    "/api/history/snapshots", "/api/history/snapshots/full", "/api/history/snapshot/{date}", "/api/history/range",
    "/api/history/images", "/api/history/category/{category}", "/api/history/readings", "/api/history/series",
    "/api/history/metrics", "/api/stats", "/api/carousel/stats", "/api/carousel/deployed", "/api/carousel/expiring",
    "/api/revenue/sources", "/api/revenue/categories", "/api/payers/{address}", "/api/export/fees",
    "/export/payments.csv", "/export/payments.ndjson", "/export/apps.csv", "/export/chart.csv", "/data/files/",
    "/data/files/{month}/{name}",
    "/api/admin/revenue-status", "/api/admin/snapshot-status", "/api/admin/test-status",
}  # fmt: skip


@cache
def described():
    return schemathesis.openapi.from_path(FILE)


def filled():
    for n in range(12):
        pay(str(n), app=f"app{n % 3}", at=NOON - timedelta(days=n))
    imported(app=None, price_usd=None, usd_micro=None, from_address=None)
    settle(completed_at=NOW)
    network()


def network():
    """Three weeks of days, one of them missing, and sources read just now."""
    fill_days(21)
    Snapshot.objects.filter(day=NOW.date() - timedelta(days=5)).delete()
    item = {"type": "app", "rank": 1, "label": "Presearch", "name": "presearch/node", "value": 488, "unit": "instances"}
    item |= {"category": "crypto", "asOf": "2026-11-20T21:50:00Z"}
    Feed.objects.create(name="network", items=[item], read_at=NOW, tried_at=NOW, coverage={"rows": 9, "leftOut": 0})
    check = {"kind": "api", "name": "api.test", "status": "ok", "latency_ms": 41}
    ServiceState.objects.create(**check, checked_at=NOW, last_ok_at=NOW)


def test_the_committed_file_is_what_the_code_says():
    written = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=written)
    assert written.getvalue().rstrip("\n") == FILE.read_text().rstrip("\n"), "run `make openapi`"


def test_every_endpoint_is_described():
    assert set(yaml.safe_load(FILE.read_text())["paths"]) >= PATHS


def test_the_description_is_served(client):
    response = client.get("/api/schema/?format=json")
    assert (response.status_code, set(response.json()["paths"]) >= PATHS) == (200, True)


@law
@pytest.mark.parametrize("rows", ["filled", "empty"])
@pytest.mark.parametrize("path", sorted(PATHS))
def test_answers_fit_their_description(path, rows, kept_connection):
    if rows == "filled":
        again(filled)
    operation = described()[path]["GET"]

    @hypothesis_settings(
        max_examples=examples(15), deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy())
    def fits(case):
        response = case.call(
            base_url="http://localhost", app=get_wsgi_application(), headers={"accept-encoding": "identity"}
        )
        case.validate_response(response, checks=CHECKS)

    fits()
