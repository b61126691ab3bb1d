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
