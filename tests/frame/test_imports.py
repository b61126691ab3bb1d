"""Imports point only down the list of apps, are never strings, and only the demo imports the simulated network."""

import ast
import re
from pathlib import Path

import pytest

from tests.settings_names import ROOT

FROM_THE_BOTTOM_UP = "fluxtracker ops revenue metrics carousel deployments snapshots reports dashboard"
APPS = FROM_THE_BOTTOM_UP.split()
FOR_THE_DEMO = {
    "fluxtracker/supervisor/demo.py",
    "fluxtracker/management/commands/simulate_network.py",
}
NAMED_BY_DJANGO = {  # and by granian, Celery and the supervisor: settings, URLs, and what they load by name
    "fluxtracker/settings.py",
    "fluxtracker/urls.py",
    "fluxtracker/celery.py",
    "fluxtracker/database.py",
    "fluxtracker/supervisor/demo.py",
    "fluxtracker/web/server.py",
    "fluxtracker/supervisor/processes.py",
    "ops/apps.py",
}


def imports(path: Path) -> set[str]:
    """The modules of the project that a file imports anywhere."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return {name for name in found if name.partition(".")[0] in APPS}


def files(app: str) -> list[Path]:
    return sorted((ROOT / app).rglob("*.py"))


def relative(app: str) -> list[Path]:
    return [path.relative_to(ROOT) for path in files(app) if "migrations" not in path.parts]


@pytest.mark.parametrize("app", APPS)
def test_imports_point_only_down(app):
    higher = set(APPS[APPS.index(app) + 1 :])
    wrong = {
        (str(path.relative_to(ROOT)), name.partition(".")[0])
        for path in files(app)
        for name in imports(path)
        if name.partition(".")[0] in higher
    }
    assert wrong == set()


def dotted(path: Path) -> set[str]:
    """The strings in a file that name a module of the project, or something in it. Tasks are called by name."""
    strings = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
    found = {text for text in strings if isinstance(text, str) and re.fullmatch(rf"({'|'.join(APPS)})(\.\w+)+", text)}
    return {
        text for text in found - {"fluxtracker.settings"} if ".tasks." not in text and is_module(*text.split(".")[:2])
    }


def is_module(app: str, name: str) -> bool:
    return (ROOT / app / name).is_dir() or (ROOT / app / f"{name}.py").is_file()


@pytest.mark.parametrize("app", APPS)
def test_code_is_registered_and_not_named_in_strings(app):
    named = {
        (path, name) for path in map(str, relative(app)) if path not in NAMED_BY_DJANGO for name in dotted(ROOT / path)
    }
    assert named == set()


def test_a_name_in_a_string_is_found(tmp_path):
    (tmp_path / "made.py").write_text(
        'RULES = ("revenue.alert_rules.problems", "revenue.view_payment", "ops.tasks.backup")'
    )
    assert dotted(tmp_path / "made.py") == {"revenue.alert_rules.problems"}


@pytest.mark.parametrize("app", APPS)
def test_nothing_is_imported_by_a_string(app):
    assert [path for path in relative(app) if "import_string" in (ROOT / path).read_text()] == []


@pytest.mark.parametrize("app", APPS)
def test_only_demos_and_tests_know_the_simulated_network(app):
    knows = {
        str(path.relative_to(ROOT))
        for path in files(app)
        if "simnet" not in path.parts and any(name.startswith("fluxtracker.simnet") for name in imports(path))
    }
    assert knows - FOR_THE_DEMO == set()
