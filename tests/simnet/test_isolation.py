from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.conf import settings

ROOMS = ("fluxtracker", "ops", "revenue", "metrics", "carousel", "snapshots", "dashboard")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_the_simulated_network_does_not_know_the_production_code() -> None:
    own = sorted((settings.BASE_DIR / "fluxtracker" / "simnet").glob("*.py"))
    assert own
    for path in own:
        foreign = {n for n in imported(path) if n.split(".")[0] in ROOMS and "simnet" not in n}
        assert not foreign, f"{path.name} imports {foreign}"


@pytest.mark.parametrize("name", ["tests/simnet/truth.py", "fluxtracker/simnet/catalogue.py"])
def test_the_truth_is_worked_out_independently(name: str) -> None:
    """No production code has a part in it."""
    found = imported(settings.BASE_DIR / name)
    ours = {module for module in found if module.split(".")[0] in ROOMS}
    assert not [module for module in ours if not module.startswith("fluxtracker.simnet")]
