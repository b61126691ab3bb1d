"""The image's own build step, run in a plain folder: what it holds serves pages without a writable folder beside it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.settings_names import ROOT, setting_names

DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
TAKEN = {word[1:].rstrip("/") for word in (ROOT / ".dockerignore").read_text().split() if word.startswith("!")}


def copied(folder):
    """What COPY takes, besides front-end parts, which a step before brings in."""
    names = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True).split("\n")
    for name in filter(None, names):
        if name.partition("/")[0] in TAKEN and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "build/frontend", folder / "build/frontend")


@pytest.mark.slow
def test_the_last_step_of_the_build_makes_complete_static_files(tmp_path):
    copied(tmp_path)
    (step,) = re.findall(r"^RUN (.*manage\.py collectstatic.*)$", DOCKERFILE, re.MULTILINE)
    own = {name: value for name, value in os.environ.items() if name not in setting_names()}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    data = tmp_path / "of-the-build"
    command = step.replace("FLUXTRACKER_DATA_DIR=/tmp/data", f"FLUXTRACKER_DATA_DIR={data}")
    assert command != step
    subprocess.run(["sh", "-euc", command], cwd=tmp_path, env=own | {"PATH": path}, check=True)
    here, there = ({file.name for file in (root / "build/static/js").iterdir()} for root in (ROOT, tmp_path))
    assert len(there) > 20
    assert there == here
