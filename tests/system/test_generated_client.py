"""A Python client that is generated from docs/openapi.yaml reads and asks a server that runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fluxtracker.supervisor.demo import free_port
from fluxtracker.supervisor.processes import WEB, Program
from tests.settings_names import ROOT
from tests.simnet.server import SimServer
from tests.system.home import Home
from tests.system.test_web_processes import status
from tests.waiting import eventually

CONFIG = "content_type_overrides: {application/x-ndjson: application/octet-stream}\n"
NAME = "generated_client"


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The client as its generator makes it, without a warning."""
    config = tmp_path / "client.yaml"
    config.write_text(CONFIG)
    scripts = Path(sys.executable).parent
    command = [scripts / "openapi-python-client", "generate", "--fail-on-warning", "--meta", "none"]
    files = ["--path", ROOT / "docs" / "openapi.yaml", "--config", config, "--output-path", tmp_path / NAME]
    path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*command, *files], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.syspath_prepend(str(tmp_path))
    yield import_module(NAME)
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


@pytest.fixture
def site(home: Home, sim: SimServer) -> str:
    """The address of a server with a ledger, whose files are published."""
    home.settings = {**sim.env(), "PORT": str(free_port()), "HOST": "127.0.0.1"}
    for words in (["sync_revenue"], ["publish_files"]):
        done = home.manage(*words)
        assert done.code == 0, done.err
    home.run(Program("web", WEB, {}))
    address = f"http://127.0.0.1:{home.settings['PORT']}"
    assert eventually(lambda: status(f"{address}/api/health/live") == 200), home.log("web")
    return address


def ask(operation: str, client: Any, **query: Any) -> Any:
    """Call an operation: its code and what the client made of the answer."""
    answer = import_module(f"{NAME}.api.{operation}").sync_detailed(client=client, **query)
    return int(answer.status_code), answer.parsed


def test_the_client_reads_and_asks_a_server(generated: ModuleType, site: str, home: Home, tmp_path: Path) -> None:
    client = generated.Client(base_url=site, raise_on_unexpected_status=True)
    code, page = ask("revenue.transactions", client, limit=5)
    ((total,),) = home.query("SELECT count(*) FROM revenue_payment")
    assert (code, page.total, len(page.transactions)) == (200, total, 5)
    newest = page.transactions[0]
    assert isinstance(newest.date, date)
    assert (newest.amount_sat, newest.confirmations > 0) == (round(newest.amount * 10**8), True)
    code, wrong = ask("revenue.transactions", client, page=0)
    assert (code, set(wrong.fields.to_dict())) == (400, {"page"})
    code, text = ask("export.export_payments", client)
    assert (code, text.count("\r\n")) == (200, total + 1)
    code, files = ask("export.files", client)
    assert (code, files.licence) == (200, "CC0-1.0")
    code, month = ask("revenue.revenue_monthly", client)
    assert (code, month.period.value) == (200, "monthly")

    code, refused = ask("jobs.jobs", client)
    assert (code, bool(refused.error)) == (401, True)
    home.manage(
        "createsuperuser", "--noinput", "--username", "alice", "--email", "", DJANGO_SUPERUSER_PASSWORD="x" * 12
    )
    secret = re.findall(r"\b[0-9a-f]{40}\b", home.manage("create_api_token", "alice").out)[0]
    staff = generated.AuthenticatedClient(base_url=site, token=secret, prefix="Token", raise_on_unexpected_status=True)
    code, jobs = ask("jobs.jobs", staff)
    assert (code, jobs.total) == (200, 0)
