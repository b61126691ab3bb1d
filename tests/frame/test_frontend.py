"""Front-end parts are built with the machine's Node.js or an installed one; the programs are stubs."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from fluxtracker.supervisor import frontend
from tests.settings_names import ROOT

NPM = """#!/bin/sh
echo "$0 $*" >> "$NPM_LOG"
[ -n "$NPM_FAILS" ] && { echo "npm error code ENOTFOUND" >&2; exit 1; }
mkdir -p node_modules/uplot/dist
for name in LICENSE dist/uPlot.iife.min.js dist/uPlot.min.css; do echo "$name" > "node_modules/uplot/$name"; done
"""
PYTHON = """#!/bin/sh
echo "$*" >> "$NPM_LOG"
[ -n "$PIP_FAILS" ] && { echo "no matching distribution" >&2; exit 1; }
cp "$BROUGHT/node" "$BROUGHT/npm" "$(dirname "$0")/"
"""


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def node(version: str) -> str:
    return f"#!/bin/sh\necho {version}\n"


class Machine:
    """A checkout and a PATH of our own; `said` is what npm and pip were asked to do."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.path, self.log = folder / "checkout", folder / "path", folder / "log"
        self.root.mkdir()
        self.path.mkdir()
        self.environment = {
            "PATH": str(self.path),
            "NPM_LOG": str(self.log),
            "BROUGHT": str(folder / "brought"),
        }
        for name in (*frontend.NPM_FILES, frontend.NODE_LOCK):
            shutil.copyfile(ROOT / name, self.root / name)
        for name in ("cp", "dirname", "mkdir"):
            os.symlink(shutil.which(name) or name, self.path / name)
        program(folder / "brought" / "node", node("v24.19.0"))
        program(folder / "brought" / "npm", NPM)
        program(folder / "venv" / "python", PYTHON)
        monkeypatch.setattr(sys, "executable", str(folder / "venv" / "python"))

    def with_node(self, version: str = "v20.1.0") -> None:
        program(self.path / "node", node(version))
        program(self.path / "npm", NPM)

    def build(self, **more: str) -> Path:
        return frontend.build(self.root, self.environment | more)

    @property
    def said(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_machines_node_is_used_and_nothing_else_is_installed(machine: Machine) -> None:
    machine.with_node()
    assert files(machine.build()) == ["uplot/LICENSE", "uplot/uPlot.iife.min.js", "uplot/uPlot.min.css"]
    assert machine.said == [f"{machine.path}/npm ci --loglevel=error"]


def test_without_node_it_is_brought_into_the_environment_with_hashes(machine: Machine) -> None:
    assert files(machine.build())
    pip, npm = machine.said
    assert re.fullmatch(rf"-m pip .*install --require-hashes -r {machine.root}/requirements-node.lock", pip)
    assert npm == f"{Path(sys.executable).parent}/npm ci --loglevel=error"


def test_a_node_that_was_brought_along_once_is_not_installed_again(machine: Machine) -> None:
    machine.build()
    machine.build()
    assert ["pip" in line for line in machine.said] == [True, False, False]


@pytest.mark.parametrize("version", ["v18.20.4", "v8.0.0", "nonsense", ""])
def test_a_node_that_is_too_old_or_says_nothing_is_not_used(machine: Machine, version: str) -> None:
    machine.with_node(version)
    machine.build()
    assert "pip" in machine.said[0]


def test_a_node_without_npm_is_not_enough(machine: Machine) -> None:
    program(machine.path / "node", node("v22.0.0"))
    machine.build()
    assert "pip" in machine.said[0]


def test_the_checkout_stays_clean(machine: Machine) -> None:
    machine.with_node()
    machine.build()
    assert sorted(path.name for path in machine.root.iterdir()) == sorted(
        (*frontend.NPM_FILES, frontend.NODE_LOCK, "build")
    )


def test_a_part_that_is_no_more_wanted_goes(machine: Machine) -> None:
    machine.with_node()
    (machine.build() / "old.js").write_text("")
    assert "old.js" not in files(machine.build())


def test_an_npm_that_fails_leaves_what_was_there_and_says_why(machine: Machine) -> None:
    machine.with_node()
    before = files(machine.build())
    with pytest.raises(frontend.CannotBuild, match=r"npm failed; it needs its package registry once: .*ENOTFOUND"):
        machine.build(NPM_FAILS="1")
    assert files(machine.root / "build" / "frontend") == before


def test_a_pip_that_fails_is_named(machine: Machine) -> None:
    with pytest.raises(frontend.CannotBuild, match=r"pip failed; .*no matching distribution"):
        machine.build(PIP_FAILS="1")


def test_a_failure_is_one_line_and_exit_code_1(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.with_node()
    monkeypatch.setattr(frontend, "ROOT", machine.root)
    for name, value in (machine.environment | {"NPM_FAILS": "1"}).items():
        monkeypatch.setenv(name, value)
    assert frontend.main() == 1
    assert capsys.readouterr().err.startswith("error: front-end parts: npm failed; ")


def test_every_part_has_its_licence_beside_it() -> None:
    folders = {Path(target).parent for target in frontend.PARTS.values()}
    assert {Path(target).parent for target in frontend.PARTS.values() if target.endswith("LICENSE")} == folders


def test_the_lock_holds_a_hash_for_every_part_and_no_address() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert {name.removeprefix("node_modules/") for name in packages} >= {part.split("/")[0] for part in frontend.PARTS}
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert all("resolved" not in package for package in packages.values())
    wanted = json.loads((ROOT / "package.json").read_text())
    assert lock["packages"][""]["dependencies"] == wanted["dependencies"]


def test_npm_is_told_to_write_no_addresses_and_to_run_no_scripts_of_packages() -> None:
    told = (ROOT / ".npmrc").read_text().splitlines()
    assert {"omit-lockfile-registry-resolved=true", "ignore-scripts=true"} <= set(told)


def test_nothing_of_the_parts_is_committed() -> None:
    assert not [path for path in (ROOT / "static").rglob("*") if "uplot" in path.name.lower()]
