from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from django.conf import settings
from django.core.management import CommandError, call_command

from tests.waiting import AMPLE

Command = tuple[subprocess.Popen[str], dict[str, str]]


def start(folder: Path, *options: str) -> Command:
    """Start the command where no database is, and read the settings that it prints."""
    nowhere = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "FLUXTRACKER_DATA_DIR": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.simnet.serve", "--port", "0", "--payments", "60", *options],
        cwd=settings.BASE_DIR,
        env=os.environ | nowhere,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    env: dict[str, str] = {}
    while "UPSTREAM_RATE" not in env:
        line = process.stdout.readline()
        assert line, "it ended before it printed its settings"
        name, _, value = line.strip().partition("=")
        env[name] = value
    return process, env


def end(process: subprocess.Popen[str], how: signal.Signals = signal.SIGTERM) -> int:
    process.send_signal(how)
    process.communicate(timeout=AMPLE)
    return process.returncode


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Command]:
    process, env = start(tmp_path)
    yield process, env
    process.kill()
    process.communicate()


def test_it_serves_without_a_database(running: Command) -> None:
    _, env = running
    first = env["BLOCKBOOK_URLS"].split(",")[0]
    assert requests.get(first, timeout=AMPLE).json()["blockbook"]["coin"] == "Flux"
    assert requests.get(f"{env['FLUX_API_URL']}/_sim/state", timeout=AMPLE).json()["payments"] == 60


def test_it_serves_as_many_containers_and_as_old_a_shape_as_it_is_told(tmp_path: Path) -> None:
    process, env = start(tmp_path, "--nodes", "90", "--containers", "700", "--old-fluxinfo", "1")
    try:
        rows = requests.get(f"{env['FLUX_STATS_URL']}/fluxinfo?projection=apps.runningapps", timeout=AMPLE).json()[
            "data"
        ]
    finally:
        assert end(process) == 0
    running = [container for row in rows for container in row["apps"]["runningapps"]]
    towers = sum(container.get("Image") == "containrrr/watchtower" for container in running)
    assert len(rows) == 90
    assert towers > 40
    assert 600 < len(running) - towers < 800


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly(running: Command, how: signal.Signals) -> None:
    assert end(running[0], how) == 0


def test_a_restart_goes_on_with_the_same_network(tmp_path: Path) -> None:
    def truth() -> list[list[object]]:
        process, env = start(tmp_path, "--remember", str(tmp_path / "since"))
        url = env["FLUX_API_URL"]
        rows = requests.get(f"{url}/_sim/truth?min_confirmations=1", timeout=AMPLE).json()["rows"]
        assert end(process) == 0
        return rows

    (tmp_path / "since").write_text((datetime.now(UTC) - timedelta(hours=3)).isoformat())
    first, second = truth(), truth()
    assert len(first) > 60
    assert second[: len(first)] == first


@pytest.mark.parametrize(
    ("option", "value"),
    [("--port", "70000"), ("--payments", "-1"), ("--days", "0"), ("--seed", "x"), ("--old-fluxinfo", "2")],
)
def test_wrong_options_are_refused(option: str, value: str) -> None:
    with pytest.raises(CommandError, match=option):
        call_command("simulate_network", option, value)


def test_a_taken_port_is_said_in_one_line(running: Command) -> None:
    port = running[1]["FLUX_API_URL"].rpartition(":")[2]
    with pytest.raises(CommandError, match=f"cannot listen on 127.0.0.1:{port}"):
        call_command("simulate_network", "--port", port, "--payments", "0", "--old-messages", "0")
