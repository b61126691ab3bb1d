"""Write what the API answers on a simulated network: `.venv/bin/python -m pytest -q tests/api/samples.py`.

The page of the API shows these answers beside its endpoints; `test_samples.py` compares them with answers of today.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.http import HttpResponseBase
from django.test import Client
from django.utils import timezone

from fluxtracker.api.views import SAMPLES, Endpoint, endpoints
from ops.access import authentication
from ops.jobs import worker
from ops.models import Job
from ops.status import Status
from revenue.jobs import read_pending
from tests.api.conftest import NOW
from tests.system.conftest import build, in_process

__all__ = ["build", "in_process"]

pytestmark = pytest.mark.django_db

SITE = "https://flux.example.org"
ROWS = 2  # of a list, and lines of a file after its head
COMMANDS = (
    "sync_revenue", "sync_messages", "collect_metrics", "refresh_carousel", "simulate_history --days 40",
    "check_services", "take_snapshot", "take_census", "take_census", "update_economics", "publish_files",
)  # fmt: skip
QUERIES = {
    "transactions": "limit=2", "revenue_daily": "range=last_7d", "revenue_sources": "range=last_month",
    "revenue_categories": "range=last_month", "analytics_apps": "range=last_month&limit=2",
    "analytics_comparison": "period=W", "economics_accrual": "by=month&range=last_month",
    "economics_kinds": "by=month&range=last_month", "export_fees": "range=last_7d",
    "history_images": "image=nginx", "history_range": "start={day}&end={day}",
    "history_readings": "metric=node_total", "history_series": "metrics=revenue_flux,node_total&range=last_7d",
    "history_snapshots": "limit=2", "history_snapshots_full": "limit=2", "history_metrics": "limit=2",
    "metrics_category_top": "limit=2", "reports_kpi": "period=month", "owner": "limit=2", "payer": "limit=2",
    "exportChart": "metrics=revenue_flux,node_total&range=last_7d", "exportPayments": "range=last_7d",
    "exportPaymentsNdjson": "range=last_7d", "exportRevenue": "by=source&bucket=month&range=last_month",
    "exportApps": "range=last_month", "exportOwners": "range=last_month", "exportPayers": "range=last_month",
    "exportKinds": "range=last_month",
    "jobs": "limit=2",
}  # fmt: skip
BODIES = {"ask_clear_revenue_data": {"confirm": "clear"}}
LATE = ("ask_reset_revenue_sync", "ask_clear_revenue_data", "jobs", "job", "cancel_job")  # what others would miss
Answers = dict[str, dict[str, Any]]


@pytest.fixture
def today() -> Iterator[None]:
    """The same day each time: keys such as categories depend on what was paid in a month."""
    with time_machine.travel(NOW):
        yield


@pytest.fixture
def answers(
    today: None, build: Any, in_process: Any, settings: Any, tmp_path: Path, staff: Any, monkeypatch: Any
) -> Answers:
    """The address, body and answer of each operation, asked one after the other."""
    settings.DATA_DIR, settings.ALERT_EMAILS = tmp_path, ["reader@example.org"]
    monkeypatch.setattr("ops.jobs.services.send", worker.run_job)
    monkeypatch.setattr("ops.broker.status", Status)
    sim = build(600, days=400, old_messages=60, nodes=60, containers=200)
    for words in COMMANDS:
        outcome = in_process(*words.split())
        assert outcome.code == 0, outcome.err
    sim.world.broadcast(sim.world.payment(app="waiting"))
    read_pending(trigger="command")
    secret = authentication.create(username=staff.username, now=timezone.now()).secret
    clients = {True: Client(), False: Client(headers={"Authorization": f"Token {secret}"})}
    values = known_values(clients[True])
    found: Answers = {}
    for one in sorted(endpoints(), key=turn):
        if one.operation == "cancel_job":
            monkeypatch.setattr("ops.jobs.services.send", lambda number: None)
            clients[False].post("/api/admin/prune?wait=0")
        values["number"] = str(Job.objects.order_by("id").values_list("id", flat=True).last())
        found[one.operation] = ask(clients[one.is_public], one, values)
    places = {str(tmp_path): "data", sim.url: "https://upstream.example.org", "http://testserver": SITE}
    text = json.dumps(found)
    for here, there in (places | {sim.url.partition("//")[2]: "upstream.example.org"}).items():
        text = text.replace(here, there)
    return json.loads(text)


def turn(one: Endpoint) -> tuple[bool, int]:
    return not one.is_public, LATE.index(one.operation) if one.operation in LATE else -1


def known_values(client: Client) -> dict[str, str]:
    """What stands for the names in braces of paths and queries."""
    payments = client.get("/api/revenue/transactions?limit=100").json()["transactions"]
    names = [one["app_name"] for one in payments if one["app_name"]]
    app = next(app for app in (client.get(f"/api/apps/{name}").json() for name in names) if app.get("owner"))
    month = client.get("/data/files/").json()["months"][0]
    return {
        "name": app["name"], "owner": app["owner"], "address": payments[0]["from_address"], "category": "gaming",
        "day": str(timezone.now().date() - timedelta(days=1)), "month": month["month"],
    }  # fmt: skip


def ask(client: Client, one: Endpoint, values: dict[str, str]) -> dict[str, Any]:
    query = QUERIES.get(one.operation, "")
    path = one.path.replace("{date}", "{day}")
    if one.operation == "file":
        path = path.replace("{name}", "daily.csv")
    address = f"{path}{'?' if query else ''}{query}".format(**values)
    body = BODIES.get(one.operation)
    if one.method == "GET":
        response = client.get(address)
    else:
        response = client.post(address, body or {}, content_type="application/json")
    assert response.status_code == 200, (address, text_of(response))
    sample: dict[str, Any] = {"address": address} | ({"body": body} if body else {})
    is_json = response.headers["Content-Type"] == "application/json"
    return sample | {"answer": shortened(json.loads(text_of(response))) if is_json else lines_of(response)}


def text_of(response: HttpResponseBase) -> str:
    body = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
    return str(body.decode())


def lines_of(response: HttpResponseBase) -> str:
    return "\n".join(text_of(response).splitlines()[: ROWS + 1])


def shortened(value: Any) -> Any:
    """The same with at most ROWS items of each list."""
    if isinstance(value, list):
        return [shortened(item) for item in value[:ROWS]]
    return {key: shortened(item) for key, item in value.items()} if isinstance(value, dict) else value


def test_the_samples_are_written(answers: Answers) -> None:
    SAMPLES.write_text(json.dumps(dict(sorted(answers.items())), indent=1, ensure_ascii=False) + "\n")
