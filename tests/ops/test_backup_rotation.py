"""Which backups stay: 7 daily, 4 weekly, 12 monthly, and files that are no backups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from ops.backup.services import kept, rotate
from tests.ops.backing_up import manage

START = datetime(2025, 1, 15, 3, tzinfo=UTC)
MOMENTS = st.lists(st.integers(0, 60 * 24 * 500).map(lambda minutes: START + timedelta(minutes=minutes)), max_size=60)


def test_after_two_years_of_days_23_are_left_at_most():
    there: set[datetime] = set()
    for day in range(800):
        now = START + timedelta(days=day)
        there = kept([*there, now], now.date())
        assert len(there) <= 23
        assert {now - timedelta(days=back) for back in range(min(day + 1, 7))} <= there
    assert max(there) - min(there) > timedelta(days=320)
    assert len({(moment.year, moment.month) for moment in there}) == 12


@given(MOMENTS)
def test_the_newest_of_each_day_week_and_month_stays_and_nothing_is_made_up(moments):
    today = max(moments, default=START).date()
    chosen = kept(moments, today)
    assert chosen <= set(moments)
    assert {moment for moment in moments if moment.date() == today} <= chosen
    assert kept(chosen, today) == chosen
    for period in (lambda m: m.date(), lambda m: m.isocalendar()[:2], lambda m: (m.year, m.month)):
        newest = {period(moment): moment for moment in sorted(moments)}
        latest = sorted(newest.values(), reverse=True)[:4]
        assert set(latest) <= chosen


@pytest.mark.django_db
def test_a_year_of_daily_backups_rotates_and_leaves_strangers_alone(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    folder = tmp_path / "backups"
    for day in (0, 1, 2, 20, 21, 22, 23, 24, 25, 26, 27, 28):
        with time_machine.travel(START + timedelta(days=day), tick=False):
            assert manage("backup").code == 0
        if day == 0:
            strangers(folder)
    names = {path.name for path in folder.iterdir()}
    assert {name for name in names if name.startswith("fluxtracker-202501")} == {
        f"fluxtracker-202501{day}T030000Z.jsonl.gz" for day in (17,)
    }
    assert {"notes.txt", "fluxtracker-20240101T030000Z.jsonl.gz", "mine.jsonl.gz", "linked"} <= names
    assert "fluxtracker-20250204T030000Z.jsonl.gz" not in names
    assert sum(name.startswith("fluxtracker-202502") for name in names) == 7


def strangers(folder: Path) -> None:
    """A note, a file that only bears such a name, a copy under another name, a link."""
    first = next(folder.iterdir())
    (folder / "notes.txt").write_text("mine")
    (folder / "fluxtracker-20240101T030000Z.jsonl.gz").write_text("only the name of one")
    (folder / "mine.jsonl.gz").write_bytes(first.read_bytes())
    (folder / "linked").symlink_to(first)


@pytest.mark.django_db
def test_a_backup_of_another_installation_stays(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    for day in range(9):
        settings.SECRET_KEY = "another" if day == 0 else "ours"
        with time_machine.travel(START + timedelta(days=day), tick=False):
            assert manage("backup").code == 0
    now = START + timedelta(days=900)
    assert rotate(tmp_path / "backups", now) == []
    assert (tmp_path / "backups" / "fluxtracker-20250115T030000Z.jsonl.gz").exists()


@pytest.mark.django_db
def test_a_named_file_rotates_nothing(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    for day in range(9):
        with time_machine.travel(START + timedelta(days=day), tick=False):
            assert manage("backup", tmp_path / f"{day}.gz").code == 0
    assert len(list(tmp_path.glob("*.gz"))) == 9
