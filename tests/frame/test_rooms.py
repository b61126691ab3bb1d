"""Imports point only down the list of rooms, and production code does not know the simulated network."""

import ast
from pathlib import Path

import pytest

from tests.settings_names import ROOT

ROOMS = ("fluxtracker", "ops", "revenue", "metrics", "carousel", "snapshots", "dashboard")  # from the bottom up
FOR_DEMOS = {
    "fluxtracker/supervisor/demo.py",
    "fluxtracker/management/commands/simulate_network.py",
}
HIGHER_BY_DESIGN = {  # the base of commands turns the errors of runs and leases into exit codes
    ("fluxtracker/commands.py", "ops"),
}


def imports(path: Path) -> set[str]:
    """The modules of ours that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return {name for name in found if name.partition(".")[0] in ROOMS}


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_only_down(room):
    higher = set(ROOMS[ROOMS.index(room) + 1 :])
    wrong = {
        (str(path.relative_to(ROOT)), name.partition(".")[0])
        for path in files(room)
        for name in imports(path)
        if name.partition(".")[0] in higher
    }
    assert wrong - HIGHER_BY_DESIGN == set()


@pytest.mark.parametrize("room", ROOMS)
def test_only_demos_and_tests_know_the_simulated_network(room):
    knows = {
        str(path.relative_to(ROOT))
        for path in files(room)
        if "simnet" not in path.parts and any(name.startswith("fluxtracker.simnet") for name in imports(path))
    }
    assert knows - FOR_DEMOS == set()
