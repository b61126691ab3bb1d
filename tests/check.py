"""Run `make check`: all checks of the code except the suite."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.run import clean_environment
from tests.settings_names import ROOT

PYTHON = sys.executable
MANAGE = (PYTHON, "manage.py")
SCHEMA = ROOT / "docs" / "openapi.yaml"


def checks(schema: Path) -> list[tuple[str, tuple[str, ...], dict[str, str]]]:
    """Title, command, settings."""
    return [
        ("lint", (PYTHON, "-m", "ruff", "check", "."), {}),
        ("format", (PYTHON, "-m", "ruff", "format", "--check", "."), {}),
        ("types", (PYTHON, "-m", "mypy", "."), {}),
        ("migrations", (*MANAGE, "makemigrations", "--check", "--dry-run"), {}),
        ("deployment", (*MANAGE, "check", "--deploy", "--fail-level", "WARNING"), {"HTTPS": "1"}),
        ("API schema", (*MANAGE, "spectacular", "--fail-on-warn", "--validate", "--file", str(schema)), {}),
        ("packaging", (PYTHON, "-m", "pytest", "tests/frame/test_packaging.py"), {}),
    ]


def is_fine(title: str, command: tuple[str, ...], environment: dict[str, str]) -> bool:
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return told(title, done.returncode == 0, done.stdout)


def told(title: str, fine: bool, details: str) -> bool:
    sys.stdout.write(f"{title:<12} {'ok' if fine else 'WRONG'}\n{'' if fine else details}")
    sys.stdout.flush()
    return fine


def schema_is_current(written: Path) -> bool:
    current = SCHEMA.is_file() and written.is_file() and SCHEMA.read_text() == written.read_text()
    return told("schema file", current, "docs/openapi.yaml is not what the code says: make openapi\n")


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = [
            is_fine(title, command, clean_environment(folder / "data", settings))
            for title, command, settings in checks(folder / "openapi.yaml")
        ]
        results.append(schema_is_current(folder / "openapi.yaml"))
    return int(not all(results))


if __name__ == "__main__":
    raise SystemExit(main())
