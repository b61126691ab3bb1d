"""The modes of files and folders, and the errors when they cannot be made."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.system.forks import forks
from tests.system.home import Outcome, environment


def manage(folder: Path, *words: str, **settings: str) -> Outcome:
    process = forks().start(["manage.py", *words], environment(folder, "", SECRET_KEY="x" * 60) | settings)
    out, err = process.communicate()
    return Outcome(process.wait(), out, err)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_that_is_made_is_its_owners_alone(tmp_path):
    data = tmp_path / "above" / "data"
    assert manage(data, "check", SECRET_KEY="").code == 0
    assert [mode(data), mode(data.parent), mode(data / "secret_key")] == [0o700, 0o700, 0o600]
    assert manage(data, "migrate", "--verbosity", "0").code == 0
    assert manage(data, "backup").code == 0
    made = sorted(path for path in data.rglob("*") if path.is_file())
    assert {mode(path) for path in made} == {0o600}, made
    assert mode(data / "backups") == 0o700


def test_a_data_dir_that_a_backup_makes_is_its_owners_alone(tmp_path):
    data, database = tmp_path / "data", tmp_path / "db.sqlite3"
    settings = {"DATABASE_URL": f"sqlite:///{database}"}
    assert manage(data, "migrate", "--verbosity", "0", **settings).code == 0
    assert manage(data, "backup", **settings).code == 0
    assert [mode(data), mode(data / "backups"), mode(database)] == [0o700, 0o700, 0o600]
    assert [mode(path) for path in (data / "backups").iterdir()] == [0o600]


@pytest.mark.parametrize("words", ["sync_revenue", "migrate --verbosity 0", "backup", "prune"])
@pytest.mark.parametrize(("name", "why"), [("absent", "there is no folder"), ("file", "is no folder")])
def test_a_folder_that_is_none_is_named_in_one_line(tmp_path, words, name, why):
    (tmp_path / "file").write_text("")
    run = manage(tmp_path / name / ("" if name == "file" else "data"), *words.split())
    assert run.code == 1
    assert "Traceback" not in run.err
    last = run.err.strip().splitlines()[-1]
    assert "FLUXTRACKER_DATA_DIR" in last
    assert why in last
