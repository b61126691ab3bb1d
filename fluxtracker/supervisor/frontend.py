"""Fetch front-end parts into build/: `python -m fluxtracker.supervisor.frontend`.

Needs only the standard library. npm checks each part against the hash in package-lock.json.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OLDEST_NODE = 20
NPM_FILES = ("package.json", "package-lock.json", ".npmrc")
NODE_LOCK = "requirements-node.lock"
PARTS = {  # in node_modules: under static files
    "uplot/dist/uPlot.iife.min.js": "uplot/uPlot.iife.min.js",
    "uplot/dist/uPlot.min.css": "uplot/uPlot.min.css",
    "uplot/LICENSE": "uplot/LICENSE",
}


class CannotBuild(Exception):
    """The failure and its remedy, in one line."""


def build(root: Path, environment: Mapping[str, str]) -> Path:
    """Replace `build/frontend` by the parts and return that folder."""
    modules = _install(root, _npm_folder(root, environment), environment)
    made = root / "build" / "frontend.new"
    shutil.rmtree(made, ignore_errors=True)
    for source, target in PARTS.items():
        (made / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(modules / source, made / target)
    folder = root / "build" / "frontend"
    shutil.rmtree(folder, ignore_errors=True)
    return made.rename(folder)


def has_node(environment: Mapping[str, str]) -> bool:
    """Return whether PATH has npm and a recent enough Node.js."""
    path = environment.get("PATH", "")
    node = shutil.which("node", path=path)
    if node is None or shutil.which("npm", path=path) is None:
        return False
    output = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    version = re.match(r"v(\d+)\.", output)
    return version is not None and int(version[1]) >= OLDEST_NODE


def _npm_folder(root: Path, environment: Mapping[str, str]) -> Path | None:
    """Return the folder of npm, None if it is on PATH. Install it next to the running Python if missing."""
    if has_node(environment):
        return None
    folder = Path(sys.executable).parent
    if not has_node({**environment, "PATH": str(folder)}):
        sys.stderr.write(f"no Node.js {OLDEST_NODE} or newer here: adding it to the environment (60 MB, once) ...\n")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"]
        _run([*pip, "install", "--require-hashes", "-r", str(root / NODE_LOCK)], root, environment, "pip")
    return folder


def _install(root: Path, npm_folder: Path | None, environment: Mapping[str, str]) -> Path:
    """Run npm in a separate folder, so that the checkout stays clean; return its node_modules."""
    folder = root / "build" / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    for name in NPM_FILES:
        shutil.copyfile(root / name, folder / name)
    path = environment.get("PATH", "")
    path = path if npm_folder is None else f"{npm_folder}{os.pathsep}{path}"
    npm = shutil.which("npm", path=path)
    if npm is None:
        raise CannotBuild(f"npm is missing although {NODE_LOCK} was installed; remove .venv and try again")
    _run([npm, "ci", "--loglevel=error"], folder, {**environment, "PATH": path}, "npm")
    return folder / "node_modules"


def _run(command: list[str], folder: Path, environment: Mapping[str, str], name: str) -> None:
    done = subprocess.run(  # noqa: S603
        command, cwd=folder, env=dict(environment), capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()
        raise CannotBuild(f"{name} failed; it needs its package registry once: {' / '.join(last[:3]) or 'no output'}")


def main() -> int:
    try:
        build(ROOT, os.environ)
    except (CannotBuild, OSError) as error:
        sys.stderr.write(f"error: front-end parts: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
