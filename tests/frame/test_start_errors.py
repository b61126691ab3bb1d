import subprocess
import sys

import pytest

from tests.run import clean_environment
from tests.settings_names import ROOT

STARTS = {
    "manage.py": ("manage.py", "check"),
    "the supervisor": ("-m", "fluxtracker.supervisor.main"),
    "web": ("-m", "fluxtracker.web.server"),
    "worker": ("-m", "celery", "--app", "fluxtracker", "worker"),
    "beat": ("-m", "celery", "--app", "fluxtracker", "beat"),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_wrong_setting_stops_every_program_with_one_line(name, tmp_path):
    done = subprocess.run(
        [sys.executable, *STARTS[name]],
        cwd=ROOT,
        env=clean_environment(tmp_path, {"PORT": "many"}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "PORT: expected a whole number from 1 to 65535" in said
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if line.strip()]) == 1


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("the supervisor", {}, "(FLUXTRACKER_DATA_DIR) cannot be used"),
        ("the supervisor", {"SECRET_KEY": "given-because-of-the-disk"}, "(FLUXTRACKER_DATA_DIR) cannot be used"),
        ("web", {}, "SECRET_KEY: expected a value, because"),
    ],
)
def test_a_volume_that_cannot_be_written_is_told_in_one_line(name, given, expected, tmp_path):
    """As in an image that was started without one. A file in the way stops root, too."""
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, *STARTS[name]],
        cwd=ROOT, env=clean_environment(tmp_path / "file" / "data", given), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert done.returncode != 0
    assert (len(said), expected in said[-1]) == (1, True), said
