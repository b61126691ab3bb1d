"""Recipes for containers, systemd and Flux: read, verified, compared with the programs."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from fluxtracker.supervisor import processes
from tests.settings_names import ROOT, setting_names

UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
ALL_IN_ONE = yaml.safe_load((ROOT / "deploy/all-in-one.yml").read_text())
FLUX = json.loads((ROOT / "deploy/fluxos.json").read_text())


def test_the_units_are_one_for_everything_and_one_for_each_program():
    names = [unit.stem for unit in UNITS]
    assert names == ["fluxtracker-beat", "fluxtracker-web", "fluxtracker-worker", "fluxtracker"]


@pytest.mark.parametrize(
    ("unit", "command"),
    [
        ("fluxtracker", ("python", "-m", "fluxtracker.supervisor.main")),
        ("fluxtracker-web", processes.WEB),
        ("fluxtracker-worker", processes.WORKER),
        ("fluxtracker-beat", processes.BEAT),
    ],
)
def test_a_unit_runs_the_command_of_the_other_forms(unit, command):
    (line,) = re.findall(r"^ExecStart=(.+)$", (ROOT / f"deploy/systemd/{unit}.service").read_text(), re.MULTILINE)
    assert line.split() == ["/opt/fluxtracker/.venv/bin/python", *command[1:]]


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path):
    verify = shutil.which("systemd-analyze")
    for unit in UNITS:
        text = unit.read_text().replace("/opt/fluxtracker/.venv/bin/python", "/bin/true")
        (tmp_path / unit.name).write_text(text.replace("User=fluxtracker\n", "").replace("/opt/fluxtracker", "/"))
    if verify:
        done = subprocess.run(
            [verify, "verify", *map(str, sorted(tmp_path.iterdir()))], capture_output=True, text=True, check=False
        )
        assert str(tmp_path) not in done.stderr
    else:
        assert all("[Service]" in path.read_text() for path in tmp_path.iterdir())


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_may_do_no_more_than_it_needs(unit):
    lines = unit.read_text().splitlines()
    assert {"NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=", "Restart=always"} <= set(lines)


def test_the_container_with_everything_is_as_confined_as_the_others():
    service = ALL_IN_ONE["services"]["fluxtracker"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["volumes"] == ["data:/data"]
    assert service["build"]["target"] == "all-in-one"
    assert set(service["environment"]) <= setting_names()
    assert "SECRET_KEY" not in service["environment"]  # generated into the volume


def test_the_specification_for_flux_is_of_version_8_and_holds_no_secret():
    assert FLUX["version"] == 8
    assert FLUX["enterprise"] == ""
    keys = {"name", "description", "repotag", "ports", "domains", "environmentParameters", "commands", "containerPorts",
            "containerData", "cpu", "ram", "hdd", "repoauth"}  # fmt: skip
    names = [row.partition("=")[0] for part in FLUX["compose"] for row in part["environmentParameters"]]
    assert [part.keys() for part in FLUX["compose"]] == [keys, keys]
    assert set(names) <= setting_names() - {"SECRET_KEY"}


def test_flux_copies_the_backups_and_never_the_live_database():
    backups, tracker = FLUX["compose"]
    assert backups["containerData"] == "r:/backups"
    assert tracker["containerData"] == "/data|0:/data/backups"
