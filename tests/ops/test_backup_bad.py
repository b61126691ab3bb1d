"""Files that are no backups, folders that take none: one clear line, nothing lost, nothing half done."""

from __future__ import annotations

import gzip
import resource
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.models import Lease, TaskState
from revenue.models import Payment
from tests.factories import PaymentFactory
from tests.marks import examples
from tests.ops.backing_up import backed_up, contents, fill, leftovers, manage, rewritten

pytestmark = pytest.mark.django_db

HEADER = 10  # bytes of gzip's own header, whose time and system mean nothing


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return backed_up(tmp_path / "all.gz")


def assert_refused(path: Path, words: str) -> None:
    """Exit code 1, one line that says why, and not one row is another."""
    before = contents()
    done = manage("restore", path, "--yes")
    assert done.code == 1, done
    assert words in done.reason, done.reason
    assert "Traceback" not in done.err
    assert contents() == before
    assert not Lease.objects.exclude(holder="").exists()


def assert_restored(path: Path) -> None:
    before = contents()
    assert manage("restore", path, "--yes").code == 0
    assert contents() == before


def same_content(path: Path, other: Path) -> bool:
    """Whether both say the same: a repetition in gzip may point to any of several equal places."""
    try:
        return gzip.decompress(path.read_bytes()) == gzip.decompress(other.read_bytes())
    except (OSError, EOFError, zlib.error):
        return False


def older(lines: list[Any]) -> None:
    tables = lines[0]["tables"]
    place = next(i for i, table in enumerate(tables) if table["name"] == "ops_alert")
    del tables[place]
    lines.remove({"table": "ops_alert"})


def set_header(**values: Any) -> Callable[[list[Any]], None]:
    return lambda lines: lines[0].update(values)


def one_row_less(lines: list[Any]) -> None:
    lines.pop(next(i for i, line in enumerate(lines) if isinstance(line, list)))


def no_instant(lines: list[Any]) -> None:
    row = lines[lines.index({"table": "revenue_payment"}) + 1]
    row[8] = "yesterday"


def unknown_table(lines: list[Any]) -> None:
    lines[0]["tables"].append({"name": "ops_miracle", "columns": ["id"], "rows": 0})


def unknown_column(lines: list[Any]) -> None:
    table = next(table for table in lines[0]["tables"] if table["name"] == "ops_alert")
    table["columns"].append("miracle")


def dangling(lines: list[Any]) -> None:
    row = lines[lines.index({"table": "revenue_payment"}) + 1]
    row[12] = 987_654


WRONG: dict[str, tuple[Callable[[list[Any]], None], str]] = {
    "a newer format": (set_header(version=2), "newer version (format 2"),
    "a newer migration": (set_header(migrations={"revenue": ["0099_more"]}), "newer version: revenue.0099_more"),
    "an unknown table": (unknown_table, "ops_miracle"),
    "an unknown column": (unknown_column, "ops_alert has no miracle"),
    "an older version": (older, "older version without ops_alert"),
    "another format": (set_header(format="borg"), "is not a backup of Fluxtracker"),
    "no tables": (lambda lines: lines[0].pop("tables"), "header lacks"),
    "a row less": (one_row_less, "damaged"),
    "an instant that is none": (no_instant, "damaged: a value of revenue_payment"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_file_that_does_not_fit_is_refused_before_anything_is_touched(made, what):
    change, words = WRONG[what]
    assert_refused(rewritten(made, change), words)


@pytest.mark.engine
def test_a_reference_that_leads_nowhere_undoes_the_whole_restore(made):
    assert_refused(rewritten(made, dangling), "revenue_app" if connection.vendor == "sqlite" else "foreign key")


def test_other_files_are_refused(made, tmp_path):
    (tmp_path / "text").write_text("hello\n" * 100)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "zipped").write_bytes(gzip.compress(b"hello\n" * 100))
    (tmp_path / "json").write_bytes(gzip.compress(b'{"format": "other"}\n[1]\n'))
    (tmp_path / "sqlite").write_bytes(b"SQLite format 3\x00" + bytes(4096))
    for name in ("text", "empty", "zipped", "json", "sqlite"):
        assert_refused(tmp_path / name, "is not a backup of Fluxtracker")
    assert_refused(tmp_path / "absent", "No such file")
    assert_refused(tmp_path, "Is a directory")


def test_what_comes_after_the_end_is_refused(made):
    whole = made.read_bytes()
    made.write_bytes(whole + gzip.compress(b"[1]\n"))
    assert_refused(made, "continues after its end")
    made.write_bytes(whole + b"and so on")
    assert_refused(made, "backup")


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_short_is_refused_wherever(made, share):
    whole = made.read_bytes()
    cut = made.with_name("cut.gz")
    cut.write_bytes(whole[: int(len(whole) * share)])
    assert_refused(cut, "backup" if share < 0.5 else "")


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_bit_that_turned_is_found_wherever(made, share, bit):
    data = bytearray(made.read_bytes())
    data[HEADER + int((len(data) - HEADER) * share)] ^= 1 << bit
    turned = made.with_name("turned.gz")
    turned.write_bytes(data)
    if same_content(turned, made):
        assert_restored(turned)
    else:
        assert_refused(turned, "")


@pytest.mark.engine
def test_an_older_file_that_lacks_a_column_with_a_default_is_taken(made):
    def without_error(lines: list[Any]) -> None:
        table = next(table for table in lines[0]["tables"] if table["name"] == "snapshots_snapshot")
        place = table["columns"].index("wordpress_count")
        del table["columns"][place]
        del lines[lines.index({"table": "snapshots_snapshot"}) + 1][place]

    assert_restored(rewritten(made, without_error))


def assert_not_backed_up(path: Path, words: str) -> None:
    folder, before = path.parent, contents()
    listed = sorted(folder.iterdir()) if folder.is_dir() else []
    done = manage("backup", path)
    assert done.code == 1, done
    assert words in done.reason
    assert "Traceback" not in done.err
    assert (sorted(folder.iterdir()) if folder.is_dir() else []) == listed
    assert contents() == before
    state = TaskState.objects.get(name="backup")
    assert state.consecutive_failures > 0
    assert str(folder) not in state.last_error  # /api/health shows it to everybody


def test_a_backup_does_not_replace_what_is_none(tmp_path):
    fill()
    note = tmp_path / "note.txt"
    note.write_text("mine")
    assert_not_backed_up(note, "is not a backup; nothing was written")
    assert note.read_text() == "mine"


def test_a_backup_replaces_a_backup(made):
    first = made.read_bytes()
    PaymentFactory()
    assert manage("backup", made).code == 0
    assert made.read_bytes() != first
    assert leftovers(made.parent) == []


def test_folders_that_take_no_file_are_told(tmp_path):
    assert_not_backed_up(tmp_path / "absent" / "all.gz", "there is no folder")
    assert_not_backed_up(tmp_path, "is a folder")
    assert_not_backed_up(Path("/sys/all.gz"), "cannot write the backup: ")


def test_a_data_dir_that_takes_no_folder_is_told(settings, tmp_path):
    settings.DATA_DIR = tmp_path / "file"
    (tmp_path / "file").write_text("")
    done = manage("backup")
    assert (done.code, "cannot write the backup: Not a directory" in done.reason) == (1, True)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """What a full disk is to a file: the system refuses to make it larger."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("size", [30_000, 60_000])
def test_a_full_disk_leaves_the_last_backup_and_nothing_half_written(made, size):
    Payment.objects.bulk_create(PaymentFactory.build_batch(1_000))
    first = made.read_bytes()
    with files_of_at_most(size):
        assert_not_backed_up(made, "cannot write the backup: ")
        assert_not_backed_up(made.with_name("another.gz"), "cannot write the backup: ")
    assert made.read_bytes() == first
    assert manage("backup", made).code == 0


def test_what_cannot_be_read_back_is_thrown_away(made, monkeypatch):
    first = made.read_bytes()
    monkeypatch.setattr("ops.backup.write.Reader.end", lambda reader: reader._line(last=True) and reader._line())
    assert_not_backed_up(made, "it was deleted")
    assert made.read_bytes() == first


@pytest.mark.engine
def test_a_damaged_database_is_told_and_not_backed_up(made, monkeypatch):
    first = made.read_bytes()
    monkeypatch.setattr("ops.backup.write.damage", lambda: "row 5 missing from index payment_day")
    assert_not_backed_up(made, "the database is damaged: row 5")
    assert made.read_bytes() == first


def test_what_a_killed_backup_left_is_cleared_and_the_living_one_stays(made):
    import os
    import socket

    folder = made.parent
    dead = folder / f".all.gz+{socket.gethostname()}+999999999+1.00+abcd.part"
    ours = folder / f".all.gz+elsewhere+{os.getpid()}+1.00+abcd.part"
    old = folder / f".all.gz+before-the-restart+{os.getpid()}+1.00+abcd.part"
    for path in (dead, old, ours, folder / ".mine.part"):
        path.write_text("half")
    os.utime(old, (0, 0))
    assert manage("backup", made).code == 0
    assert sorted(leftovers(folder)) == sorted([ours.name, ".mine.part"])
