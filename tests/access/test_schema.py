"""With a token: whatever fits the description is answered as described, and never by a 5xx."""

from io import StringIO

import pytest
import schemathesis
import yaml
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ops import registry
from ops.jobs import worker
from ops.models import Job
from tests.marks import examples, law

pytestmark = pytest.mark.django_db

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
OPERATIONS = [("/api/admin/jobs", "GET"), ("/api/admin/jobs/{number}", "GET"),
              ("/api/admin/jobs/{number}/cancel", "POST"),
              *((f"/api/admin/{name}", "POST") for name in registry.jobs())]  # fmt: skip
REPORT = {
    "fetched": 1, "added": 1, "removed": 0, "lastSyncBlock": None, "requests": 3, "seconds": 0.5, "deleted": 0,
    "processed": 1, "updated": 1, "noHash": 0, "notFound": 0, "remaining": 0, "unknown": 0, "checked": 1, "missing": 0,
    "extra": 0, "different": 0, "transactions": 0, "date": "2026-11-24", "created": 1, "reason": None, "skipped": 0,
    "from": "2026-11-01", "to": "2026-11-23", "sources": {"nodes": "ok"}, "network": 1, "deployed": 1, "expiring": 1,
    "file": "backup.jsonl.gz", "rows": 1, "sha256": "0" * 64, "period": "month", "key": "2026-10",
    "channels": {"email": "sent"}, "waits": None, "days": 1, "lives": 1, "day": "2026-11-24", "nodes": 1, "joins": None,
    "leaves": None, "moves": None, "apps": 1, "instances": 1, "months": 1, "written": 1, "note": None,
}  # fmt: skip
SPECIAL = {
    "prune": {"checks": 1},
    "test-services": {"checks": [{"name": "daemon", "kind": "api", "status": "ok", "latencyMs": None}]},
    "snapshot": {"created": True},
    "sync-messages": {"read": 1, "changed": 0, "leftOut": {"noHash": 1}, "lives": 1},
    "check-snapshot": {"created": False},
}


@pytest.fixture(scope="module")
def description():
    written = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=written)
    return schemathesis.openapi.from_dict(yaml.safe_load(written.getvalue()))


@pytest.fixture
def quick_worker(monkeypatch):
    """Every job ends at once; other tests check what the jobs answer."""
    monkeypatch.setattr(registry.JobType, "call", lambda job, *args, **told: REPORT | SPECIAL.get(job.name, {}))
    monkeypatch.setattr("ops.jobs.services.send", worker.run_job)


@law
@pytest.mark.usefixtures("kept_connection", "quick_worker")
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_answers_fit_their_description(description, secret, path, method):
    headers = {"accept-encoding": "identity", "Authorization": f"Token {secret}"}

    @hypothesis_settings(
        max_examples=examples(25), deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=description[path][method].as_strategy())
    def fits(case):
        response = case.call(base_url="http://localhost", app=get_wsgi_application(), headers=headers)
        case.validate_response(response, checks=CHECKS)

    fits()


@pytest.mark.usefixtures("kept_connection", "quick_worker")
def test_a_job_that_is_there_fits_as_well(description, secret):
    now = timezone.now()
    number = Job.objects.create(name="prune", state="done", actor="alice", via="api", created_at=now, result={}).pk
    headers = {"accept-encoding": "identity", "Authorization": f"Token {secret}"}
    for path, method in (("/api/admin/jobs", "GET"), ("/api/admin/jobs/{number}", "GET"),
                         ("/api/admin/jobs/{number}/cancel", "POST")):  # fmt: skip
        operation = description[path][method]
        case = operation.Case(path_parameters={"number": number} if "{" in path else {})
        response = case.call(base_url="http://localhost", app=get_wsgi_application(), headers=headers)
        case.validate_response(response, checks=CHECKS)


def test_the_description_tells_of_tokens_and_of_every_refusal(description):
    raw = description.raw_schema
    assert raw["components"]["securitySchemes"]["token"]["name"] == "Authorization"
    for name in registry.jobs():
        operation = raw["paths"][f"/api/admin/{name}"]["post"]
        assert {"200", "202", "400", "401", "403", "409", "429", "503"} <= set(operation["responses"])
        assert {"token": []} in operation["security"]
        assert {} not in operation["security"]
