"""Every URL while the database is out of reach, damaged, or not migrated: nothing is a 500."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.settings_names import ROOT
from tests.system.home import environment


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def refused(folder: Path) -> str:
    return f"postgres://flux@127.0.0.1:{closed_port()}/flux"


def no_folder(folder: Path) -> str:
    return f"sqlite:///{folder}/absent/db.sqlite3"


def damaged(folder: Path) -> str:
    (folder / "db.sqlite3").write_bytes(b"SQLite format 3\x00" + b"\xff" * 8192)
    return f"sqlite:///{folder}/db.sqlite3"


def no_database(folder: Path) -> str:
    (folder / "db.sqlite3").write_bytes(b"not a database at all" * 1000)
    return f"sqlite:///{folder}/db.sqlite3"


def not_migrated(folder: Path) -> str:
    return f"sqlite:///{folder}/db.sqlite3"


@pytest.mark.slow
@pytest.mark.parametrize("away", [refused, not_migrated, no_folder, damaged, no_database])
def test_no_url_is_a_500(tmp_path, away):
    settings = environment(tmp_path, away(tmp_path), API_RATE="0", REDIS_URL="redis://127.0.0.1:1/0")
    few = [] if away is refused else ["--few"]  # what a way does with an error is the same for every error
    command = [sys.executable, "-m", "tests.access.without_database", *few]
    run = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=True, timeout=300)
    answers = json.loads(run.stdout)
    assert len(answers) > (300 if few else 1_000)
    assert [answer[:4] for answer in answers if answer[3] == 500] == []
    assert "Traceback" not in run.stderr
    by_url = {(url, method): (code, words) for url, way, method, code, _, words in answers if way == "a stranger"}
    assert by_url["/api/health/live", "get"] == (200, {"status": "ok"})
    code, health = by_url["/api/health", "get"]
    assert (code, health["status"], health["db"]["status"]) == (503, "error", "error")
    for page in ("/", "/data/", "/export/payments.csv", "/api/stats", "/api/revenue/transactions"):
        assert by_url[page, "get"][0] == by_url[page, "head"][0] == 503, page
    for url, way, method, code, kind, words in answers:
        if url.startswith("/api/") and url not in ("/api/docs/", "/api/schema/") and code >= 400 and method != "head":
            assert kind == "application/json", (url, way, method, code)
            assert "error" in words or "db" in words, (url, way, method, words)
