"""Check that a tag, the code and CHANGELOG.md name one version; print the notes of a release.

`python -m tests.release v1.0.0`, `python -m tests.release --notes v1.0.0`. Needs nothing but Python.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def versions(changelog: str) -> list[str]:
    """Return the released versions that a CHANGELOG lists, newest first."""
    return re.findall(r"^## ([0-9]+\.[0-9]+\.[0-9]+)\b", changelog, re.MULTILINE)


def notes(changelog: str, version: str) -> str:
    """Return what CHANGELOG says of a version; ValueError where it says nothing."""
    found = re.search(rf"^## {re.escape(version)}\b[^\n]*\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if not found or not found[1].strip():
        raise ValueError(f"CHANGELOG.md says nothing of {version}")
    return found[1].strip()


def code_version() -> str:
    """Return the version that the package names; nothing else in the code names one."""
    found = re.search(r'^__version__ = "([^"]+)"', (ROOT / "fluxtracker/__init__.py").read_text(), re.MULTILINE)
    return found[1] if found else "none"


def check(tag: str) -> str:
    """Return the version of the tag; ValueError where code or CHANGELOG disagree."""
    version = tag.removeprefix("v")
    if code_version() != version:
        raise ValueError(f"the tag says {version}, the code {code_version()}")
    changelog = (ROOT / "CHANGELOG.md").read_text()
    if versions(changelog)[:1] != [version]:
        raise ValueError(f"CHANGELOG.md does not begin with {version}")
    return notes(changelog, version)


if __name__ == "__main__":
    try:
        text = check(sys.argv[-1])
    except ValueError as error:
        sys.exit(f"error: {error}")
    if "--notes" in sys.argv:
        sys.stdout.write(text + "\n")
